-- mtev.trace: the trace points of the stack.  Manual: DTrace-accessible Observability.
--
-- A point is heard when its cell, 32 bits of memory shared with whoever listens, is not zero (runtime.trace).  For who
-- passes a point: where cells[n] of n = number_of(name) is not 0, tell(n, values of its arguments).

local home = ...

local ffi = require("ffi")
local class, check_bytes = home.need("mtev/object"), home.need("arguments").check_bytes
local refuse = home.need("arguments").refuse
local border, checked = home.border, home.checked
local listen, number_of = checked(border.trace_subscribe), checked(border.trace_number)
local finish, lost = border.trace_end, border.trace_lost
local type = type

local subscribers, count = {}, 0 -- number -> function

-- A subscription: lost(), how many events were not heard since too many waited; cancel(), the end of it.
local new_subscription = class("mtev.trace.subscription", {
  cancel = function(self)
    subscribers[self.number] = nil
    finish(self.number)
  end,
  lost = function(self) return lost(self.number) end,
})

mtev.trace = {}

-- The points: name and arguments, their names, of each.
function mtev.trace.points() return border.trace_points() end

-- Has *f* called with the arguments of point *name*, in a coroutine of this state, soon after each time it is passed.
function mtev.trace.subscribe(name, f)
  name = check_bytes(name, "subscribe")
  if type(f) ~= "function" then
    refuse(2, "subscribe", "function", type(f), 2)
  end
  listen(count + 1, name)
  count = count + 1
  subscribers[count] = f
  return new_subscription({ number = count })
end

-- What happened goes to subscriber *number*, which may be gone.
local function call(number, ...)
  local f = subscribers[number]
  if f then f(...) end
end

return {
  call = call,
  cells = ffi.cast("const volatile uint32_t *", ffi.cast("uintptr_t", border.trace_address())),
  number_of = number_of,
  tell = border.trace_tell,
}
