-- Coroutines, sleep, waitfor and notify: the kernel under its public names.

local home = ...

local kernel, from_seconds = home.kernel, home.timeval_from_seconds
local seconds, sleep, monotonic = kernel.seconds, kernel.sleep, kernel.monotonic

mtev.coroutine_spawn = kernel.spawn
mtev.cancel_coro = kernel.cancel
mtev.waitfor = kernel.waitfor
mtev.notify = kernel.notify

function mtev.sleep(duration)
  local start = monotonic()
  sleep(seconds(duration, "sleep", 2))
  return from_seconds(monotonic() - start)
end
