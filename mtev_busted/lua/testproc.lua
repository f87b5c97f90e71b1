-- TestProc: a program under test, as start_child makes it: ready when it has said so on stderr, which is copied to a file
-- and can be watched line by line.

local use = ...
local failure = use("failure")

local TestProc = {}
TestProc.__index = TestProc
TestProc.__tostring = function(self) return "TestProc " .. self.path .. " (" .. self:pid() .. ")" end

local TERM_SECONDS, KILL_SECONDS = 2, 10
local LAST_LINES = 20 -- of stderr, logged when a child does not get ready

local running = {} -- children -> true
local ffi = require("ffi")
ffi.cdef("char *strerror(int);")

local notify, waitfor, spawn = mtev.notify, mtev.waitfor, mtev.coroutine_spawn -- a spec may put stubs in their places

-- The directory of the file that calls.
local function calling_directory()
  local file = failure.location()
  return file and file:match("^(.*)/") or "."
end

local function calling_place()
  local file, line = failure.location()
  return file and file .. ":" .. line or "?"
end

-- An environment, of a map or of a list of "K=V", as a list.
local function flat(env)
  if env == nil then
    env = { UMEM_DEBUG = "default" }
    for key, value in pairs(ENV) do env[key] = value end
  end
  local list = {}
  for key, value in pairs(env) do
    list[#list + 1] = type(key) == "number" and value or key .. "=" .. tostring(value)
  end
  return list
end

-- props: path, argv, env, dir, logname, boot_match (a Lua pattern, a function of a line, or false to wait for nothing),
-- timeout.
function TestProc:new(props)
  local argv = props.argv or { props.path }
  local name = props.logname or tostring(argv[1] or props.path):match("[^/]*$")
  local boot_match = props.boot_match
  if boot_match == nil then boot_match = "eventer_loops started" end
  return setmetatable({ path = props.path or argv[1], argv = argv, env = flat(props.env),
    dir = props.dir or calling_directory(), logname = name, boot_match = boot_match, timeout = props.timeout or 5,
    watches = {}, last_lines = {} }, TestProc)
end

-- Lines ---------------------------------------------------------------------------------------------------------------

local function take(self, line)
  if #self.last_lines == LAST_LINES then table.remove(self.last_lines, 1) end
  table.insert(self.last_lines, line)
  for key, watch in pairs(self.watches) do
    local ok, matched = pcall(function()
      watch.matches(nil)
      return watch.matches(line)
    end)
    if not ok then
      mtev.log("error", "start_child: a watch of %s failed and is dropped: %s\n", self.logname, matched)
      self.watches[key] = nil
      notify(key, false)
    elseif matched and not watch.stopped then
      if not watch.many then watch.stopped = true end
      table.insert(watch.lines, line)
      notify(watch.key, true)
    end
  end
end

local function read_lines(self, stderr, file)
  stderr = stderr:own()
  while true do
    local line = stderr:read("\n")
    if not line or line == "" then break end
    file:write(line)
    file:flush()
    take(self, line)
  end
  stderr:close()
  file:close()
  self.ended = true
  for _, watch in pairs(self.watches) do notify(watch.key, false) end
end

-- Watches for lines that matches(line) says yes to, one or *many*; it is called with nil before each line.  Returns what
-- waitfor and watchfor_stop take.
function TestProc:watchfor(matches, many)
  local key = mtev.uuid()
  self.watches[key] = { key = key, matches = matches, many = many or false, lines = {}, stopped = false }
  return key
end

function TestProc:watchfor_stop(key) self.watches[key] = nil end

-- The next line of a watch, waited for *timeout* seconds; or nil.
function TestProc:waitfor(key, timeout)
  local watch = self.watches[key]
  if not watch then return nil end
  local deadline = timeout and mtev.time() + timeout
  while not watch.lines[1] and not self.ended do
    local left = deadline and deadline - mtev.time()
    if left and left <= 0 then return nil end
    if not waitfor(key, left) then break end
  end
  return table.remove(watch.lines, 1)
end

-- Life ----------------------------------------------------------------------------------------------------------------

local function spawn_process(self)
  local proc, stdin, stdout, stderr = mtev.spawn(self.path, self.argv, self.env)
  if proc:pid() < 0 then return nil, ffi.string(ffi.C.strerror(stdin)) end
  return proc, stdin, stdout, stderr
end

-- What to call each line with, to hear whether the child is ready.
local function boot_matcher(match)
  return function(line)
    if line == nil then return end
    if type(match) == "function" then return match(line) end
    return line:find(match) ~= nil
  end
end

local function what_became_of(self)
  local status = self.ended and self:wait(1)
  if not status then return ("not ready within %g s"):format(self.timeout) end
  if mtev.WIFEXITED(status) then return "ended with status " .. mtev.WEXITSTATUS(status) end
  return "was ended by signal " .. mtev.WTERMSIG(status)
end

-- Starts the program and waits until it is ready; returns itself, or nil when it did not start or get ready, which is
-- logged.
function TestProc:start()
  if self.proc then error("can't start already started proc", 2) end
  local path = self.dir .. "/" .. self.logname .. ".out"
  local file, message = io.open(path, "wb")
  if not file then error("Could not open: " .. message, 2) end
  local proc, stdin, stdout, stderr = spawn_process(self)
  if not proc then
    file:close()
    mtev.log("error", "%s: start_child: %s: cannot start proc: %s\n", calling_place(), self.path, stdin)
    return nil
  end
  stdin:close()
  stdout:close()
  self.proc, self.ended = proc, false
  running[self] = true
  local booted = self.boot_match and self:watchfor(boot_matcher(self.boot_match))
  spawn(read_lines, self, stderr, file)
  if not booted then return self end
  local line = self:waitfor(booted, self.timeout)
  self:watchfor_stop(booted)
  if line then return self end
  mtev.log("error", "%s: start_child: %s: %s, expected a line of its stderr that %s; the last of it:\n%s",
    calling_place(), self.logname, what_became_of(self), type(self.boot_match) == "string"
      and "matches '" .. self.boot_match .. "'" or "boot_match takes", table.concat(self.last_lines))
  self:kill()
  self.proc = nil
  return nil
end

-- Runs the program to its end; returns its wait status and what it wrote to stdout and stderr.
function TestProc:capturecommand()
  if self.proc then error("can't start already started proc", 2) end
  local proc, stdin, stdout, stderr = spawn_process(self)
  if not proc then error("cannot start proc: " .. self.path .. ": " .. stdin, 2) end
  stdin:close()
  local texts, key = {}, mtev.uuid()
  for i, stream in ipairs({ stdout, stderr }) do
    spawn(function()
      local own, parts = stream:own(), {}
      repeat
        local data = own:read(65536)
        parts[#parts + 1] = data
      until not data or #data == 0
      own:close()
      texts[i] = table.concat(parts)
      notify(key, true)
    end)
  end
  while not (texts[1] and texts[2]) do waitfor(key) end
  local status
  repeat status = proc:wait(60) until status
  return status, texts[1], texts[2]
end

-- The process id, or -1.
function TestProc:pid() return self.proc and self.proc:pid() or -1 end

-- The wait status, waited for *timeout* seconds; or nil and an errno.
function TestProc:wait(timeout)
  if not self.proc then return nil end
  local status, errno = self.proc:wait(timeout)
  self.status = self.status or status
  return status, errno
end

local function signal(self, number) return self.proc ~= nil and self.proc:kill(number) end

function TestProc:pause() return signal(self, 19) end

function TestProc:resume() return signal(self, 18) end

-- TERM, and after 2 seconds KILL.  Returns true and the wait status; raises if the process outlives that.
function TestProc:kill()
  running[self] = nil
  if not self.proc then return false end
  signal(self, 15)
  signal(self, 18) -- one that is stopped would not hear of it
  if not self.status then self:wait(TERM_SECONDS) end
  self.proc:pgkill(9)
  if not self.status then self:wait(KILL_SECONDS) end
  if not self.status then error("Couldn't quit process", 2) end
  return true, self.status
end

-- Leaks are found by libumem, which is not here: nil, and why.
function TestProc:find_leaks() return nil, "no leak finder: " .. self.path .. " does not run under libumem" end

-- Watches as mtev.Proc has them: logwatch(match[, limit]) gives an object with wait([timeout]) and stop().
function TestProc:logwatch(match, limit)
  local key = self:watchfor(type(match) == "string" and mtev.pcre(match) or match, limit ~= 1)
  local child = self
  return { wait = function(_, timeout) return child:waitfor(key, timeout) end,
    stop = function() child:watchfor_stop(key) end }
end

-- Ends every child that still runs.
function TestProc.kill_all()
  for child in pairs(running) do child:kill() end
end

return TestProc
