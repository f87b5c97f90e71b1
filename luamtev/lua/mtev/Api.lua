-- mtev.Api: requests to one service, each over a connection of its own; results are objects to be asked.
-- Manual: mtev.Api:*, mtev.ApiResponse:*.

local home = ...

local HttpClient = mtev.HttpClient
local type, tostring, pairs, error, setmetatable = type, tostring, pairs, error, setmetatable
local format, lower, sub = string.format, string.lower, string.sub

local EXCERPT = 200 -- bytes of a body that an error shows

local Response = {}
Response.__index = Response
Response.__tostring = function() return "mtev.ApiResponse" end

-- Itself, or an error unless the code is 2xx.
function Response:check()
  if self.code >= 200 and self.code < 300 then return self end
  error(format("%s: HTTP status %d: %s", self.what, self.code, sub(self.payload, 1, EXCERPT)), 2)
end

function Response:rc() return self.code end

function Response:text() return self.payload end

-- The payload as a Lua value; raises when it is no JSON.
function Response:json()
  local json, message, offset = mtev.parsejson(self.payload)
  if not json then error(format("%s: %s at byte %d", self.what, message, offset), 2) end
  return json:document()
end

-- The payload as an xmldoc; raises when it is no XML.
function Response:xml()
  local document = mtev.parsexml(self.payload)
  if not document then error(self.what .. ": no XML", 2) end
  return document
end

local Api = {}
Api.__index = Api
Api.__tostring = function(api) return format("mtev.Api %s://%s:%s", api.scheme, api.host, api.port) end

local function new(scheme, host, port, headers, sslconfig)
  if type(host) ~= "string" then
    error("bad argument #1 to '" .. scheme .. "' (host expected, got " .. type(host) .. ")", 3)
  end
  local number = tonumber(port)
  if not number or number < 1 or number > 65535 then
    error("bad argument #2 to '" .. scheme .. "' (port expected, got " .. tostring(port) .. ")", 3)
  end
  for place, value in pairs({ [3] = headers, [4] = sslconfig }) do
    if type(value) ~= "table" then
      error("bad argument #" .. place .. " to '" .. scheme .. "' (table expected, got " .. type(value) .. ")", 3)
    end
  end
  return setmetatable({ scheme = scheme, host = host, port = number, headers = headers or {}, sslconfig = sslconfig }, Api)
end

function Api:http(host, port, headers) return new("http", host, port, headers) end

function Api:https(host, port, headers, sslconfig) return new("https", host, port, headers, sslconfig) end

-- Seconds that connecting, and that each wait for more of a response, may take.
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

local function connect(api, client, what)
  local addresses, why = home.resolve(api.host)
  if not addresses then error(what .. ": " .. why, 3) end
  local rv, failure
  for _, address in ipairs(addresses) do
    rv, failure = client:connect(address, api.port, api.scheme == "https", api.scheme == "https" and api.host or nil)
    if rv == 0 then return end
  end
  error(what .. ": " .. tostring(failure), 3)
end

-- request(method, path[, payload[, headers]]): an ApiResponse.  A table is sent as JSON.  Raises when there is no response.
function Api:request(method, path, payload, headers)
  if type(method) ~= "string" then
    error("bad argument #1 to 'request' (method expected, got " .. type(method) .. ")", 2)
  end
  if type(path) ~= "string" then error("bad argument #2 to 'request' (path expected, got " .. type(path) .. ")", 2) end
  local what = format("%s %s://%s:%d%s", method, self.scheme, self.host, self.port, path)
  local all = {}
  for _, set in ipairs({ self.headers, headers or {} }) do
    for name, value in pairs(set) do
      for each in pairs(all) do
        if lower(each) == lower(name) then all[each] = nil end
      end
      all[name] = value
    end
  end
  if type(payload) == "table" then
    payload = mtev.tojson(payload):tostring()
    default(all, "Content-Type", "application/json")
  end
  local standard = self.scheme == "https" and 443 or 80
  local name = self.host:find(":", 1, true) and "[" .. self.host .. "]" or self.host
  default(all, "Host", name .. (self.port ~= standard and ":" .. self.port or ""))
  default(all, "Connection", "close")
  local client = HttpClient:new(nil, self.sslconfig)
  if self.timeout then
    client:set_timeout(self.timeout)
    client:set_connect_timeout(self.timeout)
  end
  connect(self, client, what)
  local ok, body = pcall(function()
    local sent, failure = client:do_request(method, path, all, payload)
    if sent < 0 then error(failure, 0) end
    return client:get_response()
  end)
  client:close()
  if not ok then error(what .. ": " .. tostring(body), 2) end
  return setmetatable({ what = what, code = client.code, payload = body, headers = client.headers, cookies = client.cookies },
    Response)
end

for _, method in ipairs({ "get", "post", "put", "delete", "head", "patch" }) do
  Api[method] = function(self, path, payload, headers) return self:request(method:upper(), path, payload, headers) end
end

mtev.Api = Api

return Api
