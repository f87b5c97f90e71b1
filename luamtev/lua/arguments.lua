-- Arguments that are not what a function takes: the error names the function, the position, what it takes and what it got.

local type, tostring, tonumber, error = type, tostring, tonumber, error

local M = {}

-- A text, or a number as one; raises at the caller of the function that calls this.
function M.check_bytes(value, name, position)
  if type(value) == "string" then return value end
  if type(value) == "number" then return tostring(value) end
  error("bad argument #" .. (position or 1) .. " to '" .. name .. "' (string expected, got " .. type(value) .. ")", 3)
end

-- A number, or a text that is one, as Lua's own libraries take it; nil for anything else.
function M.numeral(value)
  if type(value) == "number" then return value end
  return type(value) == "string" and tonumber(value) or nil
end

-- refuse(name, position, expected, got): raises *level* functions up from itself, where no other level is given.
function M.refusal(level)
  return function(name, position, expected, got, another)
    error("bad argument #" .. position .. " to '" .. name .. "' (" .. expected .. " expected, got " .. tostring(got) .. ")",
      another or level)
  end
end

return M
