-- mtev_b64_*, mtev_b32_*, mtev_url_*, mtev_html_*: from one buffer to another that has a length.  What does not fit is
-- 0 bytes.  manual: mtev_b64_decode, mtev_url_encode

local home, arguments = ...

local tonumber = tonumber
local find, format, byte_of, char_of = string.find, string.format, string.byte, string.char
local ffi = require("ffi")
local bit = require("bit")
local length, source, target = arguments.length, arguments.source, arguments.target
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local encodings = home.need("mtev/encodings")
local base64 = encodings.base64
local encode_into, decode_groups, values64 = base64.encode_into, base64.decode_groups, base64.values
local base32, values32 = encodings.base32, encodings.base32.values
local floor, min = math.floor, math.min
local copy = ffi.copy

ffi.cdef [[ typedef struct { const uint8_t *base; size_t length; } luamtev_iovec; ]]
local iovecs = ffi.typeof("const luamtev_iovec *")
local PAD = 61

local M = {}

local function size(n) return n + 0ULL end -- a size_t

local function is_space(byte) return byte == 32 or byte >= 9 and byte <= 13 end

-- Base 64 (RFC 4648) ------------------------------------------------------------------------------------------------

local function encoded64(n) return 4 * floor((n + 2) / 3) end

function M.mtev_b64_encode_len(src_len)
  return size(encoded64(length(src_len, "mtev_b64_encode_len", "src_len")))
end

function M.mtev_b64_max_decode_len(src_len)
  return size(3 * floor((length(src_len, "mtev_b64_max_decode_len", "src_len") + 3) / 4))
end

function M.mtev_b64_encode(src, src_len, dest, dest_len)
  local n, room = length(src_len, "mtev_b64_encode", "src_len"), length(dest_len, "mtev_b64_encode", "dest_len")
  local from, to = source(src, n, "mtev_b64_encode"), target(dest, room, "mtev_b64_encode")
  if encoded64(n) > room then return 0 end
  return encode_into(from, n, to)
end

function M.mtev_b64_encodev(iov, iovcnt, dest, dest_len)
  local name = "mtev_b64_encodev"
  local count, room = length(iovcnt, name, "iovcnt"), length(dest_len, name, "dest_len")
  local to = target(dest, room, name)
  if count == 0 then return 0 end
  local parts = arguments.pointer(iovecs, iov, name, "iov")
  local n = 0
  for i = 0, count - 1 do n = n + length(parts[i].length, name, "iov_len") end
  if encoded64(n) > room then return 0 end
  local joined, at = ffi.new("uint8_t[?]", n), 0
  for i = 0, count - 1 do
    local some = tonumber(parts[i].length)
    copy(joined + at, source(parts[i].base, some, name), some)
    at = at + some
  end
  return encode_into(joined, n, to)
end

-- White space is skipped; what is behind the padding, or a last group that is not whole, is no data.
function M.mtev_b64_decode(src, src_len, dest, dest_len)
  local n, room = length(src_len, "mtev_b64_decode", "src_len"), length(dest_len, "mtev_b64_decode", "dest_len")
  local from, to = source(src, n, "mtev_b64_decode"), target(dest, room, "mtev_b64_decode")
  local at = decode_groups(from, min(n, 4 * floor(room / 3)), to)
  local out = at / 4 * 3
  local held, letters = 0, 0
  while at < n do
    local byte = from[at]
    local value = values64[byte]
    at = at + 1
    if value ~= 255 then
      held, letters = bor(lshift(held, 6), value), letters + 1
    elseif byte == PAD and letters > 0 then
      held = lshift(held, 6 * (4 - letters))
      local rest = letters == 3 and 2 or 1
      if out + rest > room then return 0 end
      to[out] = rshift(held, 16)
      if rest == 2 then to[out + 1] = rshift(held, 8) end
      return out + rest
    elseif not is_space(byte) then
      return out
    end
    if letters == 4 then
      if out + 3 > room then return 0 end
      to[out], to[out + 1], to[out + 2] = rshift(held, 16), rshift(held, 8), held
      held, letters, out = 0, 0, out + 3
    end
  end
  return out
end

-- Base 32 (RFC 4648) ------------------------------------------------------------------------------------------------

local function encoded32(n) return 8 * floor((n + 4) / 5) end

function M.mtev_b32_encode_len(src_len)
  return size(encoded32(length(src_len, "mtev_b32_encode_len", "src_len")))
end

function M.mtev_b32_max_decode_len(src_len)
  return size(5 * floor(length(src_len, "mtev_b32_max_decode_len", "src_len") / 8))
