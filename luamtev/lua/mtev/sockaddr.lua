-- Socket addresses: between text and the struct the system wants.  Families are "inet", "inet6" and "unix".

local home = ...

local tonumber = tonumber
local match, sub, byte = string.match, string.sub, string.byte
local ffi = require("ffi")
local bit = require("bit")
local band, rshift, lshift, bor = bit.band, bit.rshift, bit.lshift, bit.bor
local copy, fill, string_of = ffi.copy, ffi.fill, ffi.string

ffi.cdef [[
int luamtev_inet_pton(int family, const char *text, void *address) __asm__("inet_pton");
const char *luamtev_inet_ntop(int family, const void *address, char *text, unsigned size) __asm__("inet_ntop");
unsigned luamtev_if_nametoindex(const char *name) __asm__("if_nametoindex");
]]
local C = ffi.C

local numbers = home.border.socket_constants()
local INET, INET6, UNIX = numbers.AF_INET, numbers.AF_INET6, numbers.AF_UNIX
local HAS_LENGTH = ffi.os == "OSX" or ffi.os == "BSD" -- the first byte is the length, the second the family
local PATH_AT = 2
local LONGEST_PATH = HAS_LENGTH and 103 or 107

local SIZE = 128
local out = ffi.new("uint8_t[?]", SIZE) -- what pack fills
local text = ffi.new("char[64]")
local number = ffi.new("union { uint32_t value; uint8_t bytes[4]; }")

local sockaddr = { numbers = numbers, SIZE = SIZE, family_number = { inet = INET, inet6 = INET6, unix = UNIX } }

local function start(family, length, port)
  fill(out, SIZE)
  if HAS_LENGTH then
    out[0], out[1] = length, family
  else
    ffi.cast("uint16_t *", out)[0] = family
  end
  if port then out[2], out[3] = rshift(port, 8), band(port, 255) end
end

local function pack_inet(host, port)
  if C.luamtev_inet_pton(INET, host, text) ~= 1 then return nil end
  start(INET, 16, port)
  copy(out + 4, text, 4)
  return out, 16, "inet"
end

local function pack_inet6(host, port)
  local zone = match(host, "%%(.+)$")
  if C.luamtev_inet_pton(INET6, zone and sub(host, 1, -#zone - 2) or host, text) ~= 1 then return nil end
  number.value = 0
  if zone then
    number.value = tonumber(zone) or C.luamtev_if_nametoindex(zone)
    if number.value == 0 then return nil end
  end
  start(INET6, 28, port)
  copy(out + 8, text, 16)
  copy(out + 24, number.bytes, 4)
  return out, 28, "inet6"
end

-- The address of *host* and *port*: a buffer that the next call reuses, its length, its family.
-- Nothing when *host* is not written as an address.  With *family* "unix" the host is a path.
function sockaddr.pack(host, port, family)
  if family == "unix" then
    if #host > LONGEST_PATH then return nil end
    start(UNIX, PATH_AT + #host + 1)
    copy(out + PATH_AT, host, #host)
    local abstract = byte(host, 1) == 0
    return out, PATH_AT + #host + (abstract and 0 or 1), "unix"
  end
  local buffer, length, found = pack_inet(host, port)
  if buffer then return buffer, length, found end
  return pack_inet6(host, port)
end

-- Text and port of an address the system gave; a path for "unix"; nothing for none.
function sockaddr.unpack(address, length)
  if length < 2 then return end
  local family = HAS_LENGTH and address[1] or ffi.cast("uint16_t *", address)[0]
  local port = bor(lshift(address[2], 8), address[3])
  if family == INET then
    C.luamtev_inet_ntop(INET, address + 4, text, 64)
    return string_of(text), port
  elseif family == INET6 then
    C.luamtev_inet_ntop(INET6, address + 8, text, 64)
    return string_of(text), port
  elseif family == UNIX then
    if length <= PATH_AT then return "" end
    local path = string_of(address + PATH_AT, length - PATH_AT)
    return byte(path, 1) == 0 and path or match(path, "^%Z*")
  end
end

return sockaddr
