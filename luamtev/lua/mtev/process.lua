-- mtev.spawn: child processes, each in a process group of its own, with pipes to its standard streams.
-- What a wait status says: mtev.WIFEXITED and the rest.

local home = ...

local class = home.need("mtev/object")
local from_fd = home.need("mtev/eventer").from_fd
local ffi = require("ffi")
local bit = require("bit")
local kernel, border, checked = home.kernel, home.border, home.checked
local reclaim = home.need("reclaim")
local refuse, numeral = home.need("arguments").refuse, home.need("arguments").numeral
local band, rshift = bit.band, bit.rshift
local type, tostring, tonumber, pairs, ipairs = type, tostring, tonumber, pairs, ipairs
local find, concat, sort = string.find, table.concat, table.sort
local huge = math.huge

local numbers = border.process_constants()
local CANNOT_START = 127 * 256 -- the wait status of a process that never was

local spawn, wait, poll = checked(border.process_spawn), checked(border.process_wait), checked(border.process_poll)
local kill, kill_group = checked(border.process_kill), checked(border.process_kill_group)
local give_up, release = border.ticket_cancel, border.process_release

-- Arguments ----------------------------------------------------------------------------------------------------------

local function check_path(path, name)
  if type(path) ~= "string" then refuse(1, name, "path", type(path), 4) end
  if path == "" or find(path, "\0", 1, true) then refuse(1, name, "path", "'" .. path .. "'", 4) end
  return path
end

local function is_text(value)
  local kind = type(value)
  return (kind == "string" or kind == "number") and not find(value, "\0", 1, true)
end

local function pack(texts)
  texts[#texts + 1] = ""
  return concat(texts, "\0")
end

local function check_argv(argv, path, name)
  if argv == nil then argv = { path } end
  if type(argv) ~= "table" then refuse(2, name, "array of arguments", type(argv), 4) end
  local texts = {}
  for i, each in ipairs(argv) do
    if not is_text(each) then refuse(2, name, "array of strings", type(each) .. " at " .. i, 4) end
    texts[i] = tostring(each)
  end
  if #texts == 0 then texts[1] = path end
  return pack(texts)
end

-- "K=V" strings, or a map of keys and values.
local function check_env(env, name)
  if env == nil then return "" end
  if type(env) ~= "table" then refuse(3, name, "array of K=V strings", type(env), 4) end
  local texts = {}
  for key, value in pairs(env) do
    if not is_text(value) then refuse(3, name, "array of K=V strings", type(value) .. " at " .. tostring(key), 4) end
    local entry = type(key) == "number" and tostring(value) or tostring(key) .. "=" .. tostring(value)
    if not find(entry, "^[^=%z]+=") then refuse(3, name, "array of K=V strings", "'" .. entry .. "'", 4) end
    texts[#texts + 1] = entry
  end
  sort(texts)
  return pack(texts)
end

-- What to start a process from, packed; raises at the caller of the function of the API that calls this.
local function prepare(name, path, argv, env)
  path = check_path(path, name)
  return path, check_argv(argv, path, name), check_env(env, name)
end

local function check_signal(value, name)
  if value == nil then return numbers.SIGTERM end
  local number = tonumber(value)
  if not number or number % 1 ~= 0 then refuse(1, name, "signal number", tostring(value), 3) end
  return number
end

-- The process -----------------------------------------------------------------------------------------------------------

local methods = {}

function methods:pid() return self.number end

local function sent(failure)
  if failure then return false, failure end
  return true, nil
end

-- kill([signal=TERM]): true, or false and an errno.
function methods:kill(signal)
  signal = check_signal(signal, "kill")
  if not self.guard then return false, self.errno end
  return sent(kill(self.guard[0], signal))
end

-- The same for the process and all that it started in its group.
function methods:pgkill(signal)
  signal = check_signal(signal, "pgkill")
  if not self.guard then return false, self.errno end
  return sent(kill_group(self.guard[0], signal))
end

-- wait([timeout=0 in seconds]): the wait status; or nil and ETIMEDOUT, or ECHILD once it was told.
function methods:wait(timeout)
  timeout = timeout == nil and 0 or kernel.seconds(timeout, "wait", 2)
  if not self.guard then return CANNOT_START, nil end
  if self.told then return nil, numbers.ECHILD end
  local status
  if timeout <= 0 then
    status = poll(self.guard[0])
  else
    kernel.parkable()
    local ticket = kernel.ticket()
    status = wait(self.guard[0], ticket)
    if not status then
      status = kernel.await(ticket, timeout < huge and timeout or nil)
      if not status then give_up(ticket) end
    end
  end
  if not status then return nil, numbers.ETIMEDOUT end
  self.told = true
  return status
end

local new_process = class("mtev.process", methods)

-- The process and its pipes; or one that is none, an errno, nil and the file it was about.
local function start(path, argv, env, directory)
  local handle, pid, stdin, stdout, stderr = spawn(path, argv, env, directory)
  if not handle and reclaim(pid) then
    handle, pid, stdin, stdout, stderr = spawn(path, argv, env, directory)
    if not handle then reclaim(pid, true) end
  end
  if not handle then return new_process({ number = -1, guard = false, errno = pid, told = false }), pid, nil, stdin end
  local guard = ffi.gc(ffi.new("double[1]", handle), function(it) release(it[0]) end)
  return new_process({ number = pid, guard = guard, told = false }), from_fd(stdin, "pipe"),
    from_fd(stdout, "pipe"), from_fd(stderr, "pipe")
end

-- spawn(path[, argv[, env]]): the process and its stdin, stdout and stderr; a process that is none and an errno when it
-- cannot be started.
function mtev.spawn(path, argv, env)
  path, argv, env = prepare("spawn", path, argv, env)
  local process, stdin, stdout, stderr = start(path, argv, env)
  if not stdout then return process, stdin end
  return process, stdin, stdout, stderr
end


-- Wait statuses -----------------------------------------------------------------------------------------------------------

local function check_status(value, name)
  local status = numeral(value)
  if not status then
    refuse(1, name, "wait status", type(value), 3)
  end
  return status
end

local CONTINUED = ffi.os == "Linux" and 0xffff or 0x137f

local questions = {
  WIFEXITED = function(status) return band(status, 0x7f) == 0 end,
  WEXITSTATUS = function(status) return band(rshift(status, 8), 0xff) end,
  WIFSIGNALED = function(status) return band(status, 0x7f) ~= 0 and band(status, 0x7f) ~= 0x7f end,
  WTERMSIG = function(status) return band(status, 0x7f) end,
  WCOREDUMP = function(status) return band(status, 0x80) ~= 0 end,
  WIFSTOPPED = function(status) return band(status, 0xff) == 0x7f and status ~= CONTINUED end,
  WSTOPSIG = function(status) return band(rshift(status, 8), 0xff) end,
  WIFCONTINUED = function(status) return status == CONTINUED end,
}
for name, question in pairs(questions) do
  mtev[name] = function(status) return question(check_status(status, name)) end
end

-- `start` takes what `prepare` gives, and a directory.
return { prepare = prepare, start = start, numbers = numbers }
