-- mtev_uuid_*: on 16 bytes of the caller's (RFC 4122).

local tonumber = tonumber
local rep, find, gsub, gmatch, format = string.rep, string.find, string.gsub, string.gmatch, string.format
local concat = table.concat
local _, arguments, family = ...

local ffi = require("ffi")
local bit = require("bit")
local band, bor = bit.band, bit.bor
local pointer, text = arguments.pointer, arguments.text

local SIZE = 16
local bytes_type, chars_type = ffi.typeof("uint8_t *"), ffi.typeof("char *")
local PATTERN = "^" .. rep("%x", 8) .. "%-" .. rep("%x%x%x%x%-", 3) .. rep("%x", 12) .. "$"

local M = {}

local function uuid(value, name) return pointer(bytes_type, value, name, "the uuid") end

function M.mtev_uuid_clear(uu) ffi.fill(uuid(uu, "mtev_uuid_clear"), SIZE) end

function M.mtev_uuid_copy(dst, src) ffi.copy(uuid(dst, "mtev_uuid_copy"), uuid(src, "mtev_uuid_copy"), SIZE) end

function M.mtev_uuid_compare(uu1, uu2)
  local a, b = uuid(uu1, "mtev_uuid_compare"), uuid(uu2, "mtev_uuid_compare")
  for i = 0, SIZE - 1 do
    if a[i] ~= b[i] then return a[i] < b[i] and -1 or 1 end
  end
  return 0
end

function M.mtev_uuid_is_null(uu)
  local bytes = uuid(uu, "mtev_uuid_is_null")
  for i = 0, SIZE - 1 do
    if bytes[i] ~= 0 then return 0 end
  end
  return 1
end

-- Version 4: at random.
function M.mtev_uuid_generate(uu)
  local bytes = uuid(uu, "mtev_uuid_generate")
  family("rand").mtev_rand_buf_secure(bytes, SIZE)
  bytes[6] = bor(band(bytes[6], 0x0f), 0x40)
  bytes[8] = bor(band(bytes[8], 0x3f), 0x80)
end

-- 0, or -1 for what is no uuid.
function M.mtev_uuid_parse(input, uu)
  local given = text(input, "mtev_uuid_parse", "in")
  local bytes = uuid(uu, "mtev_uuid_parse")
  if not find(given, PATTERN) then return -1 end
  local at = 0
  for digits in gmatch(gsub(given, "-", ""), "..") do
    bytes[at] = tonumber(digits, 16)
    at = at + 1
  end
  return 0
end

-- Writes the 36 characters, without a NUL.
local function unparser(name, digits)
  return function(uu, out)
    local bytes, to = uuid(uu, name), pointer(chars_type, out, name, "out")
    local written = {}
    for i = 0, SIZE - 1 do
      written[i + 1] = format(digits, bytes[i]) .. ((i == 3 or i == 5 or i == 7 or i == 9) and "-" or "")
    end
    local whole = concat(written)
    ffi.copy(to, whole, #whole)
  end
end

M.mtev_uuid_unparse = unparser("mtev_uuid_unparse", "%02x")
M.mtev_uuid_unparse_lower = unparser("mtev_uuid_unparse_lower", "%02x")
M.mtev_uuid_unparse_upper = unparser("mtev_uuid_unparse_upper", "%02X")

return M
