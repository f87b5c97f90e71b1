-- Values to bytes and back: pack and unpack, also as string.pack and string.unpack.
--
-- A format is letters, each with an optional count; blanks and commas are ignored.
--   z ends in a NUL   p P a: after their length in one byte, two, or four   A: as it is, of so many bytes
--   f d n: float, double, a Lua number   c b, h H, i I, l L: 1, 2, 4 and 8 bytes, signed and unsigned
--   < > =: what follows is little endian, big endian, in the machine's order

local home = ...

local reverse = string.reverse
local ffi = require("ffi")
local refuse, check_bytes = home.need("arguments").refuse, home.need("arguments").check_bytes
local table_unpack = unpack
local sub, find, match, concat = string.sub, string.find, string.match, table.concat
local type, tonumber, tostring, error, select = type, tonumber, tostring, error, select

local types = {
  f = ffi.typeof("float[1]"),
  d = ffi.typeof("double[1]"),
  n = ffi.typeof("double[1]"),
  c = ffi.typeof("int8_t[1]"),
  b = ffi.typeof("uint8_t[1]"),
  h = ffi.typeof("int16_t[1]"),
  H = ffi.typeof("uint16_t[1]"),
  i = ffi.typeof("int32_t[1]"),
  I = ffi.typeof("uint32_t[1]"),
  l = ffi.typeof("int64_t[1]"),
  L = ffi.typeof("uint64_t[1]"),
}
local length_letters = { p = "b", P = "H", a = "I" }
local orders = { ["<"] = "little", [">"] = "big", ["="] = ffi.abi("le") and "little" or "big" }
local NATIVE = orders["="]

local cells, sizes = {}, {}
for letter, ctype in pairs(types) do cells[letter], sizes[letter] = ctype(), ffi.sizeof(ctype) end

local function number_to_bytes(letter, value, order)
  local cell = cells[letter]
  -- By way of a signed integer, as C does: a double that is negative has no unsigned form.
  if letter == "L" and type(value) == "number" and value < 0 then value = ffi.cast("int64_t", value) end
  cell[0] = value
  local text = ffi.string(cell, sizes[letter])
  return order == NATIVE and text or reverse(text)
end

local function bytes_to_number(letter, text, at, order)
  local size = sizes[letter]
  if at + size - 1 > #text then return nil end
  local piece = sub(text, at, at + size - 1)
  if order ~= NATIVE then piece = reverse(piece) end
  ffi.copy(cells[letter], piece, size)
  return tonumber(cells[letter][0]), at + size
end

local function check_value(value, position)
  if type(value) == "string" then return value end
  if type(value) == "number" then return tostring(value) end
  refuse(position, "pack", "string", type(value), 4)
end

local to_bytes = {}
for letter in pairs(types) do
  to_bytes[letter] = function(value, order, position)
    if type(value) == "string" then value = tonumber(value) or value end
    if type(value) ~= "number" and not ffi.istype("int64_t", value) and not ffi.istype("uint64_t", value) then
      refuse(position, "pack", "number", type(value), 3)
    end
    return number_to_bytes(letter, value, order)
  end
end
for letter, length_letter in pairs(length_letters) do
  local most = 256 ^ sizes[length_letter] - 1
  to_bytes[letter] = function(value, order, position)
    value = check_value(value, position)
    if #value > most then
      local expected = "(at most " .. most .. " bytes expected, got " .. #value .. ")"
      error("bad argument #" .. position .. " to 'pack' " .. expected, 3)
    end
    return number_to_bytes(length_letter, #value, order) .. value
  end
end
function to_bytes.A(value, _, position)
  value = check_value(value, position)
  return value
end
function to_bytes.z(value, _, position)
  value = check_value(value, position)
  return (match(value, "^%Z*")) .. "\0"
end

local function next_code(format, at, name)
  local first, last, letter, digits = find(format, "([^%s,])(%d*)", at)
  if not first then return nil end
  if not to_bytes[letter] and not orders[letter] then
    error("bad code '" .. letter .. "' in the format of '" .. name .. "'", 3)
  end
  return letter, last + 1, digits == "" and 1 or tonumber(digits)
end

function pack(format, ...)
  format = check_bytes(format, "pack")
  local order, at, used, pieces = NATIVE, 1, 0, {}
  while true do
    local letter, after, count = next_code(format, at, "pack")
    if not letter then return concat(pieces) end
    if orders[letter] then
      order = orders[letter]
    else
      if count > select("#", ...) - used then
        local missing = "(value for '" .. letter .. "' expected, got none)"
        error("bad argument #" .. select("#", ...) + 2 .. " to 'pack' " .. missing, 2)
      end
      for _ = 1, count do
        used = used + 1
        pieces[#pieces + 1] = to_bytes[letter]((select(used, ...)), order, used + 1)
      end
    end
    at = after
  end
end

local from_bytes = {}
for letter in pairs(types) do
  from_bytes[letter] = function(text, at, order) return bytes_to_number(letter, text, at, order) end
end
for letter, length_letter in pairs(length_letters) do
  from_bytes[letter] = function(text, at, order)
    local length, start = bytes_to_number(length_letter, text, at, order)
    if not length or length > #text - start + 1 then return nil end
    return sub(text, start, start + length - 1), start + length
  end
end
function from_bytes.z(text, at)
  local stop = find(text, "\0", at, true)
  if stop then return sub(text, at, stop - 1), stop + 1 end
end

-- The position after what was read, then the values, as many as there are bytes for.
local function unpack_bytes(text, format, start)
  text, format = check_bytes(text, "unpack"), check_bytes(format, "unpack", 2)
  local at = start == nil and 1 or tonumber(start)
  if not at or at < 1 or at % 1 ~= 0 then
    refuse(3, "unpack", "position", tostring(start), 2)
  end
  local order, place, values, n = NATIVE, 1, {}, 0
  while true do
    local letter, after, count = next_code(format, place, "unpack")
    if not letter then return at, table_unpack(values, 1, n) end
    if orders[letter] then
      order = orders[letter]
    elseif letter == "A" then
      if count > #text - at + 1 then return at, table_unpack(values, 1, n) end
      n = n + 1
      values[n], at = sub(text, at, at + count - 1), at + count
    else
      for _ = 1, count do
        local value, stop = from_bytes[letter](text, at, order)
        if value == nil then return at, table_unpack(values, 1, n) end
        n = n + 1
        values[n], at = value, stop
      end
    end
    place = after
  end
end

-- Lua's own unpack of a table keeps its name: bytes have another type.
function unpack(first, ...)
  if type(first) == "string" then return unpack_bytes(first, ...) end
  return table_unpack(first, ...)
end

string.pack, string.unpack = pack, unpack_bytes
