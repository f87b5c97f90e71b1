-- mtev_perftimer_*, mtev_now_ms, mtev_now_us, mtev_get_nanos, mtev_sys_gethrtime, mtev_gettimeofday.

local _, arguments = ...

local ffi = require("ffi")
local pointer = arguments.pointer
local C = ffi.C

local CLOCK_REALTIME, CLOCK_MONOTONIC = 0, ffi.os == "OSX" and 6 or 1
local BILLION = 1000000000LL

local timespec = ffi.new("luamtev_timespec")
local timer_type, timeval_type = ffi.typeof("int64_t *"), ffi.typeof("luamtev_timeval *")

local function nanoseconds(clock)
  C.luamtev_clock_gettime(clock, timespec)
  return BILLION * timespec.sec + timespec.nsec
end

local M = {}

-- The timer is the caller's 64 bytes, of which the first eight are used.
function M.mtev_perftimer_start(timer)
  pointer(timer_type, timer, "mtev_perftimer_start", "the timer")[0] = nanoseconds(CLOCK_MONOTONIC)
end

-- Nanoseconds since the start.
function M.mtev_perftimer_elapsed(timer)
  return nanoseconds(CLOCK_MONOTONIC) - pointer(timer_type, timer, "mtev_perftimer_elapsed", "the timer")[0]
end

function M.mtev_get_nanos() return nanoseconds(CLOCK_MONOTONIC) + 0ULL end

M.mtev_sys_gethrtime = M.mtev_get_nanos

function M.mtev_now_us() return nanoseconds(CLOCK_REALTIME) / 1000 + 0ULL end
function M.mtev_now_ms() return nanoseconds(CLOCK_REALTIME) / 1000000 + 0ULL end

function M.mtev_gettimeofday(timeval)
  return C.luamtev_gettimeofday(pointer(timeval_type, timeval, "mtev_gettimeofday", "t"), nil)
end

return M
