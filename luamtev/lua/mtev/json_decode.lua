-- JSON text to Lua values: the scanner behind mtev.parsejson.  Accepts RFC 8259, one document, any bytes in strings.
--
-- One loop and no recursion: values wait on a stack until their array or object closes, then a table of exactly the
-- right size is filled from it.  So nesting costs no Lua stack, and the loop compiles.  A Lua string ends in a NUL
-- that belongs to nobody: the scanner may look at it, and meets it as an unexpected character.

local home = ...

local ffi = require("ffi")
local bit = require("bit")
local new_table = require("table.new")
local cast, copy, ffi_string = ffi.cast, ffi.copy, ffi.string
local band, bor, rshift = bit.band, bit.bor, bit.rshift
local tonumber = tonumber

local MAX_DEPTH = 1000 -- arrays and objects inside one another
local EXACT = 2 ^ 52 -- integers from here on are given as decimal strings
local SCRATCH = 65536 -- bytes kept between calls

local bytes_type = ffi.typeof("const uint8_t *")
local plain = ffi.new("uint8_t[256]") -- 1: stands for itself inside a string
for i = 32, 255 do plain[i] = 1 end
plain[34], plain[92] = 0, 0

local short = ffi.new("uint8_t[256]") -- what the letter after a backslash stands for
for letter, code in ('"34 \\92 /47 b8 f12 n10 r13 t9'):gmatch("(%D)(%d+)") do short[letter:byte()] = tonumber(code) end

local hex = ffi.new("int8_t[256]") -- the value of a digit, or -1
ffi.fill(hex, 256, 255)
for i = 0, 15 do
  hex[("%x"):format(i):byte()] = i
  hex[("%X"):format(i):byte()] = i
end

local power = ffi.new("double[23]") -- the powers of ten a double holds exactly
for i = 0, 22 do power[i] = tonumber("1e" .. i) end

local scratch_size = SCRATCH
local scratch = ffi.new("uint8_t[?]", scratch_size)

local function hex4(p, i)
  local a, b, c, d = hex[p[i]], hex[p[i + 1]], hex[p[i + 2]], hex[p[i + 3]]
  if a < 0 or b < 0 or c < 0 or d < 0 then return -1 end -- a NUL is no digit: never reads past the end
  return a * 4096 + b * 256 + c * 16 + d
end

-- Writes a code point at *out* as UTF-8; returns the number of bytes.
local function put_utf8(out, code)
  if code < 0x80 then
    out[0] = code
    return 1
  elseif code < 0x800 then
    out[0], out[1] = bor(0xc0, rshift(code, 6)), bor(0x80, band(code, 63))
    return 2
  elseif code < 0x10000 then
    out[0], out[1] = bor(0xe0, rshift(code, 12)), bor(0x80, band(rshift(code, 6), 63))
    out[2] = bor(0x80, band(code, 63))
    return 3
  end
  out[0], out[1] = bor(0xf0, rshift(code, 18)), bor(0x80, band(rshift(code, 12), 63))
  out[2], out[3] = bor(0x80, band(rshift(code, 6), 63)), bor(0x80, band(code, 63))
  return 4
end

-- The code point of the escape whose four digits are at i, and where it ends; half a surrogate pair is U+FFFD.
local function code_point(p, i)
  local code = hex4(p, i)
  i = i + 4
  if code < 0xd800 or code > 0xdfff then return code, i end
  if code < 0xdc00 and p[i] == 92 and p[i + 1] == 117 then
    local low = hex4(p, i + 2)
    if low >= 0xdc00 and low <= 0xdfff then return 0x10000 + (code - 0xd800) * 1024 + (low - 0xdc00), i + 6 end
  end
  return 0xfffd, i
end

-- The rest of a string that has an escape at i and began at *start*.  Returns the string and the place after its
-- closing quote, or nil, a message and the place.  Decoded text is never longer than its escapes.
local function escaped_string(p, start, i, n)
  if n - start > scratch_size then
    scratch_size = n - start
    scratch = ffi.new("uint8_t[?]", scratch_size)
  end
  local out, used = scratch, i - start
  copy(out, p + start, used)
  while true do
    local c = p[i]
    if plain[c] == 1 then
      out[used] = c
      used, i = used + 1, i + 1
    elseif c == 34 then
      local text = ffi_string(out, used)
      if scratch_size > SCRATCH then
        scratch_size = SCRATCH
        scratch = ffi.new("uint8_t[?]", scratch_size)
      end
      return text, i + 1
    elseif c ~= 92 then
      return nil, "control character in a string", i
    elseif p[i + 1] == 117 then
      local code, after = code_point(p, i + 2)
      if code < 0 then return nil, "\\u and four hexadecimal digits expected", i end
      used, i = used + put_utf8(out + used, code), after
    else
      local byte = short[p[i + 1]]
      if byte == 0 then return nil, "unknown escape", i + 1 >= n and n or i end
      out[used] = byte
      used, i = used + 1, i + 2
    end
  end
end

-- The string whose first byte, after the quote, is at i.
local function read_string(p, i, n)
  local start = i
  while plain[p[i]] == 1 do i = i + 1 end
  if p[i] == 34 then return ffi_string(p + start, i - start), i + 1 end
  return escaped_string(p, start, i, n)
end

