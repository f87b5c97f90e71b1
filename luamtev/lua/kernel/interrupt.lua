-- Interruption of whoever runs for too long: only in states that ask for it, for hooks fire in interpreted code alone.

local kernel, settings = ...

local COUNT = 10000 -- instructions between two looks at the clock
local limit, expired = math.huge, false

local function check()
  if not kernel.is_running() or not (expired or kernel.monotonic() > limit) then return end
  local source = debug.getinfo(2, "S").source
  if source == "@luamtev/kernel.lua" or source:sub(1, 16) == "@luamtev/kernel/" then return end -- registries stay whole
  if not expired then
    expired = true
    debug.sethook(check, "", 1) -- so that no pcall in a loop outlives it
  end
  error("interrupted!", 0)
end

kernel.on_visit(function()
  limit = kernel.monotonic() + settings.interrupt_time
  if expired then
    expired = false
    debug.sethook(check, "", COUNT)
  end
end)

jit.off()
debug.sethook(check, "", COUNT)
