---@meta
-- XML.

---@class mtev.xmldoc
local doc = {}

---@return mtev.xmlnode
function doc:root() end

---@return string
function doc:tostring() end

---@param expression string
---@param node? mtev.xmlnode
---@return fun(): mtev.xmlnode?
function doc:xpath(expression, node) end

---@class mtev.xmlnode
local node = {}

---@return string
function node:name() end

---@param text? string|number
---@return string?
function node:contents(text) end

---@param name string
---@param value? string|number
---@return string?
function node:attr(name, value) end

---@param name string
---@param value? string|number
---@return string?
function node:attribute(name, value) end

---@return fun(): mtev.xmlnode?
function node:children() end

---@return mtev.xmlnode?
function node:next() end

---@param name string
---@return mtev.xmlnode
function node:addchild(name) end

---@param text string
---@return mtev.xmldoc?
function mtev.parsexml(text) end
