-- JSON text to Lua values: the scanner behind mtev.parsejson.  Accepts RFC 8259, one document, any bytes in strings.
--
-- The scanner checks the text and writes it down again as LuaJIT's string.buffer serializes values; that makes the tables
-- and strings of it in C.  So the scanner is one loop without recursion over bytes and integers, which compiles well.  What
-- string.buffer refuses, deep nesting and keys that are there twice, is built by a few lines of Lua from the same bytes.
-- A Lua string ends in a NUL that belongs to nobody: the scanner may look at it, and meets it as an unexpected character.

local gmatch, byte_of, format = string.gmatch, string.byte, string.format
local ffi = require("ffi")
local bit = require("bit")
local string_buffer = require("string.buffer")
local cast, copy, ffi_string = ffi.cast, ffi.copy, ffi.string
local band, bor, rshift = bit.band, bit.bor, bit.rshift
local tonumber, pcall = tonumber, pcall

local MAX_DEPTH = 1000 -- arrays and objects inside one another
local DEEP = 90 -- beyond that string.buffer may refuse
local EXACT = 2 ^ 52 -- integers from here on are given as decimal strings
local SCRATCH = 65536 -- bytes kept between calls

local bytes_type = ffi.typeof("const uint8_t *")
local plain = ffi.new("uint8_t[256]") -- 1: stands for itself inside a string
for i = 32, 255 do plain[i] = 1 end
plain[34], plain[92] = 0, 0

local short = ffi.new("uint8_t[256]") -- what the letter after a backslash stands for
for letter, code in gmatch('"34 \\92 /47 b8 f12 n10 r13 t9', "(%D)(%d+)") do short[byte_of(letter)] = tonumber(code) end

local hex = ffi.new("int8_t[256]") -- the value of a digit, or -1
ffi.fill(hex, 256, 255)
for i = 0, 15 do
  hex[byte_of(format("%x", i))] = i
  hex[byte_of(format("%X", i))] = i
end

local power = ffi.new("double[23]") -- the powers of ten a double holds exactly
for i = 0, 22 do power[i] = tonumber("1e" .. i) end

local scratch = ffi.new("uint8_t[?]", SCRATCH)

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

-- Writes at *out* the string that has an escape at i and began at *start*, decoded, which makes it no longer.  Returns its
-- length and the place after its closing quote, or nil, a message and the place.
local function unescape(out, p, start, i, n)
  local used = i - start
  copy(out, p + start, used)
  while true do
    local c = p[i]
    if plain[c] == 1 then
      out[used] = c
      used, i = used + 1, i + 1
    elseif c == 34 then
      return used, i + 1
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

-- The string whose first byte, after the quote, is at i, and the place after its closing quote; of a text that was scanned.
local function read_string(p, i, n)
  local start = i
  while plain[p[i]] == 1 do i = i + 1 end
  if p[i] == 34 then return ffi_string(p + start, i - start), i + 1 end
  local size = n - start
  local out = size <= SCRATCH and scratch or ffi.new("uint8_t[?]", size)
  local used, after = unescape(out, p, start, i, n)
  return ffi_string(out, used), after
end

-- What string.buffer begins a value with; a table and a long string have a length behind it.
local NIL, FALSE, TRUE, INTEGER, NUMBER, EMPTY, OBJECT, ARRAY, STRING, LONG = 0, 1, 2, 6, 7, 8, 9, 12, 32, 255
local SHORT_STRING = 224 - STRING -- bytes, from which on a string is a long one
local HEADER = 6 -- bytes before the items of a table

local int_type, double_type, length_type = ffi.typeof("int32_t *"), ffi.typeof("double *"), ffi.typeof("uint32_t *")

local function put_length(at, length)
  at[0] = LONG
  cast(length_type, at + 1)[0] = length
end

-- Writes at *at* the string between two places; returns the bytes that took.
local function put_string(at, p, start, stop)
  local length = stop - start
  if length < SHORT_STRING then
    at[0] = STRING + length
    copy(at + 1, p + start, length)
    return length + 1
  end
  put_length(at, STRING + length)
  copy(at + 5, p + start, length)
  return length + 5
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

local frame_at = ffi.new("double[?]", MAX_DEPTH + 1) -- where the container's header is
local frame_count = ffi.new("double[?]", MAX_DEPTH + 1) -- its items so far
local frame_object = ffi.new("bool[?]", MAX_DEPTH + 1)

local written = string_buffer.new()
local out, used, room = nil, 0, 0 -- what was written: where it begins, its bytes, the bytes there are

