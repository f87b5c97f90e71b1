-- Lua values to JSON text: the writer behind mtev.tojson, and the formatter of text that was parsed.
--
-- Bytes are written straight into one buffer that is kept from call to call; no user code runs meanwhile, so nobody
-- else writes.  Containers under way are a stack of their own: nesting costs no Lua stack, and the loop compiles.

local home = ...

local tonumber, getmetatable = tonumber, getmetatable
local gmatch, byte, gsub, sub = string.gmatch, string.byte, string.gsub, string.sub
local ffi = require("ffi")
local bit = require("bit")
local cast, copy, ffi_string, istype = ffi.cast, ffi.copy, ffi.string, ffi.istype
local rshift, band = bit.rshift, bit.band
local type, next, format, floor, error, tostring = type, next, string.format, math.floor, error, tostring
local decoder = home.need("mtev/json_decode")
local read_string, MAX_DEPTH = decoder.read_string, decoder.MAX_DEPTH

local KEPT = 1048576 -- bytes of buffer kept between calls
local MOST_HOLES = 1000000 -- nulls that keys too far apart may ask for
local huge = math.huge

local bytes_type = ffi.typeof("const uint8_t *")
local hex_digits = ffi.new("const char[17]", "0123456789abcdef")

local escape = ffi.new("uint8_t[256]") -- 0: stands for itself; 117: \u; else the letter after the backslash
for i = 0, 31 do escape[i] = 117 end
for code, letter in gmatch('8b 9t 10n 13r 34" 47/ 92\\', "(%d+)(%D) ?") do escape[tonumber(code)] = byte(letter) end

local size = 4096
local out = ffi.new("uint8_t[?]", size)

local function grow(used, need)
  repeat size = size * 2 until size >= used + need
  local larger = ffi.new("uint8_t[?]", size)
  copy(larger, out, used)
  out = larger
end

local function put_raw(at, text)
  local n = #text
  if at + n > size then grow(at, n) end
  copy(out + at, text, n)
  return at + n
end

local function put_string(at, text)
  local n = #text
  if at + 6 * n + 2 > size then grow(at, 6 * n + 2) end
  local p, o = cast(bytes_type, text), out + at
  o[0] = 34
  o = o + 1
  for i = 0, n - 1 do
    local c = p[i]
    local letter = escape[c]
    if letter == 0 then
      o[0] = c
      o = o + 1
    else
      o[0], o[1] = 92, letter
      o = o + 2
      if letter == 117 then
        o[0], o[1], o[2], o[3] = 48, 48, hex_digits[rshift(c, 4)], hex_digits[band(c, 15)]
        o = o + 4
      end
    end
  end
  o[0] = 34
  return tonumber(o - out) + 1
end

-- The decimal digits of an integer 0 <= value < 2^31.
local function put_digits(at, value)
  local last, rest = at, value
  while rest >= 10 do
    last, rest = last + 1, floor(rest / 10)
  end
  for i = last, at, -1 do
    local tenth = floor(value / 10)
    out[i] = 48 + value - tenth * 10
    value = tenth
  end
  return last + 1
end

local function put_number(at, value)
  if at + 512 > size then grow(at, 512) end
  local magnitude = value < 0 and -value or value
  if magnitude < 2147483647 then
    local whole = floor(magnitude)
    local millionths = (magnitude - whole) * 1000000
    local fraction = floor(millionths + 0.5)
    local off = millionths - fraction
    if millionths == 0 or off > -0.499 and off < 0.499 then -- else %f must decide where to round
      if value < 0 then
        out[at] = 45
        at = at + 1
      end
      if millionths == 0 then return put_digits(at, whole) end
      if fraction == 1000000 then whole, fraction = whole + 1, 0 end
      at = put_digits(at, whole)
      out[at] = 46
      for i = 6, 1, -1 do
        local tenth = floor(fraction / 10)
        out[at + i] = 48 + fraction - tenth * 10
        fraction = tenth
      end
      return at + 7
    end
  end
  if value ~= value or magnitude == huge then return put_raw(at, "null") end
  if magnitude < 2 ^ 63 and value == floor(value) then return put_raw(at, format("%.0f", value)) end
  return put_raw(at, format("%f", value))
end

local function put_other(at, value, kind)
  if kind == "boolean" then return put_raw(at, value and "true" or "false") end
  if kind == "cdata" and (istype("int64_t", value) or istype("uint64_t", value)) then
    return put_raw(at, (gsub(tostring(value), "U?LL$", "")))
  end
  return put_raw(at, "null")
