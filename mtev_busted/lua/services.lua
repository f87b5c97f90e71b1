-- The names by which specs talk to HTTP services: HTTP, HTTPS, API, set_api_host, set_api_port.
--
-- HTTP:new(host, port) and API:new([port[, host]]) give clients; API itself is one, of the host and port that were set.

local use = ...
local busted = use("core")

local default = { host = "127.0.0.1", port = 80 }

local Client = {}
Client.__index = Client
Client.__tostring = function(client) return client.scheme .. " client" end

local function api_of(client)
  return mtev.Api[client.scheme](mtev.Api, client.host or default.host, client.port or default.port, client.headers,
    client.scheme == "https" and client.sslconfig or nil)
end

-- An mtev.ApiResponse, whatever its status.
function Client:request(method, path, payload, headers)
  return api_of(self):request(method, path, payload, headers)
end

for _, method in ipairs({ "get", "post", "put", "delete", "head", "patch" }) do
  Client[method] = function(self, path, payload, headers) return self:request(method:upper(), path, payload, headers) end
end

-- Status, body, headers.
function Client:raw(method, path, payload, headers)
  local response = self:request(method, path, payload, headers)
  return response:rc(), response:text(), response.headers
end

-- Status, the body's JSON as a Lua value or nil when it is none, the body.
function Client:json(method, path, payload, headers)
  local response = self:request(method, path, payload, headers)
  local json = mtev.parsejson(response:text())
  return response:rc(), json and json:document(), response:text()
end

-- Status, the body as an xmldoc or nil when it is none, the body.
function Client:xml(method, path, payload, headers)
  local response = self:request(method, path, payload, headers)
  return response:rc(), mtev.parsexml(response:text()), response:text()
end

-- A client that also makes others.
local function class(scheme, arrange)
  local made = setmetatable({ scheme = scheme }, Client)
  function made:new(...)
    local client = arrange(...)
    client.scheme = scheme
    return setmetatable(client, Client)
  end
  return made
end

local function by_host(host, port, headers, sslconfig)
  return { host = host, port = port, headers = headers, sslconfig = sslconfig }
end

local function check_port(port)
  local number = tonumber(port)
  if not number or number < 1 or number > 65535 then
    error("bad argument #1 to 'set_api_port' (port expected, got " .. tostring(port) .. ")", 3)
  end
  return number
end

busted.export_global("HTTP", class("http", by_host))
busted.export_global("HTTPS", class("https", by_host))
busted.export_global("API", class("http", function(port, host, headers) return { host = host, port = port, headers = headers } end))
busted.export_global("set_api_host", function(host)
  if type(host) ~= "string" then
    error("bad argument #1 to 'set_api_host' (host expected, got " .. type(host) .. ")", 2)
  end
  default.host = host
end)
busted.export_global("set_api_port", function(port) default.port = check_port(port) end)
