-- Coroutines, sleep, waitfor and notify: the kernel under its public names.

local home = ...

local kernel, from_seconds = home.kernel, home.timeval_from_seconds
local sleep, monotonic, tonumber = kernel.sleep, kernel.monotonic, tonumber

mtev.coroutine_spawn = kernel.spawn
mtev.cancel_coro = kernel.cancel
mtev.waitfor = kernel.waitfor
mtev.notify = kernel.notify

-- Suspends for so many seconds; what is no number counts as 0.  Returns the time slept.
function mtev.sleep(duration)
  duration = tonumber(duration) or 0
  local start = monotonic()
  sleep(duration == duration and duration or 0)
  return from_seconds(monotonic() - start)
end
