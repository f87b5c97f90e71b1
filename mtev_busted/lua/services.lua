-- The names by which specs talk to HTTP services: HTTP, HTTPS, API, set_api_host, set_api_port.
--
-- HTTP(method, host, port, uri, …) asks once.  API:new(host, port) gives a client of a service, of the host and port that
-- were set if they are omitted; API itself is one.  HTTP:new(host, port) and HTTPS:new(host, port) are clients, too.

local use = ...
local busted = use("core")
local failure = use("failure")

local BODY_LIMIT = 100000000 -- bytes
local DEFAULT_CA = { "//eventer/config/default_ca_chain", "/noit/eventer/config/default_ca_chain" }

local default = { host = "127.0.0.1", port = 80 }

-- One request ---------------------------------------------------------------------------------------------------------

local function address_of(host)
  local address = mtev.getaddrinfo(host)
  return address or nil
end

local function default_ca_chain()
  for _, path in ipairs(DEFAULT_CA) do
    local found = mtev.conf_get_string(path)
    if found then return found end
  end
end

-- A body's JSON as a Lua value; nil when it is none.
local function from_json(body)
  if body == nil or body == "" then return nil end
  local json, message, at = mtev.parsejson(body)
  if not json then
    mtev.log("error", "json parse error: %s @ %d\n", message, at)
    return nil
  end
  return json:document()
end

local function hooks_for(config, parts)
  local function given(name) return function() return config[name] end end
  return { consume = function(data) parts[#parts + 1] = data end, certfile = given("certificate_file"),
    keyfile = given("key_file"), ciphers = given("ciphers"),
    cachain = function() return config.ca_chain or default_ca_chain() end }
end

-- Asks once: the code, the body as *parse* (by default, JSON) makes of it, the body, the headers; or -1 and a table with
-- the error.  TLS if config.use_ssl.  A table as payload is sent as JSON.
local function request(method, host, port, uri, headers, payload, parse, config)
  if type(config) ~= "table" then
    failure.refuse(8, "HTTP", "table", type(config))
  end
  local address = address_of(host)
  if not address then return -1, { error = "lookup failed" } end
  local parts = {}
  local client = mtev.HttpClient:new(hooks_for(config, parts))
  if client:connect(address, port, config.use_ssl or false, host) ~= 0 then
    return -1, { error = "client:connect failed" }
  end
  headers = headers or {}
  headers.host = address
  headers.accept = headers.accept or "application/json"
  if type(payload) == "table" then payload = mtev.tojson(payload):tostring() end
  client:do_request(method, uri, headers, payload)
  client:get_response(BODY_LIMIT)
  client:close()
  local body = table.concat(parts)
  return client.code, (parse or from_json)(body), body, client.headers
end

-- Clients -------------------------------------------------------------------------------------------------------------

local Client = {}
Client.__index = Client
Client.__tostring = function(client) return client.scheme .. " client" end

local function api_of(client)
  return mtev.Api[client.scheme](mtev.Api, client.host or default.host, client.port or default.port,
    client.own_headers, client.scheme == "https" and client.sslconfig or nil)
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
  local json = mtev.parsejson(response:text() or "")
  return response:rc(), json and json:document(), response:text()
end

-- Status, the body as an xmldoc or nil when it is none, the body.
function Client:xml(method, path, payload, headers)
  local response = self:request(method, path, payload, headers)
  return response:rc(), mtev.parsexml(response:text() or ""), response:text()
end

-- Sets what TLS needs (see request); returns the client.
function Client:ssl(config)
  self.sslconfig = config
  return self
end

-- Sets headers for every request; returns the client.
function Client:headers(headers)
  self.own_headers = {}
  for name, value in pairs(headers) do self.own_headers[name:lower()] = value end
  return self
end

local function ask(client, config, method, uri, payload, parse)
  local headers = {}
  for name, value in pairs(client.own_headers or {}) do headers[name] = value end
  return request(method, client.host or default.host, client.port or default.port, uri, headers, payload, parse, config)
end

-- As request.
function Client:HTTP(method, uri, payload, parse) return ask(self, {}, method, uri, payload, parse) end

-- As request, with *config* or what ssl() set; it says use_ssl.
function Client:HTTPS(method, uri, payload, parse, config)
  return ask(self, config or self.sslconfig, method, uri, payload, parse)
end

function Client:HTTP_pcall(...) return pcall(self.HTTP, self, ...) end

function Client:HTTPS_pcall(...) return pcall(self.HTTPS, self, ...) end

-- A client that also makes others.
local function class(scheme, arrange, call)
  local made = setmetatable({ scheme = scheme }, { __index = Client, __tostring = Client.__tostring, __call = call })
  function made:new(...)
    local client = arrange(...)
    client.scheme = scheme
    return setmetatable(client, Client)
  end
  return made
end

local function by_host(host, port, headers, sslconfig)
  return { host = host, port = port, own_headers = headers, sslconfig = sslconfig }
end

-- API:new([host[, port]]), or API:new(port[, host[, headers]]).
local function by_either(first, second, headers)
  if type(first) == "number" then return by_host(second, first, headers) end
  return by_host(first or default.host, second or default.port, headers)
end

local function check_port(port)
  local number = tonumber(port)
  if not number or number < 1 or number > 65535 then
    failure.refuse(1, "set_api_port", "port", tostring(port))
  end
  return number
end

busted.export_global("HTTP", class("http", by_host, function(_, ...) return request(...) end))
busted.export_global("HTTPS", class("https", by_host))
busted.export_global("API", class("http", by_either))
busted.export_global("set_api_host", function(host)
  if type(host) ~= "string" then failure.refuse(1, "set_api_host", "host", type(host)) end
  default.host = host
end)
busted.export_global("set_api_port", function(port) default.port = check_port(port) end)
