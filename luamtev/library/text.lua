---@meta
-- Encodings, digests and text.

---@param s string|number
---@return string
function mtev.base64_encode(s) end

---@param s string|number
---@return string
function mtev.base64_decode(s) end

---@param s string|number
---@return string
function mtev.base32_encode(s) end

---@param s string|number
---@return string
function mtev.base32_decode(s) end

---@param s string|number
---@return string
function mtev.md5(s) end

---@param s string|number
---@return string
function mtev.sha1(s) end

---@param s string|number
---@return string
function mtev.sha256(s) end

---@param s string|number
---@return string
function mtev.md5_hex(s) end

---@param s string|number
---@return string
function mtev.sha1_hex(s) end

---@param s string|number
---@return string
function mtev.sha256_hex(s) end

---@param s string|number
---@return string
function mtev.sha256_hash(s) end

---Of one string; with more arguments the first is the checksum to go on from.
---@param start string|integer
---@param s? string
---@param ... string
---@return integer
function mtev.crc32(start, s, ...) end

---@param message string
---@param key string
---@return string base64
function mtev.hmac_sha1_encode(message, key) end

---@param message string
---@param key string
---@return string base64
function mtev.hmac_sha256_encode(message, key) end

---@param s string
---@param escape_tags? boolean
---@return string
function mtev.utf8tohtml(s, escape_tags) end

---@return fun(data: string, limit?: integer): string
function mtev.gunzip() end
