-- mtev.timezone: a time as the clocks of a zone show it.  The periods of one offset that were asked for are remembered,
-- for all objects of a zone; within one, everything is arithmetic.

local home = ...

local ipairs = ipairs
local class = home.need("mtev/object")
local border, checked = home.border, home.checked
local refuse, numeral = home.need("arguments").refuse, home.need("arguments").numeral
local open, period_at = checked(border.timezone_open), checked(border.timezone_period)
local floor, type, tostring, select, error, unpack = math.floor, type, tostring, select, error, unpack

local MOST = 512 -- periods remembered of a zone
local zones = {} -- name -> periods, and the one used last

local function find_period(zone, time)
  local last = zone.last
  if last and time >= last.start and time < last.stop then return last end
  for _, period in ipairs(zone) do
    if time >= period.start and time < period.stop then
      zone.last = period
      return period
    end
  end
  local start, stop, offset, dst, name = period_at(zone.name, time)
  local period = { start = start, stop = stop, offset = offset, dst = dst, name = name }
  if #zone == MOST then for i = MOST, 1, -1 do zone[i] = nil end end
  zone[#zone + 1], zone.last = period, period
  return period
end

-- Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar: years begin in March, so the leap
-- day is the last of its year.
local function civil(day)
  day = day + 719468
  local era = floor(day / 146097)
  local of_era = day - era * 146097
  local year_of_era = floor((of_era - floor(of_era / 1460) + floor(of_era / 36524) - floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year_of_era + floor(year_of_era / 4) - floor(year_of_era / 100))
  local shifted = floor((5 * of_year + 2) / 153)
  local month = shifted < 10 and shifted + 3 or shifted - 9
  local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
  return year, month, of_year - floor((153 * shifted + 2) / 5) + 1
end

local before = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 } -- days of a year before its months

local function yearday(day)
  local year, month, monthday = civil(day)
  local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
  return before[month] + monthday + (leap and month > 2 and 1 or 0)
end

local fields = {
  second = function(local_time) return local_time % 60 end,
  minute = function(local_time) return floor(local_time / 60) % 60 end,
  hour = function(local_time) return floor(local_time / 3600) % 24 end,
  monthday = function(local_time) return (select(3, civil(floor(local_time / 86400)))) end,
  month = function(local_time) return (select(2, civil(floor(local_time / 86400)))) end,
  weekday = function(local_time) return (floor(local_time / 86400) + 4) % 7 + 1 end,
  yearday = function(local_time) return yearday(floor(local_time / 86400)) end,
  year = function(local_time) return (civil(floor(local_time / 86400))) end,
  dst = function(_, period) return period.dst end,
  offset = function(_, period) return period.offset end,
  zonename = function(_, period) return period.name end,
}

local function extract(zone, time, name)
  local field = fields[name]
  if not field then error("unknown timezone field: " .. tostring(name), 3) end
  local period = find_period(zone, time)
  return field(time + period.offset, period)
end

local new_timezone = class("mtev.timezone", {
  extract = function(self, time, ...)
    local seconds = numeral(time)
    if not seconds or not (seconds > -1e11 and seconds < 1e12) then
      refuse(1, "extract", "seconds since 1970", tostring(time), 2)
    end
    time = floor(seconds)
    local n = select("#", ...)
    if n == 1 then return (extract(self.zone, time, (...))) end
    local values = { ... }
    for i = 1, n do values[i] = extract(self.zone, time, values[i]) end
    return unpack(values, 1, n)
  end,
})

function mtev.timezone(name)
  if type(name) ~= "string" then
    refuse(1, "timezone", "name of a zone", type(name), 2)
  end
  if not zones[name] then
    open(name)
    zones[name] = { name = name, last = false }
  end
  return new_timezone({ zone = zones[name] })
end