end

-- The greatest index if the table is an array, -1 if it is an object.
local function array_length(t)
  local most, count = 0, 0
  local key = next(t)
  if key == nil then
    local meta = getmetatable(t)
    return type(meta) == "table" and meta.__jsontype == "object" and -1 or 0
  end
  while key ~= nil do
    if type(key) ~= "number" or key < 1 or key >= 2 ^ 53 then return -1 end
    if key > most then most = key end
    count = count + 1
    key = next(t, key)
  end
  most = floor(most)
  if most - count > MOST_HOLES then
    error("tojson: an array of " .. count .. " values with an index of " .. format("%.0f", most), 5)
  end
  return most
end

-- The same array with whole numbers for indices.
local function truncated(t)
  for key in next, t do
    if key ~= floor(key) then
      local copied = {}
      for k, v in next, t do copied[floor(k)] = v end
      return copied
    end
  end
  return t
end

local tables, keys = {}, {} -- the containers under way, and the key an object is at
local lengths, indices = ffi.new("double[?]", MAX_DEPTH + 1), ffi.new("double[?]", MAX_DEPTH + 1)

local function key_text(key)
  local kind = type(key)
  if kind == "number" then return format("%d", key) end
  if kind == "string" then return key end
  error("tojson: a key is a string or a number, got " .. kind, 5)
end

-- Writes *value*; whatever lies deeper than *limit* (negative: no limit) is elided.
local function write(value, limit)
  local at, depth = 0, 0
  while true do
    local opened = false
    local kind = type(value)
    if kind == "table" then
      local meta = getmetatable(value)
      if type(meta) == "table" and meta.is_opaque then kind = "userdata" end
    end
    if depth == limit then
      at = put_string(at, "[depth elided]")
    elseif kind == "string" then
      at = put_string(at, value)
    elseif kind == "number" then
      at = put_number(at, value)
    elseif kind == "table" then
      if depth == MAX_DEPTH then error("tojson: tables nested too deep, perhaps one inside itself", 4) end
      depth = depth + 1
      local length = array_length(value)
      tables[depth], keys[depth] = length > 0 and truncated(value) or value, nil
      lengths[depth], indices[depth] = length, 0
      at = put_raw(at, length < 0 and "{" or "[")
      opened = true
    else
      at = put_other(at, value, kind)
    end
    while true do -- on to the next value, out of the containers that end here
      if depth == 0 then return at end
      local container = tables[depth]
      if at + 4 > size then grow(at, 4) end
      if lengths[depth] < 0 then
        local key
        key, value = next(container, keys[depth])
        if key ~= nil then
          keys[depth] = key
          if not opened then
            out[at] = 44
            at = at + 1
          end
          out[at] = 32
          at = put_raw(put_string(at + 1, key_text(key)), ": ")
          break
        end
        at = put_raw(at, " }")
      else
        local index = indices[depth] + 1
        if index <= lengths[depth] then
          indices[depth], value = index, container[index]
          if not opened then
            out[at] = 44
            at = at + 1
          end
          out[at] = 32
          at = at + 1
          break
        end
        at = put_raw(at, " ]")
      end
      tables[depth], keys[depth], opened = nil, nil, false
      depth = depth - 1
    end
  end
end

local function taken(at)
  local text = ffi_string(out, at)
  if size > KEPT then
    size = KEPT
    out = ffi.new("uint8_t[?]", size)
  end
  return text
end

local function encode(value, limit) return taken(write(value, limit)) end

local separators = { [123] = "{ ", [91] = "[ ", [44] = ", ", [58] = ": ", [125] = " }", [93] = " ]" }

-- Text that was decoded before, as this family writes it: keys keep their order and numbers their digits.
local function reformat(text)
  local p, n, i, at = cast(bytes_type, text), #text, 0, 0
  while i < n do
    local c = p[i]
    local separator = separators[c]
    if separator then
      if (c == 125 or c == 93) and out[at - 1] == 32 then separator = sub(separator, 2) end
      at, i = put_raw(at, separator), i + 1
    elseif c == 34 then
      local value
      value, i = read_string(p, i + 1, n)
      at = put_string(at, value)
    else
      if c > 32 then at = put_raw(at, sub(text, i + 1, i + 1)) end
      i = i + 1
    end
  end
  return taken(at)
end

return { encode = encode, reformat = reformat }
