-- Clocks, and what runs take: CPU time by coroutine while somebody looks, a log line for who holds up the loop.

local sub = string.sub
local border, settings, deadlines = ...

local ffi = require("ffi")
local setmetatable, tonumber, getinfo = setmetatable, tonumber, debug.getinfo

ffi.cdef [[
typedef struct { long sec, nsec; } luamtev_timespec;
int luamtev_clock_gettime(int clock, luamtev_timespec *t) __asm__("clock_gettime");
]]
local C = ffi.C
local CLOCK_MONOTONIC = ffi.os == "OSX" and 6 or 1
local CLOCK_THREAD_CPUTIME = ffi.os == "OSX" and 16 or 3
local timespec = ffi.new("luamtev_timespec")

local LOOKING = 60 -- seconds for which CPU time is counted after somebody asked for it

local timing = {}
local spent, spent_until = false, 0 -- CPU seconds by coroutine, until when they are counted
local inner = 0 -- those of runs inside the one that is timed
local slow_byte, slow_threshold = settings.slow_byte, settings.slow_threshold -- of the log of slow callbacks
local enabled = ffi.cast("const volatile uint8_t *", ffi.cast("uintptr_t", border.log_enabled_address()))

local function monotonic()
  C.luamtev_clock_gettime(CLOCK_MONOTONIC, timespec)
  return tonumber(timespec.sec) + tonumber(timespec.nsec) * 1e-9
end
timing.monotonic = monotonic

local function cpu_time()
  C.luamtev_clock_gettime(CLOCK_THREAD_CPUTIME, timespec)
  return tonumber(timespec.sec) + tonumber(timespec.nsec) * 1e-9
end

-- Whether each run is to be timed from *now* on.
function timing.is_wanted(now)
  if spent and now > spent_until then spent = false end
  return spent ~= false or (slow_threshold and enabled[slow_byte] % 2 == 1) or false
end

-- Before a run: what `note` wants to know after it.
function timing.begin()
  local around = inner
  inner = 0
  return around, cpu_time(), monotonic()
end

-- What a run took: CPU without that of runs inside it; on the clock with them, for the loop was held up by all of it.
function timing.note(co, around, began, clocked)
  local took = cpu_time() - began
  if spent then spent[co] = (spent[co] or 0) + took - inner end
  inner = around + took
  if slow_threshold and enabled[slow_byte] % 2 == 1 then
    local held_up = monotonic() - clocked
    if held_up >= slow_threshold then border.slow_coroutine(timing.place(co), held_up) end
  end
end

-- Seconds since *task* was spawned, and of CPU it has used since somebody began to look; looking goes on for a minute.
function timing.ages(task)
  local now = monotonic()
  if not spent then spent = setmetatable({}, { __mode = "k" }) end
  spent_until = now + LOOKING
  return now - deadlines.born(task), spent[task.co] or 0
end

-- Where a coroutine, by default the running one, is in its user's code, as file:line; nil where it is in none, or has
-- gone further into ours than *depth* calls.
function timing.place(co, depth)
  for level = 0, depth or 40 do
    local info
    if co then info = getinfo(co, level, "Sl") else info = getinfo(level + 2, "Sl") end
    if not info then return nil end
    if info.what ~= "C" and sub(info.source, 1, 9) ~= "@luamtev/" then
      return info.short_src .. ":" .. info.currentline
    end
  end
end

return timing
