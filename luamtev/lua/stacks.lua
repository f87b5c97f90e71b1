-- What every coroutine of a state is doing, told by a coroutine of its own that nobody resumes in this process: somebody
-- who wants to know while Lua runs forks it, and asks the observer in the copy.  Returns the observer's address.

local home = ...

local match = string.match
jit.off(true, true) -- in the copy a trace may seem to be running

local kernel = home.kernel
local pairs, tostring, type, traceback = pairs, tostring, type, debug.traceback
local getinfo, getlocal, status, concat = debug.getinfo, debug.getlocal, coroutine.status, table.concat

local MOST = 50 -- of those that only wait

-- function -> (function(co, level) -> text, handle): what a coroutine with that function on its stack is working for.
home.subjects = {}

-- The coroutine that *co* has resumed and waits for, and whom it works for.
local function look_at(co)
  local inner, subject, handle
  for level = 0, 1000 do
    local frame = getinfo(co, level, "f")
    if not frame then break end
    if not inner and kernel.is_resumer(frame.func) then
      local _, value = getlocal(co, level, 1)
      if type(value) == "thread" and status(value) ~= "dead" then inner = value end
    end
    local describe = home.subjects[frame.func]
    if describe then
      subject, handle = describe(co, level)
      break
    end
  end
  return inner, subject, handle
end

-- Four fields for each coroutine, each followed by a zero byte: what it is, for whom, its number there, its stack.
local function report()
  local parts, suspended = {}, {}
  local function tell(co, what)
    local seen = {}
    repeat
      seen[co] = true
      local inner, subject, handle = look_at(co)
      parts[#parts + 1] = what .. " " .. tostring(co)
      parts[#parts + 1] = tostring(subject or "")
      parts[#parts + 1] = tostring(handle or "")
      parts[#parts + 1] = traceback(co)
      co, what = inner, "inside it"
    until not co or seen[co]
  end
  for co in pairs(kernel.tasks()) do
    if status(co) == "suspended" then suspended[#suspended + 1] = co else tell(co, "running") end
  end
  local answering = kernel.answering()
  if answering then tell(answering, "running outside tasks") end
  for i, co in pairs(suspended) do
    if i > MOST then
      parts[#parts + 1] = "and " .. #suspended - MOST .. " more that wait"
      parts[#parts + 1], parts[#parts + 2], parts[#parts + 3] = "", "", ""
      break
    end
    tell(co, "waiting")
  end
  parts[#parts + 1] = ""
  return concat(parts, "\0")
end

local observer = coroutine.create(report)
home.observer = observer -- for the life of the state

return (tonumber(match(tostring(observer), "0x(%x+)"), 16))
