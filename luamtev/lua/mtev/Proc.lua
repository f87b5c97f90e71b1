-- mtev.Proc: a process to be started, watched by what it writes to stderr, and ended.  Manual: mtev.Proc, mtev.LogWatch.
--
-- One coroutine reads stderr and hands each line, newline included, to whoever listens.  It knows the listeners only, so
-- that a Proc nobody refers to is collected and its process ended.

local home = ...

local open = io.open
local kernel = home.kernel
local refuse, numeral = home.need("arguments").refuse, home.need("arguments").numeral
local processes, eventer = home.need("mtev/process"), home.need("mtev/eventer")
local prepare, start, numbers, read_some = processes.prepare, processes.start, processes.numbers, eventer.read_some
local type, tostring, error, setmetatable, pcall, ipairs, unpack
  = type, tostring, error, setmetatable, pcall, ipairs, unpack
local find, sub, gsub, remove, monotonic, huge =
  string.find, string.sub, string.gsub, table.remove, kernel.monotonic, math.huge

local LONGEST_LINE = 1048576 -- bytes; more are handed on as a line of their own

-- Lines -------------------------------------------------------------------------------------------------------------------

-- Who listens, in order.  The array is replaced, never changed: somebody may be walking it.
local function add(listeners, listen)
  local all = { unpack(listeners.all) }
  all[#all + 1] = listen
  listeners.all = all
end

local function drop(listeners, listen)
  local all = {}
  for _, each in ipairs(listeners.all) do
    if each ~= listen then all[#all + 1] = each end
  end
  listeners.all = all
end

local function hand_on(listeners, line)
  for _, listen in ipairs(listeners.all) do
    local ok, why = pcall(listen, line)
    if not ok then
      drop(listeners, listen)
      mtev.log("error", "mtev.Proc: a listener failed and is dropped: %s\n", why)
    end
  end
end

local function read_lines(event, listeners)
  local rest = ""
  while true do
    local data = read_some(event)
    if not data then break end
    data = rest .. data
    local from = 1
    while true do
      local at = find(data, "\n", from, true)
      if not at then break end
      hand_on(listeners, sub(data, from, at))
      from = at + 1
    end
    rest = sub(data, from)
    if #rest > LONGEST_LINE then
      hand_on(listeners, rest)
      rest = ""
    end
  end
  if rest ~= "" then hand_on(listeners, rest) end
  event:close()
  listeners.ended = true
  for _, at_end in ipairs(listeners.at_end) do at_end() end
end

local function discard(event)
  kernel.spawn(function()
    while read_some(event) do end
    event:close()
  end)
end

-- Watches -----------------------------------------------------------------------------------------------------------------

local Watch = {}
Watch.__index = Watch
Watch.__tostring = function() return "mtev.LogWatch" end

local function wake(watch)
  local task = watch.waiting.line
  if task then kernel.make_ready(task, true) end
end

-- The next line that matched, waited for up to *timeout* seconds (nil: for good); nil when there is none.
function Watch:wait(timeout)
  timeout = timeout == nil and huge or kernel.seconds(timeout, "wait", 2)
  local deadline = monotonic() + timeout
  while not self.lines[1] do
    local left = deadline - monotonic()
    if self.stopped or left <= 0 then return nil end
    if self.waiting.line then error("another coroutine waits for this watch", 2) end
    kernel.park(self.waiting, "line", left < huge and left or nil)
  end
  return remove(self.lines, 1)
end

-- No line is taken from now on; those that were can still be had.
local function finish(watch)
  watch.stopped = true
  drop(watch.listeners, watch.listen)
  wake(watch)
end

-- No line is taken from now on, and those that nobody fetched are dropped.
function Watch:stop()
  self.lines = {}
  finish(self)
end

local function matcher_of(match)
  if type(match) == "function" then return match end
  if type(match) ~= "string" then
    refuse(1, "logwatch", "regular expression or function", type(match), 3)
  end
  local matches, why, at = mtev.pcre(match)
  if not matches then
    error("bad argument #1 to 'logwatch' (" .. tostring(why) .. " at " .. tostring(at) .. " of '" .. match .. "')", 3)
  end
  return function(line)
    matches(nil)
    return (matches(line))
  end
end

-- What says that a process is ready: a pattern of Lua, found in a line with or without its end, or a function of a line.
local function boot_matcher_of(match)
  if type(match) == "function" then return match end
  local good, why = pcall(find, "", match)
  if not good then error("bad option 'boot_match' to 'mtev.Proc:new' (" .. why .. ": '" .. match .. "')", 3) end
  return function(line) return find(line, match) or find(gsub(line, "\n$", ""), match) end
end

local function new_watch(listeners, matches, limit)
  local watch = setmetatable({ listeners = listeners, lines = {}, waiting = {}, stopped = listeners.ended or false }, Watch)
  local found = 0
  function watch.listen(line)
    if not matches(line) then return end
    found = found + 1
    watch.lines[#watch.lines + 1] = line
    if found >= limit then finish(watch) else wake(watch) end
  end
  if not watch.stopped then
    add(listeners, watch.listen)
    listeners.at_end[#listeners.at_end + 1] = function() finish(watch) end
  end
  return watch
end

-- Proc --------------------------------------------------------------------------------------------------------------------

local Proc = {}
Proc.__index = Proc
Proc.__tostring = function(proc) return "mtev.Proc " .. proc.path .. " (" .. proc:pid() .. ")" end

local function expect(options, name, ...)
  local kind = type(options[name])
  for _, each in ipairs({ ... }) do
    if kind == each then return end
  end
  error("bad option '" .. name .. "' to 'mtev.Proc:new' (" .. (...) .. " expected, got " .. kind .. ")", 3)
end

-- Proc:new{path=, argv=, dir=, env=ENV, boot_match="ready", boot_timeout=5}
function Proc:new(options)
  if type(options) ~= "table" then
    refuse(1, "mtev.Proc:new", "table of options", type(options), 2)
  end
  expect(options, "path", "string")
  expect(options, "argv", "table", "nil")
  expect(options, "env", "table", "nil")
  expect(options, "dir", "string", "nil")
  expect(options, "boot_match", "string", "function", "nil")
  local boot_timeout = options.boot_timeout == nil and 5 or numeral(options.boot_timeout)
  if not boot_timeout then expect(options, "boot_timeout", "number", "nil") end
  return setmetatable({
    path = options.path,
    argv = options.argv or { options.path },
    dir = options.dir,
    env = options.env or ENV,
    boot_matches = boot_matcher_of(options.boot_match or "ready"),
    boot_timeout = boot_timeout,
    listeners = { all = {}, at_end = {}, ended = false },
    process = false,
    status = false,
  }, Proc)
end

-- Starts the process; returns itself and, when it cannot be started, an error's text.
function Proc:start()
  kernel.parkable()
  if self.process then error("can't start already started proc", 2) end
  local path, argv, env = prepare("mtev.Proc:start", self.path, self.argv, self.env)
  local process, stdin, stdout, stderr = start(path, argv, env, self.dir)
  self.process = process
  self.boot_deadline = monotonic() + self.boot_timeout
  if not stdout then
    self.listeners.ended = true
    return self, (stderr or self.path) .. ": " .. eventer.error_text(stdin)
  end
  self.boot_watch = new_watch(self.listeners, self.boot_matches, 1)
  stdin:close()
  discard(stdout)
  kernel.spawn(read_lines, stderr, self.listeners)
  return self
end

local function started(proc, name)
  return proc.process or error("mtev.Proc:" .. name .. ": not started", 3)
end

-- How the process ended, waited for up to *timeout* seconds: its wait status, or nil and an errno.
local function await_end(proc, timeout)
  if proc.status then return proc.status end
  local status, errno = proc.process:wait(timeout)
  proc.status = status
  return status, errno
end

-- Whether the process said that it is ready, waited for until its boot_timeout; if not it is killed.
function Proc:ready()
  started(self, "ready")
  if not self.is_ready then
    local watch = self.boot_watch
    self.is_ready = watch and watch:wait(self.boot_deadline - monotonic()) ~= nil or false
    if not self.is_ready then
      if watch then watch:stop() end
      self:kill()
      self.failed = true
    end
  end
  return self.is_ready
end

-- The process id; -1 before the start, and for a process that never got ready.
function Proc:pid() return self.process and not self.failed and self.process:pid() or -1 end

-- The exit status of a process that exited, the wait status of any other.
local function shown_status(status)
  return status and mtev.WIFEXITED(status) and mtev.WEXITSTATUS(status) or status
end

-- TERM, and after *timeout* seconds (2 if omitted) KILL, which those it left behind in its group get in any case.
-- Returns whether the process has ended, its status as wait gives it, an errno; nothing before the start.
function Proc:kill(timeout)
  local process = self.process
  if not process then return end
  timeout = timeout == nil and 2 or kernel.seconds(timeout, "kill", 2)
  process:kill(numbers.SIGTERM)
  process:kill(numbers.SIGCONT) -- one that is stopped would not hear of it
  local status, errno = await_end(self, timeout)
  process:pgkill(numbers.SIGKILL)
  if not status then status, errno = await_end(self, timeout > 2 and timeout or 2) end
  return status ~= nil, shown_status(status), errno
end

-- wait([timeout=0 in seconds]): true and the exit status; false, and the wait status or nil and an errno; nil before the
-- start.
function Proc:wait(timeout)
  if not self.process then return nil end
  timeout = timeout == nil and 0 or kernel.seconds(timeout, "wait", 2)
  local status, errno = await_end(self, timeout)
  if status and mtev.WIFEXITED(status) then return true, mtev.WEXITSTATUS(status) end
  return false, status, errno
end

function Proc:pause() return (started(self, "pause"):kill(numbers.SIGSTOP)) end

function Proc:resume() return (started(self, "resume"):kill(numbers.SIGCONT)) end

-- logwatch(match[, limit]): a watch for lines of stderr, by a regular expression or a function of a line.
function Proc:logwatch(match, limit)
  local most = limit == nil and huge or numeral(limit)
  if not most or not (most >= 1) then
    refuse(2, "logwatch", "number of lines", tostring(limit), 2)
  end
  return new_watch(self.listeners, matcher_of(match), most)
end

-- Calls *listen* with each line; returns itself.
function Proc:loglisten(listen)
  if type(listen) ~= "function" then
    refuse(1, "loglisten", "function", type(listen), 2)
  end
  add(self.listeners, listen)
  return self
end

-- Has each line logged to *stream*, after *prefix*; returns itself.
function Proc:loglog(stream, prefix)
  if type(stream) ~= "string" then
    refuse(1, "loglog", "log stream", type(stream), 2)
  end
  prefix = prefix == nil and "" or tostring(prefix)
  return self:loglisten(function(line) mtev.log(stream, "%s%s", prefix, line) end)
end

-- Has each line written to *file*, which is emptied first; a relative path is one below `dir`.  Returns itself.
function Proc:logwrite(file)
  if type(file) ~= "string" then
    refuse(1, "logwrite", "path", type(file), 2)
  end
  if self.dir and sub(file, 1, 1) ~= "/" then file = self.dir .. "/" .. file end
  local opened, why = open(file, "wb")
  if not opened then error("Could not open: " .. why, 2) end
  opened:setvbuf("line")
  self.listeners.at_end[#self.listeners.at_end + 1] = function() opened:close() end
  return self:loglisten(function(line) opened:write(line) end)
end

mtev.Proc = Proc

return Proc
