-- Descriptors that only garbage holds: a coroutine that makes sockets or processes over and over, and keeps none, may
-- run out of descriptors long before the collector, which sees a few bytes of each, has any reason to look.
--
--   reclaim(errno, again)   after a system call found no descriptor: true when garbage was collected, so that it is worth
--                           another try; with *again*, that was tried a moment ago, so for a while it is not any more

local home = ...

local collectgarbage, max = collectgarbage, math.max
local monotonic = home.kernel.monotonic
local EMFILE, ENFILE = 24, 23 -- the same on every system
local PAUSE = 1 -- seconds at least without another collection after one in vain
local SHARE = 10 -- times as long as it took, at least: that of a large heap takes its time
local took, next_at = 0, 0

return function(errno, again)
  if errno ~= EMFILE and errno ~= ENFILE or monotonic() < next_at then return false end
  if again then
    next_at = monotonic() + max(PAUSE, SHARE * took)
    return false
  end
  local began = monotonic()
  collectgarbage()
  collectgarbage() -- what the first found to be garbage may hold more
  took = monotonic() - began
  return true
end