end

function M.mtev_b32_encode(src, src_len, dest, dest_len)
  local n, room = length(src_len, "mtev_b32_encode", "src_len"), length(dest_len, "mtev_b32_encode", "dest_len")
  local from, to = source(src, n, "mtev_b32_encode"), target(dest, room, "mtev_b32_encode")
  if encoded32(n) > room then return 0 end
  return base32.encode_into(from, n, to)
end

-- Bytes of a group of so many letters.
local group_bytes = { [0] = 0, 1, 1, 2, 2, 3, 4, 4, 5 }

-- White space and - are skipped; what is behind the padding, or a last group that is not whole, is no data.
function M.mtev_b32_decode(src, src_len, dest, dest_len)
  local n, room = length(src_len, "mtev_b32_decode", "src_len"), length(dest_len, "mtev_b32_decode", "dest_len")
  local from, to = source(src, n, "mtev_b32_decode"), target(dest, room, "mtev_b32_decode")
  local group = ffi.new("uint8_t[8]")
  local letters, out = 0, 0

  local function write()
    local count = group_bytes[letters]
    if out + count > room then return false end
    for i = letters, 7 do group[i] = 0 end
    for i = 0, count - 1 do
      local first = floor(8 * i / 5) -- the letter this byte begins in
      local held = bor(lshift(group[first], 10), lshift(group[first + 1], 5), first + 2 < 8 and group[first + 2] or 0)
      to[out + i] = band(rshift(held, 7 - (8 * i - 5 * first)), 255)
    end
    letters, out = 0, out + count
    return true
  end

  for at = 0, n - 1 do
    local byte = from[at]
    local value = values32[byte]
    if value ~= 255 then
      group[letters] = value
      letters = letters + 1
      if letters == 8 and not write() then return 0 end
    elseif byte == PAD then
      return (letters == 0 or write()) and out or 0
    elseif byte ~= 45 and not is_space(byte) then
      return out
    end
  end
  return out
end

-- URLs (RFC 3986) and HTML ------------------------------------------------------------------------------------------

local replaced_url, replaced_html = {}, {}
for i = 0, 255 do
  local char = char_of(i)
  replaced_url[i] = find(char, "[%w%-._~]") and char or format("%%%02X", i)
  replaced_html[i] = char
end
replaced_html[34], replaced_html[38], replaced_html[39] = "&quot;", "&amp;", "&#39;"
replaced_html[60], replaced_html[62] = "&lt;", "&gt;"

local function replacer(name, replaced)
  return function(src, src_len, dest, dest_len)
    local n, room = length(src_len, name, "src_len"), length(dest_len, name, "dest_len")
    local from, to = source(src, n, name), target(dest, room, name)
    local out = 0
    for i = 0, n - 1 do
      local text = replaced[from[i]]
      if out + #text > room then return 0 end
      copy(to + out, text, #text)
      out = out + #text
    end
    return out
  end
end

M.mtev_url_encode = replacer("mtev_url_encode", replaced_url)
M.mtev_html_encode = replacer("mtev_html_encode", replaced_html)

function M.mtev_url_encode_len(src_len) return size(3 * length(src_len, "mtev_url_encode_len", "src_len")) end
function M.mtev_html_encode_len(src_len) return size(6 * length(src_len, "mtev_html_encode_len", "src_len")) end
function M.mtev_url_max_decode_len(src_len) return size(length(src_len, "mtev_url_max_decode_len", "src_len")) end

local digits = ffi.new("uint8_t[256]")
ffi.fill(digits, 256, 255)
for i = 0, 15 do
  digits[byte_of(format("%x", i))] = i
  digits[byte_of(format("%X", i))] = i
end

-- 0 for what is not encoded as it should be.
function M.mtev_url_decode(src, src_len, dest, dest_len)
  local n, room = length(src_len, "mtev_url_decode", "src_len"), length(dest_len, "mtev_url_decode", "dest_len")
  local from, to = source(src, n, "mtev_url_decode"), target(dest, room, "mtev_url_decode")
  local at, out = 0, 0
  while at < n do
    if out == room then return 0 end
    local byte = from[at]
    at = at + 1
    if byte == 43 then
      byte = 32
    elseif byte == 37 then
      if at + 2 > n then return 0 end
      local high, low = digits[from[at]], digits[from[at + 1]]
      if high == 255 or low == 255 then return 0 end
      byte, at = 16 * high + low, at + 2
    end
    to[out] = byte
    out = out + 1
  end
  return out
end

return M
