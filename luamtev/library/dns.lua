---@meta
-- DNS.

---@class mtev.dns
local dns = {}

---A table for each record.
---@async
---@param name string
---@param type? string
---@param class? string
---@return table ...
function dns:lookup(name, type, class) end

---@param text string
---@return boolean
---@return integer? family
function dns.is_valid_ip(text) end

---@param nameserver? string
---@return mtev.dns
function mtev.dns(nameserver) end