-- Makes room for *more* bytes.
local function reserve(more)
  written:commit(used - #written)
  local at, size = written:reserve(more + 64)
  out, room = cast("uint8_t *", at) - used, used + tonumber(size)
end

-- Writes the string whose first byte is at i.  Returns the place after its closing quote, or nil, a message and the place.
local function write_string(p, i, n)
  local start = i
  while plain[p[i]] == 1 do i = i + 1 end
  if p[i] == 34 then
    if room - used < i - start + 16 then reserve(i - start + 16) end
    used = used + put_string(out + used, p, start, i)
    return i + 1
  end
  if room - used < n - start + 16 then reserve(n - start + 16) end
  local length, after, place = unescape(out + used + 5, p, start, i, n)
  if not length then return nil, after, place end
  put_length(out + used, STRING + length)
  used = used + length + 5
  return after
end

-- Writes the number at i.  Returns the place after it, or nil, a message and the place.
local function write_number(p, i)
  local start, mantissa, scale, integral = i, 0, 0, true
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
  local digits = i - first
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
    mantissa = tonumber(ffi_string(p + start, i - start))
  elseif integral then
    if mantissa >= EXACT then
      if room - used < i - start + 16 then reserve(i - start + 16) end
      used = used + put_string(out + used, p, start, i)
      return i
    end
    if p[start] == 45 then mantissa = -mantissa end
    if mantissa > -2147483648 and mantissa < 2147483648 and (mantissa ~= 0 or first == start) then
      out[used] = INTEGER
      cast(int_type, out + used + 1)[0] = mantissa
      used = used + 5
      return i
    end
  elseif digits <= 15 then -- mantissa and power are exact: one division rounds correctly
    mantissa = mantissa / power[scale]
    if p[start] == 45 then mantissa = -mantissa end
  else
    mantissa = tonumber(ffi_string(p + start, i - start))
  end
  out[used] = NUMBER
  cast(double_type, out + used + 1)[0] = mantissa
  used = used + 9
  return i
end

local function failed(i, n, message)
  if i >= n then return nil, "unexpected end of data", n end
  return nil, message, i
end

-- Writes an object's key at i, after blanks.  Returns the place of its value, or nil, a message and the place.
local function write_key(p, i, n)
  local c
  i, c = skip(p, i)
  if c ~= 34 then return nil, "object key expected", i end
  local after, message, place = write_string(p, i + 1, n)
  if not after then return nil, message, place end
  i, c = skip(p, after)
  if c ~= 58 then return nil, "':' expected", i end
  return i + 1
end

-- Writes the document at the start of *text*.  Returns the place after it and how deep it nests, or nil, a message and the
-- offset of the byte at fault.
local function scan(text)
  local p, n = cast(bytes_type, text), #text
  local depth, deepest = 0, 0
  local i = 0
  local c, message, place
  while true do
    i, c = skip(p, i)
    if room - used < 16 then reserve(used) end
    local opened = false
    if c == 34 then
      i, message, place = write_string(p, i + 1, n)
      if not i then return failed(place, n, message) end
    elseif c == 123 or c == 91 then
      if depth == MAX_DEPTH then return nil, "nested too deep", i end
      depth = depth + 1
      if depth > deepest then deepest = depth end
      local is_object = c == 123
      frame_at[depth], frame_count[depth], frame_object[depth] = used, 1, is_object
      i, c = skip(p, i + 1)
      opened = c ~= (is_object and 125 or 93)
      if not opened then
        out[used] = EMPTY
        used, depth, i = used + 1, depth - 1, i + 1
      else
        used = used + HEADER
        if is_object then
          i, message, place = write_key(p, i, n)
          if not i then return failed(place, n, message) end
        end
      end
    elseif c == 45 or c >= 48 and c <= 57 then
      i, message, place = write_number(p, i)
      if not i then return failed(place, n, message) end
    elseif c == 116 and word(p, i + 1, 114, 117, 101) then
      out[used] = TRUE
      used, i = used + 1, i + 4
    elseif c == 110 and word(p, i + 1, 117, 108, 108) then
      out[used] = NIL
      used, i = used + 1, i + 4
    elseif c == 102 and p[i + 1] == 97 and word(p, i + 2, 108, 115, 101) then
      out[used] = FALSE
      used, i = used + 1, i + 5
    else
      return failed(i, n, "value expected")
    end
    while not opened do -- a value is complete: close what ends with it
      if depth == 0 then return i, deepest end
      i, c = skip(p, i)
      local count, is_object = frame_count[depth], frame_object[depth]
      if c == 44 then
        frame_count[depth], i = count + 1, i + 1
        if is_object then
          i, message, place = write_key(p, i, n)
          if not i then return failed(place, n, message) end
        end
        break
      end
      if c ~= (is_object and 125 or 93) then
        return failed(i, n, is_object and "',' or '}' expected" or "',' or ']' expected")
      end
      local header = out + frame_at[depth]
      header[0] = is_object and OBJECT or ARRAY
      put_length(header + 1, is_object and count or count + 1) -- an array's counts its item 0, which is not there
      depth, i = depth - 1, i + 1
    end
  end
end

-- The value written at *at*, and the place after it.
local function build(at)
  local tag = out[at]
  if tag == NIL then return nil, at + 1 end
  if tag <= TRUE then return tag == TRUE, at + 1 end
  if tag == INTEGER then return cast(int_type, out + at + 1)[0], at + 5 end
  if tag == NUMBER then return cast(double_type, out + at + 1)[0], at + 9 end
  if tag == EMPTY then return {}, at + 1 end
  if tag ~= OBJECT and tag ~= ARRAY then
    local start, length = at + 1, tag - STRING
    if tag == LONG then start, length = at + 5, cast(length_type, out + at + 1)[0] - STRING end
    return ffi_string(out + start, length), start + length
  end
  local value, count = {}, cast(length_type, out + at + 2)[0]
  at = at + HEADER
  if tag == ARRAY then
    for i = 1, count - 1 do value[i], at = build(at) end
  else
    for _ = 1, count do
      local key
      key, at = build(at)
      value[key], at = build(at)
    end
  end
  return value, at
end

local function value_of(deepest)
  if deepest <= DEEP then
    local good, value = pcall(written.decode, written)
    if good then return value end
  end
  return (build(0))
end

-- Decodes the document at the start of *text*.  Returns true, its value and the place after it; or nil, a message
-- and the offset of the byte at fault.
local function decode(text)
  written:reset()
  out, used, room = nil, 0, 0
  reserve(#text + #text / 2)
  local after, deepest, place = scan(text)
  if not after then return nil, deepest, place end
  written:commit(used - #written)
  local value = value_of(deepest)
  if room > SCRATCH then written:free() end
  return true, value, after
end

return { decode = decode, read_string = read_string, MAX_DEPTH = MAX_DEPTH }
