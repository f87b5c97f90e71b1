---@meta
-- Reverse connections.

---@param host string
---@param port integer
---@param sslconfig? mtev.tlsconfig
---@param config? table<string, any>
function mtev.reverse_start(host, port, sslconfig, config) end

---@param host string
---@param port integer
---@return boolean
function mtev.reverse_stop(host, port) end

---@param host string
---@param port integer
---@return table?
function mtev.reverse_details(host, port) end
