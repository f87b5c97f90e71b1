-- The reactor on epoll, edge-triggered: a descriptor is registered once, for both directions, and one system call tells of many.
-- That is enough because callers try first and wait only after EAGAIN.

local home = ...

local error = error
local kernel, error_text, close = home.kernel, home.need("C").error_text, home.need("C").close

local ffi = require("ffi")
local bit = require("bit")
local band, park, make_ready = bit.band, kernel.park, kernel.make_ready

ffi.cdef [[
typedef struct __attribute__((packed)) { uint32_t events; int fd; uint32_t unused; } luamtev_epoll_packed;
typedef struct { uint32_t events; int fd; uint32_t unused; } luamtev_epoll_aligned;
int luamtev_epoll_create1(int flags) __asm__("epoll_create1");
int luamtev_epoll_ctl(int ep, int op, int fd, void *event) __asm__("epoll_ctl");
int luamtev_epoll_wait(int ep, void *events, int most, int timeout) __asm__("epoll_wait");
]]
local C = ffi.C

local READ, WRITE = 1, 2
local IN, OUT, ERR, HUP, RDHUP, EDGE = 0x001, 0x004, 0x008, 0x010, 0x2000, 0x80000000
local CTL_ADD, CTL_DEL, CTL_MOD, CLOEXEC = 1, 2, 3, 0x80000
local EPERM, EEXIST = 1, 17
local MOST = 256 -- events a poll takes at once

local event_type = ffi.arch == "x64" and "luamtev_epoll_packed" or "luamtev_epoll_aligned"
local events = ffi.new(event_type .. "[?]", MOST)
local request = ffi.new(event_type)

local ep = C.luamtev_epoll_create1(CLOEXEC)
if ep < 0 then error("epoll_create1: " .. error_text(ffi.errno())) end

local known, known_count = {}, 0 -- descriptors registered with epoll
local readers, writers = {}, {} -- kernel registries: fd -> task
kernel.name_registry(readers, "readable")
kernel.name_registry(writers, "writable")
local quiet = {}
local attended = {} -- descriptors of connections without a task, and what is told of their events
local ended = {} -- descriptors whose peer has gone: they are never quiet, for that news comes once

local function register(fd)
  request.events, request.fd = IN + OUT + RDHUP + EDGE, fd
  if C.luamtev_epoll_ctl(ep, CTL_ADD, fd, request) ~= 0 and ffi.errno() ~= EEXIST then
    local errno = ffi.errno()
    if errno == EPERM then return false end -- a file: always ready
    error("cannot wait for descriptor " .. fd .. ": " .. error_text(errno), 3)
  end
  known[fd] = true
  known_count = known_count + 1 -- on its own: a finalizer that forgets another may run inside the store above
  return true
end

local reactor = { READ = READ, WRITE = WRITE, fd = ep, quiet = quiet }

-- reactor.told(object, events) is called with the epoll events of *fd* from now on, instead of a task that waits.
-- *repeated*, it is called again and again for as long as there is something to read, or what reactor.expect(fd, events)
-- said last.
function reactor.attend(fd, object, repeated)
  attended[fd] = object
  if not register(fd) then error("descriptor " .. fd .. " is of a file", 2) end
  if repeated then reactor.expect(fd, IN + RDHUP) end
end

function reactor.expect(fd, what)
  request.events, request.fd = what, fd
  C.luamtev_epoll_ctl(ep, CTL_MOD, fd, request)
end

function reactor.wait(fd, mask, timeout)
  local registry = mask == WRITE and writers or readers
  if registry[fd] then error("another coroutine waits for descriptor " .. fd, 2) end
  if not known[fd] and not register(fd) then return mask end
  return park(registry, fd, timeout)
end

function reactor.drained(fd) if not ended[fd] then quiet[fd] = true end end

function reactor.forget(fd)
  quiet[fd], attended[fd] = nil, nil
  if not known[fd] then return end
  ended[fd] = nil
  known[fd], known_count = nil, known_count - 1
  C.luamtev_epoll_ctl(ep, CTL_DEL, fd, request)
  local reader, writer = readers[fd], writers[fd]
  if reader then make_ready(reader, false) end
  if writer then make_ready(writer, false) end
end

function kernel.poll()
  if known_count == 0 then return end
  for i = 0, C.luamtev_epoll_wait(ep, events, MOST, 0) - 1 do
    local fd, what = events[i].fd, events[i].events
    local object = attended[fd]
    if object then
      reactor.told(object, what)
    elseif band(what, IN + RDHUP + HUP + ERR) ~= 0 then
      local reader = readers[fd]
      if band(what, RDHUP + HUP + ERR) ~= 0 then ended[fd] = true end
      quiet[fd] = nil
      if reader then make_ready(reader, READ) end
    end
    if band(what, OUT + HUP + ERR) ~= 0 then
      local writer = writers[fd]
      if writer then make_ready(writer, WRITE) end
    end
  end
end

reactor.closer = ffi.gc(ffi.new("int[1]", ep), function(p) close(p[0]) end) -- with the state

return reactor
