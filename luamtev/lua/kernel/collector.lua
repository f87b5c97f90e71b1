-- When garbage is collected: by visits of the event loop, in its own turn.
--
-- A full collection goes through the heap in slices, one a visit, and the loop is called again at once until it is
-- through: nobody waits for a whole one.

local collectgarbage = collectgarbage
local kernel, settings = ...

local REST = 99 -- a full collection is followed by so many times as long without one, however many visits that is: 1 %
local SLICE = 0.0001 -- seconds of a collection that others wait for
local PIECE = 32 -- of the collector's work between two looks at the clock, in KB of garbage that it is for
local SPARE = 8192 -- KB of garbage that a small heap may have before the collector sets out again

local collector = {}
local visits = 0
local due = false -- or "step", or "full"
local next_full = 0 -- not before then
local is_under_way, spent = false, 0 -- a full collection; what it took so far, in seconds
local gc_full, gc_step = settings.gc_full, settings.gc_step

-- How often the event loop has called.
function collector.visits() return visits end

function collector.is_due() return due end

-- Whoever calls in for an answer gets it first: only pump collects.
function collector.visit()
  visits = visits + 1
  if gc_full > 0 and visits % gc_full == 0 then
    due = "full"
  elseif gc_step > 0 then
    due = due or "step"
  end
end

-- Goes on with a full collection; true when it is through.
local function slice()
  local began = kernel.monotonic()
  if not is_under_way then
    if began < next_full then return true end
    is_under_way, spent = true, 0
  end
  local now
  repeat
    is_under_way = not collectgarbage("step", PIECE)
    now = kernel.monotonic()
  until not is_under_way or now - began >= SLICE
  spent = spent + now - began
  if is_under_way then return false end
  if not settings.gc_pause then
    local pause = 100 + 100 * SPARE / collectgarbage("count")
    collectgarbage("setpause", pause < 200 and 200 or pause > 300 and 300 or pause)
  end
  next_full = now + spent * REST
  return true
end

-- Does what is due, or a part of it.
function collector.collect()
  if due == "full" and not slice() then return end
  if gc_step > 0 then collectgarbage("step", gc_step) end
  due = false
end

return collector
