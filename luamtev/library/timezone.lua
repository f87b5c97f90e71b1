---@meta
-- Time zones.

---@class mtev.timezone
local zone = {}

---@param time number seconds since 1970
---@param field string
---@param ... string
---@return any ...
function zone:extract(time, field, ...) end

---@param name string
---@return mtev.timezone
function mtev.timezone(name) end
