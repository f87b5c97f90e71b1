-- Coroutines, sleep, waitfor and notify: the kernel under its public names.

local home = ...

local match = string.match
local kernel, from_seconds = home.kernel, home.need("mtev/timeval").from_seconds
local sleep, monotonic = kernel.sleep, kernel.monotonic
local tonumber, tostring, type, pairs = tonumber, tostring, type, pairs

mtev.coroutine_spawn = kernel.spawn
coroutine._resume = coroutine.resume -- the original keeps another one there

-- Forgets a coroutine, given itself or the address by which tostring shows it; one that is over, or not there, is no error.
function mtev.cancel_coro(which)
  local address = type(which) == "string" and match(which, "0x%x+")
  if not address then return kernel.cancel(which) end
  for co in pairs(kernel.tasks()) do
    if match(tostring(co), "0x%x+") == address then return kernel.cancel(co) end
  end
end

mtev.waitfor = kernel.waitfor
mtev.notify = kernel.notify

-- Suspends for so many seconds; what is no number counts as 0.  Returns the time slept.
function mtev.sleep(duration)
  duration = tonumber(duration) or 0
  local start = monotonic()
  sleep(duration == duration and duration or 0)
  return from_seconds(monotonic() - start)
end
