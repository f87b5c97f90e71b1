-- The differences between two values, a line each: the path, what was expected and what came.

local use = ...
local compare = use("luassert/compare")
local format = use("luassert/format")

local MOST = 20 -- lines; more differences are only counted
local WIDE = 60 -- characters of a value in a line
local LONG = 40 -- characters from which two strings are compared by position

local M = {}

local function brief(value)
  if type(value) == "table" then
    local n = 0
    for _ in next, value do n = n + 1 end
    return ("table of %d"):format(n)
  end
  local text = format.plain(value)
  return #text > WIDE and text:sub(1, WIDE) .. "…" or text
end

local function step(key)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then return "." .. key end
  return "[" .. format.plain(key) .. "]"
end

local function text_difference(path, actual, expected)
  local at = 1
  while actual:byte(at) == expected:byte(at) do at = at + 1 end
  local before = expected:sub(1, at - 1)
  local _, breaks = before:gsub("\n", "")
  local column = at - (before:find("[^\n]*$") or 1) + 1
  local from = math.max(1, at - 10)
  return ("%s: the strings differ from line %d, column %d: expected %s, got %s"):format(path, breaks + 1, column,
    brief(expected:sub(from, from + LONG)), brief(actual:sub(from, from + LONG)))
end

-- Adds the lines of what differs, a pair of tables once: *seen*, by the one and the other, has where that was and whether
-- it was done.  Returns whether there is anything, maybe told at a pair that this one is a part of.
local function walk(path, actual, expected, lines, seen)
  if compare.same(expected, actual) then return false end
  if type(actual) == "table" and type(expected) == "table" then
    seen[actual] = seen[actual] or {}
    local known = seen[actual][expected]
    if known then
      if known.is_done then lines[#lines + 1] = ("%s: differs as %s does"):format(path, known.path) end
      return true
    end
    known = { path = path }
    seen[actual][expected] = known
    local told = false
    for _, key in ipairs(format.keys(expected)) do
      local value = rawget(actual, key)
      if value == nil then
        lines[#lines + 1] = path .. step(key) .. ": missing, expected " .. brief(expected[key])
        told = true
      else
        told = walk(path .. step(key), value, expected[key], lines, seen) or told
      end
    end
    for _, key in ipairs(format.keys(actual)) do
      if rawget(expected, key) == nil then
        lines[#lines + 1] = path .. step(key) .. ": not expected, got " .. brief(actual[key])
        told = true
      end
    end
    known.is_done = true
    if told then return true end
  end
  path = path == "" and "value" or path
  if type(actual) == "string" and type(expected) == "string" and (#actual > LONG or #expected > LONG) then
    lines[#lines + 1] = text_difference(path, actual, expected)
  else
    lines[#lines + 1] = ("%s: expected %s, got %s"):format(path, brief(expected), brief(actual))
  end
  return true
end

-- Text of the differences, or nil when the two values themselves say it all.
function M.describe(actual, expected)
  local tables = type(actual) == "table" and type(expected) == "table"
  local texts = type(actual) == "string" and type(expected) == "string" and (#actual > LONG or #expected > LONG)
  if not tables and not texts then return nil end
  local lines = {}
  walk("", actual, expected, lines, {})
  if #lines == 0 then return nil end
  local n = #lines
  if n > MOST then
    for i = n, MOST + 1, -1 do lines[i] = nil end
    lines[MOST + 1] = ("… and %d more"):format(n - MOST)
  end
  return "Difference:\n  " .. table.concat(lines, "\n  ")
end

return M
