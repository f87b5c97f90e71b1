-- mtev_confstr_parse_* and mtev_get_durations_*.  manual: mtev_confstr_parse_duration

local ipairs = ipairs
local lower, match, gmatch = string.lower, string.match, string.gmatch
local floor = math.floor
local _, arguments = ...

local ffi = require("ffi")
local pointer, text = arguments.pointer, arguments.text
local cast, tonumber = ffi.cast, tonumber

ffi.cdef [[
typedef struct { const char *key; size_t key_len; uint64_t mul; } luamtev_duration;
]]

local SUCCESS, UNREPRESENTABLE, FORMAT = 0, -1, -2
local MOST = 0xFFFFFFFFFFFFFFFFULL

local durations_type, number_type = ffi.typeof("const luamtev_duration *"), ffi.typeof("uint64_t *")

local M = {}

local words = { yes = 1, ["true"] = 1, on = 1, no = 0, ["false"] = 0, off = 0 }

function M.mtev_confstr_parse_boolean(input, output)
  local value = words[lower(text(input, "mtev_confstr_parse_boolean", "input"))]
  if not value then return FORMAT end
  arguments.check_pointer(output, "mtev_confstr_parse_boolean", "output", 3)
  output[0] = value -- of a size that only the caller's type knows
  return SUCCESS
end

-- Durations -----------------------------------------------------------------------------------------------------------

local units = { -- names, and how many of the unit before; each resolution has some that follow each other
  { 1, "ns" },
  { 1000, "us" },
  { 1000, "ms" },
  { 1000, "s", "sec", "second", "seconds" },
  { 60, "m", "min", "minute", "minutes" },
  { 60, "h", "hr", "hour", "hours" },
  { 24, "d", "day", "days" },
  { 7, "w", "wk", "week", "weeks" },
}

local function definitions(first, last)
  local list = {}
  local worth = 1ULL
  for i = first, last do
    if i > first then worth = worth * units[i][1] end
    for j = 2, #units[i] do list[#list + 1] = { units[i][j], worth } end
  end
  local array = ffi.new("luamtev_duration[?]", #list + 1)
  for i, each in ipairs(list) do
    array[i - 1].key, array[i - 1].key_len, array[i - 1].mul = arguments.duplicate(each[1]), #each[1], each[2]
  end
  return array
end

local resolutions = { ns = definitions(1, 6), us = definitions(2, 7), ms = definitions(3, 8), s = definitions(4, 8) }

-- The duration a text tells of, or nil and why not.
local function parse_duration(input, durations)
  local total, at, any = 0ULL, match(input, "^%s*()"), false
  while at <= #input do
    local digits, unit, following = match(input, "^(%d+)%s*(%a+)%s*()", at)
    if not digits then return nil, FORMAT end
    local i = 0
    while durations[i].key ~= nil and ffi.string(durations[i].key, durations[i].key_len) ~= unit do i = i + 1 end
    if durations[i].key == nil then return nil, FORMAT end
    local worth, count = durations[i].mul, 0ULL
    for digit in gmatch(digits, "%d") do
      if count > (MOST - tonumber(digit)) / 10 then return nil, UNREPRESENTABLE end
      count = count * 10 + tonumber(digit)
    end
    if worth ~= 0 and count > (MOST - total) / worth then return nil, UNREPRESENTABLE end
    total, at, any = total + count * worth, following, true
  end
  if not any then return nil, FORMAT end
  return total
end

local function parse_into(name, input, output, durations)
  local total, problem = parse_duration(text(input, name, "input"), durations)
  if not total then return problem end
  pointer(number_type, output, name, "output")[0] = total
  return SUCCESS
end

function M.mtev_confstr_parse_duration(input, output, durations)
  local name = "mtev_confstr_parse_duration"
  return parse_into(name, input, output, pointer(durations_type, durations, name, "durations"))
end

for resolution, durations in pairs(resolutions) do
  M["mtev_get_durations_" .. resolution] = function()
    return cast(arguments.declared("const mtev_duration_definition_t *", durations_type), durations)
  end
  local name = "mtev_confstr_parse_duration_" .. resolution
  M[name] = function(input, output) return parse_into(name, input, output, durations) end
end

-- Dates (RFC 3339) ----------------------------------------------------------------------------------------------------

local month_days = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function is_leap(year) return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0) end

-- Days from 1970-01-01 to a day.
local function day_number(year, month, day)
  local before = year - 1
  local days = before * 365 + floor(before / 4) - floor(before / 100) + floor(before / 400) - 719162
  for i = 1, month - 1 do days = days + month_days[i] end
  if month > 2 and is_leap(year) then days = days + 1 end
  return days + day - 1
end

local function parse_time(input)
  local year, month, day, hour, minute, second, zone =
    match(input, "^(%d%d?%d?%d?)%-(%d%d?)%-(%d%d?)[Tt](%d%d?):(%d%d?):(%d%d?)(.*)$")
  if not year then return nil, FORMAT end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  hour, minute, second = tonumber(hour), tonumber(minute), tonumber(second)
  if month < 1 or month > 12 or day < 1 or hour > 23 or minute > 59 or second > 59 then return nil, FORMAT end
  if day > month_days[month] + (month == 2 and is_leap(year) and 1 or 0) then return nil, FORMAT end
  local offset = 0
  if zone ~= "Z" and zone ~= "z" then
    local sign, hours, minutes = match(zone, "^([+-])(%d%d?):(%d%d?)$")
    if not sign or tonumber(hours) > 23 or tonumber(minutes) > 59 then return nil, FORMAT end
    offset = (tonumber(hours) * 60 + tonumber(minutes)) * 60 * (sign == "-" and -1 or 1)
  end
  local seconds = ((day_number(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - offset
  if seconds < 0 then return nil, UNREPRESENTABLE end
  return seconds
end

function M.mtev_confstr_parse_time_gm(input, output)
  local seconds, problem = parse_time(text(input, "mtev_confstr_parse_time_gm", "input"))
  if not seconds then return problem end
  pointer(number_type, output, "mtev_confstr_parse_time_gm", "output")[0] = seconds
  return SUCCESS
end

return M
