-- Lua values as JSON text.  Strings are taken as UTF-8; what is not becomes U+FFFD.

local M = {}

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
  ["\t"] = "\\t" }

-- The length of the UTF-8 sequence at *i*, or nil.
local function sequence(text, i)
  local a, b, c, d = text:byte(i, i + 3)
  local function tail(x) return x and x >= 0x80 and x < 0xC0 end
  if a >= 0xC2 and a < 0xE0 and tail(b) then return 2 end
  if a >= 0xE0 and a < 0xF0 and tail(b) and tail(c) and not (a == 0xE0 and b < 0xA0) and not (a == 0xED and b > 0x9F)
  then return 3 end
  if a >= 0xF0 and a < 0xF5 and tail(b) and tail(c) and tail(d) and not (a == 0xF0 and b < 0x90)
    and not (a == 0xF4 and b > 0x8F) then return 4 end
end

-- *text* with every byte that is not part of a UTF-8 sequence replaced by U+FFFD.
function M.utf8(text)
  if not text:find("[\128-\255]") then return text end
  local parts, i = {}, 1
  while i <= #text do
    local plain = text:match("^[%z\1-\127]+", i)
    if plain then
      parts[#parts + 1], i = plain, i + #plain
    else
      local n = sequence(text, i)
      parts[#parts + 1], i = n and text:sub(i, i + n - 1) or "\239\191\189", i + (n or 1)
    end
  end
  return table.concat(parts)
end

local function quote(text)
  return '"' .. M.utf8(text):gsub('[%z\1-\31\\"\127]', function(c)
    return escapes[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local encode

local function members(value)
  local keys, parts = {}, {}
  for key in pairs(value) do keys[#keys + 1] = tostring(key) end
  table.sort(keys)
  for _, key in ipairs(keys) do parts[#parts + 1] = quote(key) .. ":" .. encode(value[key]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- Tables with a first element, and empty ones, are arrays; the others need string keys.
function encode(value)
  local kind = type(value)
  if kind == "string" then return quote(value) end
  if kind == "boolean" then return tostring(value) end
  if kind == "number" then
    if value ~= value or value == math.huge or value == -math.huge then return "null" end
    return ("%.14g"):format(value)
  end
  if kind ~= "table" then return "null" end
  if value[1] == nil and next(value) ~= nil then return members(value) end
  local parts = {}
  for i = 1, #value do parts[i] = encode(value[i]) end
  return "[" .. table.concat(parts, ",") .. "]"
end
M.encode = encode

return M
