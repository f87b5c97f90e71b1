-- The language of mtev_logic: and(...), or(...), not(...), exists(name), and name OP value; a value is a number or
-- quoted.  manual: Logging, Filters
--
-- A text becomes tables: { op = "and", ... }, { op = "or", ... }, { op = "not", ... }, { op = "exists", name = ... }
-- and { op = OP, name = ..., value = string | number | int64_t }.

local tonumber, ipairs = tonumber, ipairs
local match, sub, gmatch, char_of = string.match, string.sub, string.gmatch, string.char
local concat = table.concat
local huge = math.huge
local escapes = { a = "\a", b = "\b", e = "\27", f = "\f", n = "\n", r = "\r", t = "\t", v = "\v",
  ["'"] = "'", ['"'] = '"', ["\\"] = "\\", ["-"] = "" }
local operators = { "!=", "!~", "<=", ">=", "=", "~", "<", ">" }

local parse_statement

local function skip(text, at) return match(text, "^[ \t\r\n]*()", at) end

-- What is quoted at *at*, and where it ends; nil where nothing is, or an escape is none.
local function parse_quoted(text, at)
  local quote = match(text, "^['\"]", at)
  if not quote then return nil end
  local parts = {}
  at = at + 1
  while true do
    local plain, following = match(text, "^([^\\'\"]*)()", at)
    parts[#parts + 1], at = plain, following
    local char = sub(text, at, at)
    if char == quote then return concat(parts), at + 1 end
    if char == "" then return nil end
    if char ~= "\\" then -- the other quote
      parts[#parts + 1], at = char, at + 1
    else
      local octal = match(text, "^[0-3][0-7][0-7]", at + 1) or match(text, "^[0-7][0-7]?", at + 1)
      local known = escapes[sub(text, at + 1, at + 1)]
      if octal then
        parts[#parts + 1], at = char_of(tonumber(octal, 8)), at + 1 + #octal
      elseif known then
        parts[#parts + 1], at = known, at + 2
      else
        return nil
      end
    end
  end
end

local function parse_name(text, at)
  local name, following = match(text, "^([%a_][%w_.]*)()", at)
  if name then return name, following end
  return parse_quoted(text, at)
end

-- Digits of an integer as 64 bits, whatever is beyond them being the most there is.
local function integer(digits)
  local sign, plain = match(digits, "^([+-]?)0*(%d*)$")
  local most = sign == "-" and "9223372036854775808" or "9223372036854775807"
  if #plain > 19 or (#plain == 19 and plain > most) then plain = most end
  local value = 0LL
  for digit in gmatch(plain, "%d") do value = value * 10 + tonumber(digit) end
  return sign == "-" and -value or value
end

local function parse_value(text, at)
  local quoted, following = parse_quoted(text, at)
  if quoted then return quoted, following end
  local digits, behind = match(text, "^([+-]?%d+)()", at)
  if not digits then return nil end
  local fraction, behind_fraction = match(text, "^(%.%d+)()", behind)
  local exponent, behind_exponent = match(text, "^(e[+-]%d+)()", behind_fraction or behind)
  following = behind_exponent or behind_fraction or behind
  if fraction then return tonumber(digits .. fraction .. (exponent or "")), following end
  return integer(digits), following
end

local function parse_predicate(text, at)
  local name, behind = parse_name(text, at)
  if not name then return nil, at end
  behind = skip(text, behind)
  for _, op in ipairs(operators) do
    if sub(text, behind, behind + #op - 1) == op then
      local start = skip(text, behind + #op)
      local value, following = parse_value(text, start)
      if value == nil then return nil, start end
      return { op = op, name = name, value = value }, following
    end
  end
  return nil, behind
end

-- The statements between parentheses; *most* is how many there may be.
local function parse_list(text, at, op, most)
  local list = { op = op }
  repeat
    local statement, following = parse_statement(text, skip(text, at))
    if not statement then return nil, following end
    list[#list + 1] = statement
    at = skip(text, following)
    local comma = match(text, "^,", at) and #list < most
    if comma then at = at + 1 end
  until not comma
  if sub(text, at, at) ~= ")" then return nil, at end
  return list, skip(text, at + 1)
end

-- A table, and where it ends; or nil, and where what is there could not be read.
function parse_statement(text, at)
  local statement, following = parse_predicate(text, at)
  if statement then return statement, following end
  local word, inside = match(text, "^(%a+)[ \t\r\n]*%(()", at)
  if word == "exists" then
    local name, behind = parse_name(text, skip(text, inside))
    if not name then return nil, inside end
    behind = skip(text, behind)
    if sub(text, behind, behind) ~= ")" then return nil, behind end
    return { op = "exists", name = name }, behind + 1
  elseif word == "and" or word == "or" or word == "not" then
    return parse_list(text, inside, word, word == "not" and 1 or huge)
  end
  return nil, following
end

-- The whole text, or nil and the offset (from 0) at which it stops to make sense.
return function(text)
  local statement, following = parse_statement(text, skip(text, 1))
  if not statement then return nil, following - 1 end
  following = skip(text, following)
  if following <= #text then return nil, following - 1 end
  return statement
end
