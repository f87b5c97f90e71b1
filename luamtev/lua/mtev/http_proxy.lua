-- Proxies of HTTP clients: which one is for whom, and tunnels through them.  RFC 9110, CONNECT; RFC 9112, 3.2.2.
--
-- A proxy is a table: host, port, and authorization, the value of its Proxy-Authorization header or nil.

local home = ...

local getenv = os.getenv
local M = {}
local urls, eventer, http_response = home.need("mtev/http_urls"), home.need("mtev/eventer"), home.need("mtev/http_response")
local sub, match, lower, find, gmatch, upper
  = string.sub, string.match, string.lower, string.find, string.gmatch, string.upper
local error, type, tostring, tonumber, pcall, floor = error, type, tostring, tonumber, pcall, math.floor

-- The proxy at *url*; for *name*, whose argument that is, an error when it cannot be.
function M.parse(url, name, level)
  local found = type(url) == "string" and urls.parse(find(url, "://", 1, true) and url or "http://" .. url)
  if not found or found.scheme ~= "http" or not match(found.path, "^/?$") then
    local form = "http://[user:password@]host:port"
    error("bad argument #1 to '" .. name .. "' (" .. form .. " expected, got " .. tostring(url) .. ")", level + 1)
  end
  local authorization
  if found.userinfo then authorization = "Basic " .. mtev.base64_encode(urls.unescape(found.userinfo)) end
  return { host = found.host, port = found.port, authorization = authorization }
end

local function number_of(address)
  local a, b, c, d = match(address, "^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  return a and ((a * 256 + b) * 256 + c) * 256 + d
end

-- Whether *entry* of a list stands for the host of *url*: its name, a name or domain it is in, a network, or all with *.
local function stands_for(entry, url)
  if entry == "*" then return true end
  local network, bits = match(entry, "^([%d.]+)/(%d+)$")
  if network then
    local one, other, size = number_of(network), number_of(url.host), 2 ^ (32 - tonumber(bits))
    return one and other and floor(one / size) == floor(other / size) or false
  end
  local name, port = match(entry, "^%[(.*)%]:?(%d*)$")
  if not name then name, port = match(entry, "^([^:]*):(%d+)$") end
  name, port = name or entry, tonumber(port)
  if port and port ~= url.port then return false end
  name = match(name, "^%*?%.?(.*)$")
  return name ~= "" and (url.host == name or sub(url.host, -#name - 1) == "." .. name)
end

-- Whether a *list* of hosts, with commas or blanks between them, has that of *url*.
function M.is_exempt(list, url)
  for entry in gmatch(lower(list), "[^,%s]+") do
    if stands_for(entry, url) then return true end
  end
  return false
end

-- The proxy that the environment names for *url*.  HTTP_PROXY in capitals is not asked: in a CGI it is a client's header.
function M.from_environment(url)
  local function variable(name) return getenv(name) or name ~= "http_proxy" and getenv(upper(name)) or nil end
  local named = variable(url.scheme .. "_proxy") or variable("all_proxy")
  if not named or named == "" or M.is_exempt(variable("no_proxy") or "", url) then return nil end
  return M.parse(named, url.scheme .. "_proxy", 2)
end

-- Has the *proxy* behind *socket* connect to *authority*: true, or nil and why not.  *left* tells how long that may take.
function M.tunnel(socket, proxy, authority, left)
  local head = "CONNECT " .. authority .. " HTTP/1.1\r\nHost: " .. authority .. "\r\n"
  if proxy.authorization then head = head .. "Proxy-Authorization: " .. proxy.authorization .. "\r\n" end
  local sent, failure = socket:write(head .. "\r\n", left())
  if sent < 0 then return nil, failure end
  local reader = http_response.reader(function()
    local data, problem = eventer.read_some(socket, left())
    if data or problem == nil then return data end
    error(problem, 0)
  end)
  local good, why, code, reason = pcall(reader.head, reader)
  if not good then return nil, "proxy: " .. tostring(why) end
  if code < 200 or code > 299 then return nil, "proxy: " .. code .. " " .. reason end
  if reader:rest() ~= "" then return nil, "proxy: it says more than that it connected" end
  return true
end

return M
