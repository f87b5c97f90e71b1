---@meta
-- WebSocket client.

---@class mtev.websocket_client
---@field TEXT integer
---@field BINARY integer
---@field PING integer
---@field PONG integer
---@field CONTINUATION integer
---@field CONNECTION_CLOSE integer
local client = {}

---@param opcode integer
---@param payload string
---@return boolean
function client:send(opcode, payload) end

function client:close() end

---@class mtev.websocket_client.callbacks
---@field ready? fun(client: mtev.websocket_client): boolean?
---@field message? fun(client: mtev.websocket_client, opcode: integer, payload: string): boolean?
---@field cleanup? fun(client: mtev.websocket_client)

---@param host string
---@param port integer
---@param uri string
---@param service string
---@param callbacks mtev.websocket_client.callbacks
---@param sslconfig? mtev.tlsconfig
---@return boolean
function mtev.websocket_client_connect(host, port, uri, service, callbacks, sslconfig) end
