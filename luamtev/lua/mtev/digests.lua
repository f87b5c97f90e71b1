-- mtev.md5, sha1, sha256, their _hex forms, and the HMACs.  One crossing into hashlib each: that costs less than the
-- hash, and the interpreter lets go of its lock while it hashes much.

local home = ...

local check_bytes, to_base64 = home.check_bytes, home.to_base64
local border, checked = home.border, home.checked

for _, name in ipairs({ "md5", "sha1", "sha256" }) do
  local digest, hexdigest = border[name], border[name .. "_hex"]
  local hex_name = name .. "_hex"
  mtev[name] = function(text) return digest(check_bytes(text, name)) end
  mtev[hex_name] = function(text) return hexdigest(check_bytes(text, hex_name)) end
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
