-- mtev.timeval, and the clocks.  A timeval is a table of sec and usec, 0 <= usec < 1000000.

local getmetatable, error = getmetatable, error
local format = string.format
local ffi = require("ffi")
local floor, type, tonumber, setmetatable = math.floor, type, tonumber, setmetatable

ffi.cdef [[
typedef struct { long sec, usec; } luamtev_timeval;
int luamtev_gettimeofday(luamtev_timeval *t, void *zone) __asm__("gettimeofday");
]]
local C = ffi.C
local clock = ffi.new("luamtev_timeval")

local Timeval = {}
Timeval.__index = Timeval

local function make(sec, usec) return setmetatable({ sec = sec, usec = usec }, Timeval) end

local function normal(sec, usec)
  local carry = floor(usec / 1000000)
  return make(sec + carry, usec - carry * 1000000)
end

local function from_seconds(seconds)
  local sec = floor(seconds)
  return normal(sec, floor((seconds - sec) * 1000000 + 0.5))
end

local function operand(value)
  if type(value) == "number" then return from_seconds(value) end
  if getmetatable(value) == Timeval then return value end
  error("timeval expected, got " .. type(value), 3)
end

function Timeval.seconds(tv) return tv.sec + tv.usec / 1000000 end

function Timeval.__add(a, b)
  a, b = operand(a), operand(b)
  return normal(a.sec + b.sec, a.usec + b.usec)
end

function Timeval.__sub(a, b)
  a, b = operand(a), operand(b)
  return normal(a.sec - b.sec, a.usec - b.usec)
end

function Timeval.__eq(a, b) return a.sec == b.sec and a.usec == b.usec end

function Timeval.__lt(a, b)
  a, b = operand(a), operand(b)
  return a.sec < b.sec or (a.sec == b.sec and a.usec < b.usec)
end

function Timeval.__le(a, b)
  a, b = operand(a), operand(b)
  return a.sec < b.sec or (a.sec == b.sec and a.usec <= b.usec)
end

function Timeval.__tostring(tv)
  local sec, usec, sign = tv.sec, tv.usec, ""
  if sec < 0 then
    sign, sec = "-", -sec
    if usec > 0 then sec, usec = sec - 1, 1000000 - usec end
  end
  return format("%s%.0f.%06.0f", sign, sec, usec)
end

local function gettimeofday()
  C.luamtev_gettimeofday(clock, nil)
  return tonumber(clock.sec), tonumber(clock.usec)
end

mtev.gettimeofday = gettimeofday

function mtev.time()
  local sec, usec = gettimeofday()
  return sec + usec / 1000000
end

mtev.timeval = { seconds = Timeval.seconds }

function mtev.timeval.now() return make(gettimeofday()) end

function mtev.timeval.new(sec, usec)
  local whole, micro = tonumber(sec), tonumber(usec or 0)
  if not whole or whole ~= whole or not micro or micro ~= micro then
    error("bad argument to 'timeval.new' (numbers of seconds and microseconds expected)", 2)
  end
  local tv = from_seconds(whole)
  return normal(tv.sec, tv.usec + floor(micro))
end

return { from_seconds = from_seconds }
