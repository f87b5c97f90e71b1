-- assert.eventually(f, timeout): waits, as a coroutine, until f() returns without an error and not false or nil.

local use = ...
local checks = use("luassert/checks")
local compare = use("luassert/compare")
local matcher = use("luassert/matcher")
local say = use("luassert/say")
local snapshots = use("luassert/snapshots")

local TIMEOUT, FIRST, LONGEST = 1, 0.001, 0.1 -- seconds: to wait in all; between two tries, at first and at most

local time, sleep = mtev.time, mtev.sleep -- a spec may put stubs in their places

say:set("assertion.eventually.positive", "Expected to come true within %s s.  The last of %s tries:\n%s")
say:set("assertion.eventually.negative", "Expected not to come true within %s s, but it did at try %s:\n%s")

local function try(f)
  local results = compare.pack(pcall(f))
  if not results[1] then return false, compare.hastostring(results[2]) and tostring(results[2]) or results[2] end
  return results.n == 1 or not not results[2], matcher.arglist(compare.unpack(results, 2))
end

checks.register({ "eventually" }, function(state, arguments)
  local f = checks.callable(arguments[1], "eventually", 1)
  local timeout = arguments[2] == nil and TIMEOUT or checks.number(arguments[2], "eventually", 2)
  if not (timeout >= 0) then checks.refuse(timeout, "eventually", 2, "number of seconds, at least 0") end
  checks.message(state, arguments, 3)
  local deadline, pause, tries = time() + timeout, FIRST, 0
  local came, results
  local asked = snapshots.asked()
  repeat
    local last = time() >= deadline
    tries = tries + 1
    snapshots.asked(asked)
    came, results = try(f)
    if came or last then break end
    sleep(math.max(0, math.min(pause, deadline - time())))
    pause = math.min(pause * 2, LONGEST)
  until false
  if came ~= state.mod then
    local shown = results
    if matcher.is_arglist(results) and results.n == 1 then shown = results[1] end
    arguments[1], arguments[2], arguments[3] = tostring(timeout), tostring(tries), shown
    arguments.n, arguments.nofmt = 3, { true, true, type(shown) == "string" }
  end
  return came, matcher.is_arglist(results) and results or nil
end)
