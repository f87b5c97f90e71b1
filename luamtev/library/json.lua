---@meta
-- JSON.

---@class mtev.json
local json = {}

---@return any
function json:document() end

---@return string
function json:tostring() end

---@param text string
---@return mtev.json?
---@return string? reason
---@return integer? offset
function mtev.parsejson(text) end

---@param value any
---@param maxdepth? integer
---@return mtev.json
function mtev.tojson(value, maxdepth) end
