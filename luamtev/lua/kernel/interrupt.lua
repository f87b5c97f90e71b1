-- Interruption of whoever runs for too long: only in states that ask for it, for hooks fire in interpreted code alone.

local error = error
local sub = string.sub
local sethook, getinfo = debug.sethook, debug.getinfo
local kernel, settings = ...

local COUNT = 10000 -- instructions between two looks at the clock
local limit, expired = math.huge, false

local function check()
  if not kernel.is_running() or not (expired or kernel.monotonic() > limit) then return end
  if not expired then
    expired = true
    sethook(check, "", 1) -- so that no pcall in a loop outlives it
  end
  if sub(getinfo(2, "S").source, 1, 9) == "@luamtev/" then return end -- our own ends what it has begun
  error("interrupted!", 0)
end

kernel.on_visit(function()
  limit = kernel.monotonic() + settings.interrupt_time
  if expired then
    expired = false
    sethook(check, "", COUNT)
  end
end)

jit.off()
debug.sethook(check, "", COUNT)
