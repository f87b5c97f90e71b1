-- Runs the functions of specs in mtev coroutines: those of one test (or one block) share a coroutine, a time limit
-- stops them, errors come with their stack, and failures of coroutines a test left behind are attributed to it.

local use = ...
local failure = use("failure")
local compare = use("luassert/compare")
local format = use("luassert/format")
local pack = compare.pack

local M = {}

local spawn, waitfor, notify, sleep = mtev.coroutine_spawn, mtev.waitfor, mtev.notify, mtev.sleep
local cancel, time = mtev.cancel_coro, mtev.time
local running, traceback = coroutine.running, debug.traceback

local COUNT = 10000 -- instructions between two looks at the clock

local limit = nil -- seconds that the running function of a spec has, or nil
local active = nil -- the worker that runs a function now
local deadline, compiling, expired = math.huge, true, false
local owner_of = setmetatable({}, { __mode = "k" }) -- coroutine -> worker that it descends from
local last_key = 0
local late = function() end

-- Errors --------------------------------------------------------------------------------------------------------------

-- The lines of a stack that are not the runner's own.
local function trimmed(stack)
  local lines = {}
  for line in stack:gmatch("[^\n]+") do
    local source = line:match("^%s+(%S-):%d+:") or ""
    local own = source ~= "" and failure.is_own("@" .. source) or source:find("^luamtev/")
    if not own and not line:find("^%s*%[C%]: in function '[xp]*call'") and not line:find("%[builtin:[xp]*call%]")
      and not line:find("^%s*%[C%]: in function 'error'") then
      lines[#lines + 1] = line
    end
  end
  return table.concat(lines, "\n")
end

local function text_of(err)
  if err == nil then return "Nil error" end
  if type(err) == "table" and not compare.hastostring(err) then return format.structure(err) end
  local ok, text = pcall(tostring, err)
  return ok and type(text) == "string" and text or "error object is a " .. type(err) .. " whose tostring fails"
end

-- What is known of an error: kind, message, file and line, the traceback, and the error itself.
local function describe(err, stack)
  local info = { kind = failure.is_raised(err) and "failure" or "error", err = err, traceback = trimmed(stack) }
  if failure.is(err) then
    info.kind, info.message, info.file, info.line = err.kind, err.message, err.file, err.line
  else
    info.message = failure.without_own_place(text_of(err))
    info.file, info.line = info.message:match("^([^\n]-):(%d+): ")
    if not info.file then
      info.file, info.line = info.traceback:match("\n%s+([^\n]-):(%d+): in ")
      if info.file then info.message = info.file .. ":" .. info.line .. ": " .. info.message end
    end
    info.line = tonumber(info.line)
  end
  info.short_src, info.currentline = info.file, info.line
  return info
end
M.describe = describe

local function catch(err)
  if failure.is(err) and err.described then return err.described end
  return describe(err, traceback("", 2))
end
M.catch = catch -- for xpcall

-- What catch() made of an error; or that there was no room left to make it.
local function caught(info)
  if type(info) == "table" then return info end
  return describe("stack overflow: no room was left to say where", "")
end
M.caught = caught

-- Time limit ----------------------------------------------------------------------------------------------------------

local function timeout_text() return ("timeout: did not end within %g s"):format(limit) end

-- Called every COUNT instructions, and once the time is up at each one, so that no pcall in a loop outlives the error.
-- The kernel's and the runner's own code is left to finish what it does.
local function strike()
  if not active or not expired and time() < deadline then return end
  local source = debug.getinfo(2, "S").source
  if source:find("^@luamtev/") or failure.is_own(source) then return end
  local err = failure.new("error", timeout_text())
  if not expired then
    expired = true
    active.timed_out = describe(err, traceback("", 2))
    debug.sethook(strike, "", 1)
  end
  err.described = active.timed_out
  error(err, 0)
end

-- The hook is not called in compiled code: who has a limit is interpreted, the others are not.
local function compile(on)
  if on == compiling then return end
  compiling = on
  if on then
    jit.on()
  else
    jit.off()
    jit.flush()
  end
end

local function start_clock(seconds)
  limit = seconds
  compile(not seconds)
  if not seconds then return end
  deadline, expired = time() + seconds, false
  debug.sethook(strike, "", COUNT)
end

local function stop_clock()
  if not limit then return end
  limit, deadline, expired = nil, math.huge, false
  debug.sethook()
end

-- From now on, the running function of a spec has *seconds*.
function M.limit(seconds)
  start_clock(seconds)
  local worker = active
  if worker and worker.waiting then
    worker.waiting = false
    notify(worker.done_key) -- who waits for the end of the function learns of its limit
  end
end

-- Workers -------------------------------------------------------------------------------------------------------------

local Worker = {}
Worker.__index = Worker

-- A coroutine for functions that belong together.  *element* answers for what goes wrong.
function M.worker(element)
  return setmetatable({ element = element, co = false, job = false, result = false, waiting = false, parked = false,
    failed = false, timed_out = false, closed = false }, Worker)
end

local function next_key(prefix)
  last_key = last_key + 1
  return prefix .. last_key
end

local function serve(self)
  self.co = running()
  owner_of[self.co] = self
  while self.job do
    local job = self.job
    local result = pack(xpcall(job, catch))
    if not result[1] then result[2] = caught(result[2]) end
    if self.co ~= running() then return end -- given up meanwhile
    self.job, self.result = false, result
    if self.waiting then
      self.waiting = false
      notify(self.done_key)
    end
    if not self.job and not self.closed then -- notify may have brought the next one
      self.parked = true
      waitfor(self.key)
      self.parked = false
    end
  end
end

local function give_up(self)
  local co = self.co
  self.co, self.job, self.parked = false, false, false
  if co then cancel(co) end
end

-- What is known of the error *what* of a function that is suspended.
local function suspended(stack, what)
  local text = trimmed(stack)
  local file, line = text:match("\n%s+([^\n]-):(%d+): in ")
  local message = (file and file .. ":" .. line .. ": " or "") .. what
  return { kind = "error", message = message, file = file, line = tonumber(line), traceback = text }
end

-- Runs f() in the worker's coroutine and waits, *seconds* at most if they are given.  Returns true and its results, or
-- false and what is known of the error.
function Worker:call(f, seconds)
  local outer, outer_limit = active, limit
  active = self
  self.job, self.result, self.failed, self.timed_out = f, false, false, false
  start_clock(seconds)
  if self.parked then
    notify(self.key)
  elseif not self.co then
    self.key, self.done_key = next_key("\0busted job "), next_key("\0busted done ")
    spawn(serve, self)
  end
  while not self.result and not self.failed do
    local rest = limit and deadline - time()
    if rest and rest <= 0 then
      local stack = traceback(self.co)
      give_up(self)
      self.timed_out = suspended(stack, timeout_text())
      break
    end
    self.waiting = true
    waitfor(self.done_key, rest)
    self.waiting = false
  end
  stop_clock()
  active, limit = outer, outer_limit
  local result, wrong = self.result, self.timed_out or self.failed
  self.result = false
  if wrong then
    if not result then give_up(self) end
    return false, wrong
  end
  return unpack(result, 1, result.n)
end

-- Ends the running function of a spec, which waits for something: an error with the message *what*.  Whether one ran.
function M.interrupt(what)
  local worker = active
  if not worker then return false end
  worker.failed = worker.failed or suspended(traceback(worker.co), what)
  if worker.waiting then
    worker.waiting = false
    notify(worker.done_key)
  end
  return true
end

-- Ends the coroutine.
function Worker:close()
  self.closed = true
  if self.parked then notify(self.key) end
end

-- Coroutines that specs start -----------------------------------------------------------------------------------------

local function blame(worker, info)
  if not worker or worker.closed or worker ~= active then
    late(worker and worker.element, info)
    return
  end
  worker.failed = worker.failed or info
  if worker.waiting then
    worker.waiting = false
    notify(worker.done_key)
  end
end

local function finish(worker, ok, ...)
  if not ok then blame(worker, caught((...))) end
end

local function spawned(worker, told, f, ...)
  owner_of[running()] = worker
  if told then told(running()) end
  return finish(worker, xpcall(f, catch, ...))
end

-- In place of mtev.coroutine_spawn: an error in the coroutine fails the test that started it, not the process.
local function guarded_spawn(f, ...)
  if type(f) ~= "function" then return spawn(f, ...) end
  return spawn(spawned, owner_of[running() or false] or active, M.on_spawn(), f, ...)
end

-- The element whose function runs, or from which the running coroutine descends.
function M.owner()
  local worker = owner_of[running() or false] or active
  return worker and worker.element
end

-- Called when specs start a coroutine; what it gives, if anything, is called with the coroutine.
M.on_spawn = function() end

-- Takes over mtev.coroutine_spawn.  on_late(element, info): a failure after the test ended.
function M.install(on_late)
  late = on_late
  mtev.coroutine_spawn = guarded_spawn
end

-- Lets coroutines that are ready have their turn.
function M.give_way() sleep(0) end

return M
