-- Arguments that are not what a function takes: the error names the function, the position, what it takes and what it got.

local type, tostring, tonumber, error = type, tostring, tonumber, error

local M = {}

-- Raises *level* functions up from its caller, which is 1: argument *position* of *name* is not what is *expected*.
local function refuse(position, name, expected, got, level)
  error("bad argument #" .. position .. " to '" .. name .. "' (" .. expected .. " expected, got " .. got .. ")", level + 1)
end
M.refuse = refuse

-- A text, or a number as one; raises at the caller of the function that calls this.
function M.check_bytes(value, name, position)
  if type(value) == "string" then return value end
  if type(value) == "number" then return tostring(value) end
  refuse(position or 1, name, "string", type(value), 3)
end

-- A number, or a text that is one, as Lua's own libraries take it; nil for anything else, NaN included, of which the
-- text "nan" makes one.
function M.numeral(value)
  local number = type(value) == "string" and tonumber(value) or value
  return type(number) == "number" and number == number and number or nil
end

-- A port from *least* on, also as a text; nil for anything else.
function M.port(value, least)
  local number = M.numeral(value)
  return number and number >= least and number <= 65535 and number % 1 == 0 and number or nil
end

return M
