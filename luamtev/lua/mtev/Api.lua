-- mtev.Api: requests to one service, each over a connection of its own unless there is a pool; results are objects to be
-- asked.
-- Manual: mtev.Api:*, mtev.ApiResponse:*.

local home = ...

local upper = string.upper
local max = math.max
local refuse, port_of = home.need("arguments").refuse, home.need("arguments").port
local resolve = home.need("mtev/dns").resolve
local HttpClient = mtev.HttpClient
local HttpPool, need = home.need("mtev/HttpPool"), home.need -- the rest is loaded when it is wanted
local monotonic = home.kernel.monotonic
local type, tostring, pairs, error, setmetatable, getmetatable = type, tostring, pairs, error, setmetatable, getmetatable
local ipairs, pcall = ipairs, pcall
local format, lower, match, concat = string.format, string.lower, string.match, table.concat

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
    refuse(1, name, "host", type(host), 3)
  end
  host = match(host, "^%[(.*:.*)%]$") or host -- an IPv6 address as URLs have it
  local number = port_of(port, 1)
  if not number then
    refuse(2, name, "port", tostring(port), 3)
  end
  for place, value in pairs({ [3] = headers, [4] = sslconfig }) do
    if type(value) ~= "table" then
      refuse(place, name, "table", type(value), 3)
    end
  end
  local scheme = sslconfig and "https" or "http"
  return setmetatable({ scheme = scheme, host = host, port = number, headers = headers or {}, sslconfig = sslconfig,
    redirects = 0 }, Api)
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

-- Has kept connections of *pool*, an mtev.HttpPool, used, and those of this api kept there; nil: each request has its own.
function Api:set_pool(pool)
  if pool ~= nil and getmetatable(pool) ~= HttpPool then
    refuse(1, "set_pool", "mtev.HttpPool", type(pool), 2)
  end
  self.pool = pool
  return self
end

-- How many redirects to follow, one after the other; 0, which is so unless set: none.
function Api:set_redirects(most)
  if type(most) ~= "number" or most < 0 or most % 1 ~= 0 then
    refuse(1, "set_redirects", "whole number", tostring(most), 2)
  end
  self.redirects = most
  return self
end

-- Has requests go through the proxy at *url*, but for hosts of the list *exempt*; true: what the environment says; nil: none.
function Api:set_proxy(url, exempt)
  if exempt ~= nil and type(exempt) ~= "string" then
    refuse(2, "set_proxy", "string", type(exempt), 2)
  end
  local proxies = need("mtev/http_proxy")
  if url == true then
    self.proxy_of = proxies.from_environment
  elseif url == nil then
    self.proxy_of = nil
  else
    local proxy = proxies.parse(url, "set_proxy", 2)
    self.proxy_of = function(target) return not proxies.is_exempt(exempt or "", target) and proxy or nil end
  end
  return self
end

