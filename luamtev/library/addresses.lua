---@meta
-- Addresses.

---@param address string
---@return boolean
---@return "inet"|"inet6"|nil family
---@return userdata? bytes
function mtev.inet_pton(address) end

---@async
---@param host string
---@return string|false address
---@return string family or why there is none
function mtev.getaddrinfo(host) end

---@param target? string
---@return string? address
---@return string? reason
function mtev.getip_ipv4(target) end
