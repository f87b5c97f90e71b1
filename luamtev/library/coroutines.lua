---@meta
-- Coroutines, time, notification.

---@class mtev.timeval
---@field sec integer
---@field usec integer 0 to 999999
---@operator add(mtev.timeval): mtev.timeval
---@operator sub(mtev.timeval): mtev.timeval
local timeval = {}

---@return number
function timeval:seconds() end

---@class mtev.timevallib
mtev.timeval = {}

---The time of day.
---@return mtev.timeval
function mtev.timeval.now() end

---@param sec number seconds, fractions allowed
---@param usec? number microseconds
---@return mtev.timeval
function mtev.timeval.new(sec, usec) end

---@param tv mtev.timeval
---@return number
function mtev.timeval.seconds(tv) end

---Runs `f(...)` as a coroutine of its own, at once, up to its first suspension.
---@param f function
---@param ... any
function mtev.coroutine_spawn(f, ...) end

---Suspends for so many seconds; 0 until all that is ready had its turn.
---@async
---@param duration number
---@return mtev.timeval slept
function mtev.sleep(duration) end

---Waits for a message under `key`: the key and the values sent, nothing when the time is up.
---@async
---@param key string|number
---@param timeout? number seconds
---@return string? key
---@return any ...
function mtev.waitfor(key, timeout) end

---Sends values to the coroutine that waits for `key`, or queues them.
---@param key string|number
---@param ... any
function mtev.notify(key, ...) end

---Forgets a coroutine: it is never resumed.
---@param co thread
function mtev.cancel_coro(co) end

---@return integer sec
---@return integer usec
function mtev.gettimeofday() end

---Seconds since the epoch, with fractions.
---@return number
function mtev.time() end

---Whether the process was told to end; with `timeout`, waits so many seconds for that.
---@async
---@param timeout? number seconds, `math.huge` for ever
---@return boolean
function mtev.stopping(timeout) end

---Has Lua states made anew, as `luamtev --reload` does when files change.
function mtev.runtime_reload() end

---Whether this state has been replaced; `f` is called as a coroutine when it is.
---@param f? fun()
---@return boolean
function mtev.runtime_defunct(f) end
