---@meta
-- Clusters.

---@class mtev.cluster.node
---@field id string
---@field cn string
---@field address string
---@field port integer
---@field dead boolean
---@field boot_time number
---@field last_contact number

---@class mtev.cluster
local cluster = {}

---@return integer
function cluster:size() end

---@return boolean
function cluster:am_i_oldest_visible_node() end

---@param key string
---@param count? integer
---@return mtev.cluster.node[]
function cluster:owners(key, count) end

---@param key string
---@param count? integer
---@return boolean
function cluster:do_i_own(key, count) end

---@return mtev.cluster.node[]
function cluster:nodes() end

---@param name string
---@return mtev.cluster?
function mtev.cluster(name) end
