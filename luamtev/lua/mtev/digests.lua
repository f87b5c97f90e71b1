-- mtev.md5, sha1, sha256, their _hex forms, and the HMACs.  Where the system has OpenSSL's libcrypto the hashes are its own
-- functions, called by ffi; elsewhere, and for HMACs, each is one crossing into hashlib.

local home = ...

local format, byte = string.format, string.byte
local ffi = require("ffi")
local bit = require("bit")
local lshift, bor = bit.lshift, bit.bor
local check_bytes, to_base64 = home.need("arguments").check_bytes, home.need("mtev/encodings").to_base64
local border, checked = home.border, home.checked
local ipairs, pcall = ipairs, pcall

ffi.cdef [[
int luamtev_md5_init(void *context) __asm__("MD5_Init");
int luamtev_md5_update(void *context, const char *data, size_t length) __asm__("MD5_Update");
int luamtev_md5_final(uint8_t *digest, void *context) __asm__("MD5_Final");
int luamtev_sha1_init(void *context) __asm__("SHA1_Init");
int luamtev_sha1_update(void *context, const char *data, size_t length) __asm__("SHA1_Update");
int luamtev_sha1_final(uint8_t *digest, void *context) __asm__("SHA1_Final");
int luamtev_sha256_init(void *context) __asm__("SHA256_Init");
int luamtev_sha256_update(void *context, const char *data, size_t length) __asm__("SHA256_Update");
int luamtev_sha256_final(uint8_t *digest, void *context) __asm__("SHA256_Final");
]]

local LIBRARIES = { "libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.3.dylib" }
local SIZES = { md5 = 16, sha1 = 20, sha256 = 32 } -- bytes of a digest
local OF_ABC = { -- what the standards say of "abc": RFC 1321, FIPS 180-4
  md5 = "900150983cd24fb0d6963f7d28e17f72",
  sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d",
  sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
}

local context = ffi.new("uint64_t[64]") -- more than any of the library's takes
local digest = ffi.new("uint8_t[32]")
local text = ffi.new("uint16_t[32]")
local pairs_of = ffi.new("uint16_t[256]") -- two digits for a byte, as they lie in memory
for i = 0, 255 do
  local first, second = byte(format("%02x", i), 1, 2)
  pairs_of[i] = ffi.abi("le") and bor(first, lshift(second, 8)) or bor(second, lshift(first, 8))
end

-- Two functions of a text on *library*: its digest, and that in hexadecimal.
local function on_library(library, name)
  local size = SIZES[name]
  local init, update, final =
    library["luamtev_" .. name .. "_init"], library["luamtev_" .. name .. "_update"], library["luamtev_" .. name .. "_final"]

  local function run(data)
    init(context)
    update(context, data, #data)
    final(digest, context)
  end

  return function(data)
    run(data)
    return ffi.string(digest, size)
  end, function(data)
    run(data)
    for i = 0, size - 1 do text[i] = pairs_of[digest[i]] end
    return ffi.string(text, size * 2)
  end
end

-- The same by hashlib.
local function on_border(name) return border[name], border[name .. "_hex"] end

-- The two functions; a library that lacks one, or does not do what the standard says, is of no use.
local function choose(name)
  for _, file in ipairs(LIBRARIES) do
    local found, library = pcall(ffi.load, file)
    if found then
      local works, plain, hex = pcall(on_library, library, name)
      if works and hex("abc") == OF_ABC[name] then return plain, hex end
    end
  end
  return on_border(name)
end

for name in pairs(SIZES) do
  local hex_name = name .. "_hex"
  local plain, hex

  mtev[name] = function(data)
    data = check_bytes(data, name)
    if not plain then plain, hex = choose(name) end
    return plain(data)
  end

  mtev[hex_name] = function(data)
    data = check_bytes(data, hex_name)
    if not hex then plain, hex = choose(name) end
    return hex(data)
  end
end

mtev.sha256_hash = mtev.sha256_hex

local hmac = checked(border.hmac)

local function hmac_encode(name, algorithm)
  return function(message, key)
    return to_base64((hmac(algorithm, check_bytes(message, name), check_bytes(key, name, 2))))
  end
end

mtev.hmac_sha1_encode = hmac_encode("hmac_sha1_encode", "sha1")
mtev.hmac_sha256_encode = hmac_encode("hmac_sha256_encode", "sha256")
