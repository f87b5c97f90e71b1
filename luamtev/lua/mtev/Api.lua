-- mtev.Api: requests to one service, each over a connection of its own; results are objects to be asked.
-- Manual: mtev.Api:*, mtev.ApiResponse:*.

local home = ...

local resolve = home.need("mtev/dns").resolve
local HttpClient = mtev.HttpClient
local type, tostring, pairs, error, setmetatable = type, tostring, pairs, error, setmetatable
local tonumber, ipairs, pcall = tonumber, ipairs, pcall
local format, lower = string.format, string.lower

local LARGEST = 100000000 -- bytes of a body

local Response = {}
Response.__index = Response
Response.__tostring = function() return "mtev.ApiResponse" end

-- Itself, or an error unless the code is 2xx.
function Response:check()
  if self.code >= 200 and self.code < 300 then return self end
  error(format("API requests failed (%d): %s", self.code, self.output), 2)
end

-- The status; -1 when there was no response.
function Response:rc() return self.code end

-- The body; why there is none when there was no response.
function Response:text() return self.output end

-- The body as a Lua value, nil for an empty one; raises when it is no JSON.
function Response:json()
  if self.output == "" then return nil end
  local json, message, offset = mtev.parsejson(self.output)
  if not json then error(format("%s: %s at byte %d", self.what, message, offset), 2) end
  return json:document()
end

-- The body as an xmldoc, nil for an empty one; raises when it is no XML.
function Response:xml()
  if self.output == "" then return nil end
  local document = mtev.parsexml(self.output)
  if not document then error(self.what .. ": no XML", 2) end
  return document
end

local Api = {}
Api.__index = Api
Api.__tostring = function(api) return format("mtev.Api %s://%s:%s", api.scheme, api.host, api.port) end

local function new(name, host, port, headers, sslconfig)
  if host == nil then error("No host given", 3) end
  if port == nil then error("No port given", 3) end
  if type(host) ~= "string" then
    error("bad argument #1 to '" .. name .. "' (host expected, got " .. type(host) .. ")", 3)
  end
  local number = tonumber(port)
  if not number or number < 1 or number > 65535 then
    error("bad argument #2 to '" .. name .. "' (port expected, got " .. tostring(port) .. ")", 3)
  end
  for place, value in pairs({ [3] = headers, [4] = sslconfig }) do
    if type(value) ~= "table" then
      error("bad argument #" .. place .. " to '" .. name .. "' (table expected, got " .. type(value) .. ")", 3)
    end
  end
  local scheme = sslconfig and "https" or "http"
  return setmetatable({ scheme = scheme, host = host, port = number, headers = headers or {}, sslconfig = sslconfig }, Api)
end

-- TLS, if there is a configuration for it.
function Api:new(host, port, headers, sslconfig) return (new("new", host, port, headers, sslconfig)) end

function Api:http(host, port, headers) return (new("http", host, port, headers)) end

function Api:https(host, port, headers, sslconfig) return (new("https", host, port, headers, sslconfig or {})) end

-- Seconds that a request may take as a whole, from the look-up of the name to the end of the response.
function Api:set_timeout(timeout)
  self.timeout = home.kernel.seconds(timeout, "set_timeout", 2)
  return self
end

local function default(headers, name, value)
  for each in pairs(headers) do
    if lower(each) == lower(name) then return end
  end
  headers[name] = value
end

-- Whether the client is connected; if not, why.
local function connect(api, client, deadline)
  local addresses = resolve(api.host, deadline)
  if not addresses then return false, "DNS lookup failed" end
  local secure = api.scheme == "https"
  for _, address in ipairs(addresses) do
    if client:connect(address, api.port, secure, secure and api.host or nil) == 0 then return true end
  end
  return false, "client:connect failed"
end

local function new_response(what, code, output, headers, cookies)
  return setmetatable({ what = what, code = code, output = output, headers = headers, cookies = cookies }, Response)
end

-- Sends the request and reads what comes back: the body, or nil and why there is none.  What is malformed raises.
local function exchange(client, method, path, headers, payload)
  local sent, failure = client:do_request(method, path, headers, payload)
  if sent < 0 then return nil, failure end
  local timed_out = false
  client.on_timeout = function() timed_out = true end
  local good, body = pcall(client.get_response, client, LARGEST)
  if good then return body end
  if timed_out then return nil, "timeout" end
  error(body, 0)
end

-- request(method, path[, payload[, headers]]): an ApiResponse, also when there was no response.  A table is sent as JSON.
-- Headers given here stand for those of the api.
function Api:request(method, path, payload, headers)
  if type(method) ~= "string" then
    error("bad argument #1 to 'request' (method expected, got " .. type(method) .. ")", 2)
  end
  if type(path) ~= "string" then error("bad argument #2 to 'request' (path expected, got " .. type(path) .. ")", 2) end
  local what = format("%s %s://%s:%d%s", method, self.scheme, self.host, self.port, path)
  local all = {}
  for name, value in pairs(headers or self.headers) do all[name] = value end
  if type(payload) == "table" then
    payload = mtev.tojson(payload):tostring()
    default(all, "Content-Type", "application/json")
  end
  local standard = self.scheme == "https" and 443 or 80
  local name = self.host:find(":", 1, true) and "[" .. self.host .. "]" or self.host
  default(all, "Host", name .. (self.port ~= standard and ":" .. self.port or ""))
  default(all, "Accept", "application/json")
  default(all, "Connection", "close")
  local client = HttpClient:new(nil, self.sslconfig)
  local deadline
  if self.timeout then
    client:set_deadline(self.timeout)
    client:set_connect_timeout(self.timeout)
    deadline = client.deadline
  end
  local connected, failure = connect(self, client, deadline)
  if not connected then return new_response(what, -1, failure, {}, {}) end
  local good, body, why = pcall(exchange, client, method, path, all, payload)
  client:close()
  if not good then error(what .. ": " .. tostring(body), 2) end
  if not body then return new_response(what, -1, why, {}, {}) end
  return new_response(what, client.code, body, client.headers, client.cookies)
end

for _, method in ipairs({ "get", "post", "put", "delete", "head", "patch" }) do
  Api[method] = function(self, path, payload, headers) return self:request(method:upper(), path, payload, headers) end
end

mtev.Api = Api

return Api
