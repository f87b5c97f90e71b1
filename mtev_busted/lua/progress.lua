-- A line on the terminal that says how far a long run is; gone before anything else is written.

local use, plan = ...
local base = use("outputs/base")
local busted = use("core")

local time = mtev.time -- a spec may put a stub in its place
local AFTER, EVERY = 2, 0.5 -- seconds of the run before the first line, and between two

if not plan.progress then return end

local started, shown_at, shown, file_number = nil, 0, false, 0

local function clear()
  if not shown then return end
  shown = false
  io.stderr:write("\r\27[K")
end

base.before_write = clear

local function show()
  local now = time()
  if now - started < AFTER or now - shown_at < EVERY then return end
  local results = base.results
  io.stdout:flush()
  io.stderr:write(("\r\27[K… file %d of %d, %s, %d failed, %.0f s"):format(file_number, #plan.files,
    base.count(results.tests, "test"), #results.failures + #results.errors, now - started))
  shown_at, shown = now, true
end

busted.subscribe({ "suite", "start" }, function() started, file_number = time(), 0 end)
busted.subscribe({ "file", "start" }, function() file_number = file_number + 1 end)
busted.subscribe({ "test", "start" }, show)
busted.subscribe({ "test", "end" }, show)
busted.subscribe({ "suite", "end" }, clear)
