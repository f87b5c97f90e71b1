---@meta
-- Services registered with a Consul agent.

---@class mtev.consul.handle
local handle = {}

---@param index integer of the check, the first is 0
---@param text? string
function handle:passing(index, text) end

---@param index integer of the check, the first is 0
---@param text? string
function handle:warning(index, text) end

---@param index integer of the check, the first is 0
---@param text? string
function handle:critical(index, text) end

---Has the agent forget the service.
function handle:deregister() end

---Has it know it again.
function handle:register() end

---@class mtev.consul.service
---@field id string
local service = {}

---@param name string
---@param ttl number seconds
---@param deregister number seconds
---@return integer index
function service:check_push(name, ttl, deregister) end

---@param name string
---@param url string a URL, or a path of the service
---@param method string
---@param interval number seconds
---@param timeout number seconds
---@param deregister number seconds
---@return integer index
function service:check_http(name, url, method, interval, timeout, deregister) end

---@param name string
---@param address string HOST:PORT
---@param interval number seconds
---@param timeout number seconds
---@param deregister number seconds
---@return integer index
function service:check_tcp(name, address, interval, timeout, deregister) end

---@return mtev.consul.handle
function service:register() end

mtev.consul = {}

---Describes a service.
---@param name string
---@param id? string
---@param address? string
---@param port integer
---@param tags? table<string, string>
---@param meta? table<string, string>
---@return mtev.consul.service
function mtev.consul.service(name, id, address, port, tags, meta) end
