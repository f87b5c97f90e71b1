-- When garbage is collected: by visits of the event loop, in its own turn.

local kernel, settings = ...

local REST = 99 -- a full collection is followed by so many times as long without one, however many visits that is: 1 %
local SPARE = 8192 -- KB of garbage that a small heap may have before the collector sets out again

local collector = {}
local visits = 0
local due = false -- or "step", or "full"
local next_full = 0 -- not before then
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

-- Does what is due.
function collector.collect()
  if due == "full" then
    local began = kernel.monotonic()
    if began >= next_full then
      collectgarbage("collect")
      if not settings.gc_pause then
        local pause = 100 + 100 * SPARE / collectgarbage("count")
        collectgarbage("setpause", pause < 200 and 200 or pause > 300 and 300 or pause)
      end
      local now = kernel.monotonic()
      next_full = now + (now - began) * REST
    end
  end
  if gc_step > 0 then collectgarbage("step", gc_step) end
  due = false
end

return collector
