-- The process and its threads: getpid and friends, uname, thread_self, uuid, os.exit, and the constants of the contract.

local home = ...

local error, type = error, type
local border, settings, checked = home.border, home.settings, home.checked
local refuse, numeral = home.need("arguments").refuse, home.need("arguments").numeral
local ffi = require("ffi")
local bit = require("bit")
local band, bor = bit.band, bit.bor
local format = string.format

ffi.cdef [[
int luamtev_getpid(void) __asm__("getpid");
int luamtev_getppid(void) __asm__("getppid");
unsigned luamtev_getuid(void) __asm__("getuid");
unsigned luamtev_geteuid(void) __asm__("geteuid");
unsigned luamtev_getgid(void) __asm__("getgid");
unsigned luamtev_getegid(void) __asm__("getegid");
int luamtev_getentropy(void *buffer, size_t length) __asm__("getentropy");
int luamtev_fflush(void *stream) __asm__("fflush");
]]
local C = ffi.C

function mtev.getpid() return C.luamtev_getpid() end
function mtev.getppid() return C.luamtev_getppid() end
function mtev.getuid() return C.luamtev_getuid() end
function mtev.geteuid() return C.luamtev_geteuid() end
function mtev.getgid() return C.luamtev_getgid() end
function mtev.getegid() return C.luamtev_getegid() end

local uname = checked(border.uname)

function mtev.uname()
  local sysname, nodename, release, version, machine = uname()
  return { sysname = sysname, nodename = nodename, release = release, version = version, machine = machine }
end

-- OS thread id, index of the event loop thread in its pool, thread name.
local thread_self = checked(border.thread_self)

function mtev.thread_self() return thread_self() end

function mtev.eventer_loop_concurrency() return settings.loop_concurrency end

local heartbeat, watchdog_timeout = checked(border.watchdog_heartbeat), checked(border.watchdog_timeout)

-- Tells the watchdog, if one watches, that this thread is alive.
function mtev.watchdog_child_heartbeat()
  heartbeat()
  return 0
end

-- Seconds that this thread may be silent; nil when no watchdog watches.
function mtev.watchdog_timeout() return (watchdog_timeout()) end

local ENTROPY = 256 -- bytes, the most getentropy gives at once
local entropy = ffi.new("uint8_t[?]", ENTROPY)
local entropy_used = ENTROPY

function mtev.uuid()
  if entropy_used == ENTROPY then
    if C.luamtev_getentropy(entropy, ENTROPY) ~= 0 then error("uuid: no random bytes, errno " .. ffi.errno(), 2) end
    entropy_used = 0
  end
  local b = entropy + entropy_used
  entropy_used = entropy_used + 16
  b[6] = bor(band(b[6], 0x0f), 0x40) -- version 4, RFC 9562
  b[8] = bor(band(b[8], 0x3f), 0x80)
  return format("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4],
    b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15])
end

local exit = checked(border.exit)

-- Ends the process with a status, after everything logged and printed is written; *close*: with its children.
function os.exit(code, close)
  if code == nil or code == true then code = 0 elseif code == false then code = 1 end
  local status = numeral(code)
  if not status then refuse(1, "exit", "exit status", type(code), 2) end
  C.luamtev_fflush(nil)
  home.kernel.end_visit()
  exit(status, close and true or false)
end

for name, value in pairs(settings.constants) do _G[name] = value end
_G.MTEV_HOOK_CONTINUE, _G.MTEV_HOOK_DONE, _G.MTEV_HOOK_ABORT = 0, 1, 2
arg = settings.arg
ENV = settings.env