-- The number at i and the place after it, or nil, a message and the place.
local function read_number(p, i)
  local start, mantissa, digits, scale, integral = i, 0, 0, 0, true
  local c = p[i]
  if c == 45 then
    i = i + 1
    c = p[i]
  end
  local first = i
  while c >= 48 and c <= 57 do
    mantissa = mantissa * 10 + (c - 48)
    i = i + 1
    c = p[i]
  end
  digits = i - first
  if digits == 0 then return nil, "digit expected", i end
  if digits > 1 and p[first] == 48 then return nil, "leading zero in a number", first end
  if c == 46 then
    integral = false
    local point = i
    i = i + 1
    c = p[i]
    while c >= 48 and c <= 57 do
      mantissa = mantissa * 10 + (c - 48)
      i = i + 1
      c = p[i]
    end
    scale = i - point - 1
    if scale == 0 then return nil, "digit expected", i end
    digits = digits + scale
  end
  if c == 69 or c == 101 then
    i = i + 1
    c = p[i]
    if c == 43 or c == 45 then
      i = i + 1
      c = p[i]
    end
    if c < 48 or c > 57 then return nil, "digit expected", i end
    repeat
      i = i + 1
      c = p[i]
    until c < 48 or c > 57
    return tonumber(ffi_string(p + start, i - start)), i
  end
  if integral then
    if mantissa >= EXACT then return ffi_string(p + start, i - start), i end
  elseif digits <= 15 then -- mantissa and power are exact: one division rounds correctly
    mantissa = mantissa / power[scale]
  else
    return tonumber(ffi_string(p + start, i - start)), i
  end
  if p[start] == 45 then mantissa = -mantissa end
  return mantissa, i
end

local function skip(p, i)
  local c = p[i]
  while c == 32 or c == 10 or c == 13 or c == 9 do
    i = i + 1
    c = p[i]
  end
  return i, c
end

local function word(p, i, a, b, c) return p[i] == a and p[i + 1] == b and p[i + 2] == c end

local frame_base = ffi.new("int32_t[?]", MAX_DEPTH + 1) -- where on the stack the container's values begin
local frame_object = ffi.new("bool[?]", MAX_DEPTH + 1)

local function failed(i, n, message)
  if i >= n then return nil, "unexpected end of data", n end
  return nil, message, i
end

-- An object's key at i, after skipping blanks: the key and the place of its value, or nil, a message and the place.
local function read_key(p, i, n)
  local c
  i, c = skip(p, i)
  if c ~= 34 then return nil, "object key expected", i end
  local key, after, place = read_string(p, i + 1, n)
  if not key then return nil, after, place end
  i, c = skip(p, after)
  if c ~= 58 then return nil, "':' expected", i end
  return key, i + 1
end

-- Decodes the document at the start of *text*.  Returns true, its value and the place after it; or nil, a message
-- and the offset of the byte at fault.
function home.json_decode(text)
  local p, n = cast(bytes_type, text), #text
  local stack, top, depth = {}, 0, 0
  local i = 0
  local c, value, place
  while true do
    i, c = skip(p, i)
    local opened = false
    if c == 34 then
      value, i, place = read_string(p, i + 1, n)
      if not value then return failed(place, n, i) end
    elseif c == 123 or c == 91 then
      if depth == MAX_DEPTH then return nil, "nested too deep", i end
      depth = depth + 1
      frame_base[depth], frame_object[depth] = top, c == 123
      i, c = skip(p, i + 1)
      opened = c ~= (frame_object[depth] and 125 or 93)
      if not opened then
        depth, value, i = depth - 1, {}, i + 1
      elseif frame_object[depth] then
        value, i, place = read_key(p, i, n)
        if not value then return failed(place, n, i) end
        top = top + 1
        stack[top] = value
      end
    elseif c == 45 or c >= 48 and c <= 57 then
      value, i, place = read_number(p, i)
      if not value then return failed(place, n, i) end
    elseif c == 116 and word(p, i + 1, 114, 117, 101) then
      value, i = true, i + 4
    elseif c == 110 and word(p, i + 1, 117, 108, 108) then
      value, i = nil, i + 4
    elseif c == 102 and p[i + 1] == 97 and word(p, i + 2, 108, 115, 101) then
      value, i = false, i + 5
    else
      return failed(i, n, "value expected")
    end
    while not opened do -- a value is complete: enter it, and close what ends with it
      if depth == 0 then return true, value, i end
      top = top + 1
      stack[top] = value
      i, c = skip(p, i)
      local base = frame_base[depth]
      if frame_object[depth] then
        if c == 44 then
          value, i, place = read_key(p, i + 1, n)
          if not value then return failed(place, n, i) end
          top = top + 1
          stack[top] = value
          break
        end
        if c ~= 125 then return failed(i, n, "',' or '}' expected") end
        value = new_table(0, (top - base) / 2)
        for k = base + 1, top, 2 do value[stack[k]] = stack[k + 1] end
      else
        if c == 44 then
          i = i + 1
          break
        end
        if c ~= 93 then return failed(i, n, "',' or ']' expected") end
        value = new_table(top - base, 0)
        for k = 1, top - base do value[k] = stack[base + k] end
      end
      top, depth, i = base, depth - 1, i + 1
    end
  end
end

home.json_read_string = read_string
home.json_max_depth = MAX_DEPTH