local function new_response(asked, code, output, headers, cookies)
  local urls = need("mtev/http_urls")
  local what = asked.method .. " " .. urls.text(asked.target)
  if #asked.came > 0 then what = what .. " (redirected from " .. asked.came[1] .. ")" end
  return setmetatable({ what = what, code = code, output = output, headers = headers, cookies = cookies,
    url = urls.text(asked.target), redirects = #asked.came }, Response)
end

-- Whether the client is connected to where *asked* goes; if not, why.
local function connect(client, asked, deadline)
  local target = asked.target
  local secure = target.scheme == "https"
  local addresses = { target.host } -- a proxy looks for itself
  if not client.proxy then
    addresses = resolve(target.host, deadline)
    if not addresses then return false, "DNS lookup failed" end
  end
  local failure
  for _, address in ipairs(addresses) do
    local rv, why = client:connect(address, target.port, secure, secure and target.host or nil)
    if rv == 0 then return true end
    failure = why
  end
  return false, client.proxy and failure or "client:connect failed"
end

-- Sends what is *asked* and reads what comes back: the body; or nil, why there is none, and whether nothing came at all,
-- which the peer may have closed the connection before it was asked for.  What is malformed raises.
local function exchange(client, asked, kept)
  local before = client.reader.raw
  local sent, failure = client:do_request(asked.method, asked.target.path, asked.headers, asked.payload)
  if sent < 0 then return nil, failure, failure ~= "timeout" end
  local timed_out, reader = false, client.reader
  client.on_timeout = function() timed_out = true end
  local good, body = pcall(client.get_response, client, LARGEST)
  if good then return body end
  if timed_out then return nil, "timeout" end
  if kept and reader.raw == before then return nil, body, true end
  error(body, 0)
end

local REPEATABLE = { GET = true, HEAD = true, PUT = true, DELETE = true, OPTIONS = true, TRACE = true } -- RFC 9110, 9.2.2

-- The client of a connection that was kept, or of a new one; nil and why there is none.
local function connected(api, asked, key, deadline)
  local kept = key and need("mtev/http_kept").take(api.pool, key)
  local client = kept or HttpClient:new(nil, asked.sslconfig)
  client.proxy = asked.proxy
  client.deadline = deadline
  if api.timeout then client:set_connect_timeout(api.timeout) end
  if kept then return client, true end
  local good, failure = connect(client, asked, deadline)
  if not good then return nil, failure end
  return client, false
end

local function one_request(api, asked, key, deadline)
  local retried = false
  while true do
    local client, kept = connected(api, asked, key, deadline)
    if not client then return new_response(asked, -1, kept, {}, {}) end
    local good, body, why, nothing = pcall(exchange, client, asked, kept)
    if good and body then
      if key then need("mtev/http_kept").put(api.pool, key, client) else client:close() end
      return new_response(asked, client.code, body, client.headers, client.cookies)
    end
    client:close()
    if not good then error(asked.method .. " " .. need("mtev/http_urls").text(asked.target) .. ": " .. tostring(body), 0) end
    if not (kept and nothing and not retried and REPEATABLE[asked.method]) then
      return new_response(asked, -1, why, {}, {})
    end
    retried = true
    need("mtev/http_kept").retry(api.pool, key)
  end
end

-- What connections must have in common to stand for each other.
local function key_of(asked)
  local config, target, proxy = asked.sslconfig or {}, asked.target, asked.proxy
  local parts = { target.scheme, target.host, tostring(target.port), proxy and proxy.host or "", proxy and proxy.port or "",
    proxy and proxy.authorization or "" }
  if target.scheme == "https" then
    for _, name in ipairs({ "certificate_file", "key_file", "ca_chain", "ca_file", "ciphers" }) do
      parts[#parts + 1] = config[name] or ""
    end
  end
  return concat(parts, "\n")
end

local function one_step(api, asked, deadline)
  asked.proxy = api.proxy_of and api.proxy_of(asked.target) or nil
  if not api.pool then return one_request(api, asked, nil, deadline) end
  local key, pools = key_of(asked), need("mtev/http_kept")
  if not pools.enter(api.pool, key, deadline and max(deadline - monotonic(), 0)) then
    return new_response(asked, -1, "timeout", {}, {})
  end
  local good, result = pcall(one_request, api, asked, key, deadline)
  pools.leave(api.pool, key)
  if not good then error(result, 0) end
  return result
end

-- request(method, path[, payload[, headers]]): an ApiResponse, also when there was no response.  A table is sent as JSON.
-- Headers given here stand for those of the api.
function Api:request(method, path, payload, headers)
  if type(method) ~= "string" then
    refuse(1, "request", "method", type(method), 2)
  end
  if type(path) ~= "string" then refuse(2, "request", "path", type(path), 2) end
  local all = {}
  for name, value in pairs(headers or self.headers) do all[name] = value end
  if type(payload) == "table" then
    payload = mtev.tojson(payload):tostring()
    default(all, "Content-Type", "application/json")
  end
  local asked = {
    method = method, target = { scheme = self.scheme, host = self.host, port = self.port, path = path }, headers = all,
    payload = payload, sslconfig = self.sslconfig, came = {}, seen = {},
  }
  default(all, "Host", need("mtev/http_urls").authority(asked.target))
  default(all, "Accept", "application/json")
  if not self.pool then default(all, "Connection", "close") end
  local deadline = self.timeout and monotonic() + self.timeout or nil
  while true do
    local good, result = pcall(one_step, self, asked, deadline)
    if not good then error(result, 2) end
    local next_asked, failure
    if self.redirects > 0 then next_asked, failure = need("mtev/http_redirects").follow(asked, result, self.redirects) end
    if failure then return new_response(asked, -1, failure, {}, {}) end
    if not next_asked then return result end
    asked = next_asked
  end
end

for _, method in ipairs({ "get", "post", "put", "delete", "head", "patch" }) do
  Api[method] = function(self, path, payload, headers) return self:request(upper(method), path, payload, headers) end
end

mtev.Api = Api

return Api
