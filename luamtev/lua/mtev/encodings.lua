-- mtev.base64_*, mtev.base32_* and mtev.crc32, on bytes through ffi.  What cannot be decoded gives "".

local home = ...

local floor = math.floor
local M = {}
local refuse, check_bytes = home.need("arguments").refuse, home.need("arguments").check_bytes
local ffi = require("ffi")
local bit = require("bit")
local cast, ffi_string = ffi.cast, ffi.string
local band, bor, bxor, lshift, rshift, bnot, tobit
  = bit.band, bit.bor, bit.bxor, bit.lshift, bit.rshift, bit.bnot, bit.tobit
local string_buffer = require("string.buffer")
local type, tonumber, select, pcall = type, tonumber, select, pcall
local gsub, byte, rep = string.gsub, string.byte, string.rep

local KEPT = 65536 -- bytes of buffer kept between calls
local LARGE = 4194304 -- bytes of the library's buffer kept between calls
local bytes_type = ffi.typeof("const uint8_t *")
local buffer_type = ffi.typeof("uint8_t[?]")
local pairs_type = ffi.typeof("uint16_t *")

local kept = buffer_type(KEPT + 8)
local function buffer(size) return size <= KEPT and kept or buffer_type(size + 8) end

local function alphabet(letters)
  local encode, decode = ffi.new("uint8_t[?]", #letters), ffi.new("uint8_t[256]")
  ffi.fill(decode, 256, 255)
  for i = 1, #letters do
    encode[i - 1] = byte(letters, i)
    decode[byte(letters, i)] = i - 1
  end
  return encode, decode
end

-- Base 64 (RFC 4648) ------------------------------------------------------------------------------------------------

local encode64, decode64 = alphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
local twelve = ffi.new("uint16_t[4096]") -- two letters for twelve bits, as they lie in memory
do
  local letters = cast(bytes_type, twelve)
  local writable = cast("uint8_t *", letters)
  for i = 0, 4095 do
    writable[2 * i], writable[2 * i + 1] = encode64[rshift(i, 6)], encode64[band(i, 63)]
  end
end

-- Writes the letters of the n bytes at p to out, which has room for them; returns how many.
local function encode_into(p, n, out)
  local size = 4 * floor((n + 2) / 3)
  local o = cast(pairs_type, out)
  local whole, at = n - n % 3, 0
  for i = 0, whole - 3, 3 do
    local group = bor(lshift(p[i], 16), lshift(p[i + 1], 8), p[i + 2])
    o[at], o[at + 1] = twelve[rshift(group, 12)], twelve[band(group, 4095)]
    at = at + 2
  end
  if whole < n then
    local second = whole + 1 < n and p[whole + 1] or 0
    local group = bor(lshift(p[whole], 16), lshift(second, 8))
    o[at], o[at + 1] = twelve[rshift(group, 12)], twelve[band(group, 4095)]
    out[size - 1] = 61
    if whole + 1 == n then out[size - 2] = 61 end
  end
  return size
end

local function encode_here(text)
  local out = buffer(4 * floor((#text + 2) / 3))
  return ffi_string(out, encode_into(cast(bytes_type, text), #text, out))
end

-- The tables hold a letter's six bits in their place within a group; BAD has a bit no group has.
local BAD = 0x1000000
local first, second = ffi.new("uint32_t[256]", BAD), ffi.new("uint32_t[256]", BAD)
local third, fourth = ffi.new("uint32_t[256]", BAD), ffi.new("uint32_t[256]", BAD)
decode64[45], decode64[95] = 62, 63 -- the URL alphabet has - and _
for i = 0, 255 do
  local value = decode64[i]
  local bad = value == 255
  first[i], second[i] = bad and BAD or lshift(value, 18), bad and BAD or lshift(value, 12)
  third[i], fourth[i] = bad and BAD or lshift(value, 6), bad and BAD or value
end

-- Writes what the letters at p stand for to out, group by group, up to the first of the n letters that is none or the
-- last whole group; returns how many were read.  Three bytes are written for four letters.
local function decode_groups(p, n, out)
  local at = 0
  for i = 0, n - n % 4 - 4, 4 do
    local group = bor(first[p[i]], second[p[i + 1]], third[p[i + 2]], fourth[p[i + 3]])
    if group >= BAD then return i end
    out[at], out[at + 1], out[at + 2] = rshift(group, 16), rshift(group, 8), group
    at = at + 3
  end
  return n - n % 4
end

-- For ffi.load("mtev").
M.base64 = { encode_into = encode_into, decode_groups = decode_groups, values = decode64 }

-- nil for what is no base 64.
local function decode_here(text)
  local p, n = cast(bytes_type, text), #text
  while n > 0 and p[n - 1] == 61 and #text - n < 2 do n = n - 1 end
  if n % 4 == 1 or n < #text and #text % 4 ~= 0 then return nil end
  local out = buffer(n)
  local whole = decode_groups(p, n, out)
  if whole < n - n % 4 then return nil end
  local at = whole / 4 * 3
  if whole < n then
    local group = bor(first[p[whole]], second[p[whole + 1]])
    if n - whole == 3 then group = bor(group, third[p[whole + 2]]) end
    if group >= BAD then return nil end
    out[at], out[at + 1] = rshift(group, 16), rshift(group, 8)
    at = at + n - whole - 1
  end
  return ffi_string(out, at)
end

-- The same by the vector instructions of the processor, where a library for that is to be had.

ffi.cdef [[
void luamtev_base64_encode(const char *text, size_t length, char *out, size_t *out_length, int flags)
  __asm__("base64_encode");
int luamtev_base64_decode(const char *text, size_t length, char *out, size_t *out_length, int flags)
  __asm__("base64_decode");
]]

local SMALL = 64 -- bytes that are as quick here
local library, looked_for = nil, false
local room, size = string_buffer.new(), ffi.new("size_t[1]")

-- What it wrote; a large buffer is given back.
local function written()
  room:commit(size[0])
  local text = room:get()
  if size[0] > LARGE then room:free() end
  return text
end

local function encode_by_library(text)
  library.luamtev_base64_encode(text, #text, room:reserve(4 * floor((#text + 2) / 3) + 8), size, 0)
  return written()
end

-- nil for anything but letters of the usual alphabet and the right padding.
local function decode_by_library(text)
  if library.luamtev_base64_decode(text, #text, room:reserve(#text + 8), size, 0) ~= 1 then return nil end
  return written()
end

-- Opens the library, once; one that does not do what it is here for is of no use.
local function has_library()
  if looked_for then return library end
  looked_for = true
  local path = home.checked(home.border.base64_library)()
  local found, opened = false, nil
  if path then found, opened = pcall(ffi.load, path) end
  if not found then return nil end
  library = opened
  local text = rep("\0\255any bytes", 50)
  local works, same = pcall(function() return decode_by_library(encode_by_library(text)) == text end)
  if not works or not same or encode_by_library("\251\255\191a") ~= "+/+/YQ==" then library = nil end
  return library
end

local function to_base64(text)
  if #text > SMALL and has_library() then return encode_by_library(text) end
  return encode_here(text)
end
M.to_base64 = to_base64

function mtev.base64_encode(text) return to_base64(check_bytes(text, "base64_encode")) end

-- White space is skipped, and the URL alphabet understood.
function mtev.base64_decode(text)
  text = check_bytes(text, "base64_decode")
  return #text > SMALL and has_library() and decode_by_library(text) or decode_here(text)
    or decode_here((gsub(text, "%s+", ""))) or ""
end

-- Base 32 (RFC 4648) ------------------------------------------------------------------------------------------------

local encode32, decode32 = alphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
for i = 0, 25 do decode32[97 + i] = i end

-- Writes the letters of the n bytes at p to out, which has room for them, and the padding; returns how many.
local function encode32_into(p, n, out)
  local letters = 8 * floor((n + 4) / 5)
  local held, bits, at = 0, 0, 0
  for i = 0, n - 1 do
    held, bits = bor(lshift(band(held, 31), 8), p[i]), bits + 8
    while bits >= 5 do
      bits = bits - 5
      out[at] = encode32[band(rshift(held, bits), 31)]
      at = at + 1
    end
  end
  if bits > 0 then
    out[at] = encode32[band(lshift(held, 5 - bits), 31)]
    at = at + 1
  end
  for i = at, letters - 1 do out[i] = 61 end
  return letters
end

-- For ffi.load("mtev").
M.base32 = { encode_into = encode32_into, values = decode32 }

function mtev.base32_encode(text)
  text = check_bytes(text, "base32_encode")
  local out = buffer(8 * floor((#text + 4) / 5))
  return ffi_string(out, encode32_into(cast(bytes_type, text), #text, out))
end

local letters_of = { [0] = true, [2] = true, [4] = true, [5] = true, [7] = true } -- in the last group

local function from_base32(text)
  local p, n = cast(bytes_type, text), #text
  while n > 0 and p[n - 1] == 61 and #text - n < 6 do n = n - 1 end
  if not letters_of[n % 8] or n < #text and #text % 8 ~= 0 then return nil end
  local out = buffer(n)
  local held, bits, at = 0, 0, 0
  for i = 0, n - 1 do
    local value = decode32[p[i]]
    if value == 255 then return nil end
    held, bits = bor(lshift(band(held, 127), 5), value), bits + 5
    if bits >= 8 then
      bits = bits - 8
      out[at] = rshift(held, bits)
      at = at + 1
    end
  end
  return ffi_string(out, at)
end

-- White space is skipped.
function mtev.base32_decode(text)
  text = check_bytes(text, "base32_decode")
  return from_base32(text) or from_base32((gsub(text, "%s+", ""))) or ""
end

-- CRC-32 (IEEE 802.3), eight bytes a step -----------------------------------------------------------------------------

local crc_table = ffi.new("uint32_t[2048]") -- eight tables of 256, for a byte with none to seven more behind it
for i = 0, 255 do
  local value = i
  for _ = 1, 8 do value = band(value, 1) == 1 and bxor(rshift(value, 1), 0xedb88320) or rshift(value, 1) end
  crc_table[i] = value
end
for i = 256, 2047 do
  local previous = crc_table[i - 256]
  crc_table[i] = bxor(rshift(previous, 8), crc_table[band(previous, 255)])
end

local function crc32(crc, text)
  local p, n, t = cast(bytes_type, text), #text, crc_table
  crc = bnot(crc)
  local whole = n - n % 8
  for i = 0, whole - 8, 8 do
    crc = bxor(crc, bor(p[i], lshift(p[i + 1], 8), lshift(p[i + 2], 16), lshift(p[i + 3], 24)))
    crc = bxor(t[1792 + band(crc, 255)], t[1536 + band(rshift(crc, 8), 255)], t[1280 + band(rshift(crc, 16), 255)],
      t[1024 + rshift(crc, 24)], t[768 + p[i + 4]], t[512 + p[i + 5]], t[256 + p[i + 6]], t[p[i + 7]])
  end
  for i = whole, n - 1 do crc = bxor(rshift(crc, 8), t[band(bxor(crc, p[i]), 255)]) end
  return bnot(crc)
end

-- crc32(s), or crc32(start, ...): the checksum of all that follows, going on from *start*; nil is that of nothing.
function mtev.crc32(start, ...)
  local given = select("#", ...)
  if given == 0 then return crc32(0, check_bytes(start, "crc32")) % 2 ^ 32 end
  local crc = start == nil and 0 or tonumber(start)
  if not crc or crc % 1 ~= 0 then
    refuse(1, "crc32", "checksum", type(start), 2)
  end
  crc = tobit(crc)
  for i = 1, given do crc = crc32(crc, check_bytes((select(i, ...)), "crc32", i + 1)) end
  return crc % 2 ^ 32
end

return M
