-- mtev.HttpClient: HTTP/1 requests over one connection.  All that waits suspends the calling coroutine only.

local home = ...

local kernel, sockaddr, eventer = home.kernel, home.sockaddr, home.eventer
local type, tostring, tonumber, setmetatable = type, tostring, tonumber, setmetatable
local pairs, ipairs, error, pcall = pairs, ipairs, error, pcall
local concat, format, lower, find = table.concat, string.format, string.lower, string.find

local AGENT = "mtev/1.0"
local CONNECT_TIMEOUT = 10 -- seconds

local HttpClient = {}
HttpClient.__index = HttpClient
HttpClient.__tostring = function() return "mtev.HttpClient" end

-- HttpClient:new([hooks[, sslconfig]]): hooks are functions connected, headers, consume, certfile, keyfile, cachain, ciphers.
function HttpClient:new(hooks, sslconfig)
  if hooks ~= nil and type(hooks) ~= "table" then
    error("bad argument #1 to 'new' (table of hooks expected, got " .. type(hooks) .. ")", 2)
  end
  if sslconfig ~= nil and type(sslconfig) ~= "table" then
    error("bad argument #2 to 'new' (sslconfig table expected, got " .. type(sslconfig) .. ")", 2)
  end
  return setmetatable({
    hooks = hooks or {},
    sslconfig = sslconfig or {},
    connect_timeout = CONNECT_TIMEOUT,
    raw_bytes = 0,
    content_bytes = 0,
    truncated = false,
  }, HttpClient)
end

local function hook(client, name, ...)
  local call = client.hooks[name]
  if call then return call(...) end
end

local function ssl_options(client)
  local config = client.sslconfig
  return {
    certificate_file = hook(client, "certfile") or config.certificate_file,
    key_file = hook(client, "keyfile") or config.key_file,
    ca_chain = hook(client, "cachain") or config.ca_chain or config.ca_file,
    ciphers = hook(client, "ciphers") or config.ciphers,
  }
end

-- Seconds that reading a response may wait for more of it; then *on_timeout* is called.
function HttpClient:set_timeout(timeout, on_timeout)
  if on_timeout ~= nil and type(on_timeout) ~= "function" then
    error("bad argument #2 to 'set_timeout' (function expected, got " .. type(on_timeout) .. ")", 2)
  end
  self.timeout, self.on_timeout = timeout and kernel.seconds(timeout, "set_timeout", 2), on_timeout
end

function HttpClient:set_connect_timeout(timeout)
  self.connect_timeout = kernel.seconds(timeout, "set_connect_timeout", 2)
end

local function family(target)
  if target:sub(1, 1) == "/" then return "unix" end
  if target:sub(1, 8) == "reverse:" then return target end
  local _, _, found = sockaddr.pack(target, 0)
  return found
end

-- connect(address, port[, ssl[, sni[, layer]]]): 0, or a number below 0 and why not.  An address may be the path of a socket.
function HttpClient:connect(target, port, ssl, sni, layer)
  if type(target) ~= "string" then
    error("bad argument #1 to 'connect' (address expected, got " .. type(target) .. ")", 2)
  end
  self:close()
  local kind = family(target)
  if not kind then return -1, "Cannot translate '" .. target .. "' to IP\n" end
  local socket, failure = mtev.socket(kind)
  if not socket then return -1, failure end
  local rv, why = socket:connect(target, port, self.connect_timeout)
  if rv == 0 and ssl then rv, why = socket:ssl_upgrade_socket(ssl_options(self), sni, layer) end
  if rv ~= 0 then
    if socket.tls then self.failed_ssl_ctx = socket:ssl_ctx() end
    socket:close()
    return rv, why
  end
  local standard = ssl and 443 or 80
  local host = find(target, ":", 1, true) and "[" .. target .. "]" or target
  if kind == "unix" then host = "localhost" end
  self.host = (sni or host) .. (kind ~= "unix" and tonumber(port) ~= standard and ":" .. port or "")
  self.socket, self.failed_ssl_ctx = socket, nil
  self.reader = home.http_reader(function()
    local data, problem = eventer.read_some(socket, self.timeout)
    if data or problem == nil then return data end
    error(problem, 0)
  end)
  hook(self, "connected")
  return 0
end

-- What TLS agreed on; also after a handshake that failed.
function HttpClient:ssl_ctx()
  if self.socket then return self.socket:ssl_ctx() end
  return self.failed_ssl_ctx
end

function HttpClient:close()
  local socket = self.socket
  self.socket, self.reader = nil, nil
  if socket then socket:close() end
end

local function header_lines(headers)
  local lines, given = {}, {}
  for name, value in pairs(headers or {}) do
    if type(name) ~= "string" or not name:match("^[!#$%%&'*+%-.^_`|~%w]+$") then
      error("bad argument #3 to 'do_request' (no name of a header: '" .. tostring(name) .. "')", 3)
    end
    given[lower(name)] = true
    for _, each in ipairs(type(value) == "table" and value or { value }) do
      each = tostring(each)
      if find(each, "[\r\n%z]") then
        error("bad argument #3 to 'do_request' (line break in header '" .. name .. "')", 3)
      end
      lines[#lines + 1] = name .. ": " .. each
    end
  end
  return lines, given
end

-- do_request(method, uri[, headers[, payload[, version="1.1"]]]): bytes sent, or -1 and why not.
function HttpClient:do_request(method, uri, headers, payload, version)
  if type(method) ~= "string" or not method:match("^[!#$%%&'*+%-.^_`|~%w]+$") then
    error("bad argument #1 to 'do_request' (method expected, got " .. tostring(method) .. ")", 2)
  end
  if type(uri) ~= "string" or uri == "" or find(uri, "[%s%z]") then
    error("bad argument #2 to 'do_request' (uri expected, got " .. tostring(uri) .. ")", 2)
  end
  if headers ~= nil and type(headers) ~= "table" then
    error("bad argument #3 to 'do_request' (table of headers expected, got " .. type(headers) .. ")", 2)
  end
  if payload ~= nil and type(payload) ~= "string" and type(payload) ~= "number" then
    error("bad argument #4 to 'do_request' (string expected, got " .. type(payload) .. ")", 2)
  end
  if not self.socket then return -1, "not connected" end
  local lines, given = header_lines(headers)
  local function default(name, value)
    if not given[lower(name)] then lines[#lines + 1] = name .. ": " .. value end
  end
  default("Host", self.host)
  default("User-Agent", AGENT)
  default("Accept", "*/*")
  default("Accept-Encoding", "gzip, deflate")
  payload = payload and tostring(payload) or ""
  if payload ~= "" or method == "POST" or method == "PUT" or method == "PATCH" then
    if not given["transfer-encoding"] then default("Content-Length", #payload) end
  end
  self.method = method
  local head = format("%s %s HTTP/%s\r\n%s\r\n\r\n", method, uri, version or "1.1", concat(lines, "\r\n"))
  return self.socket:write(head .. payload)
end

local function forget_response(client)
  client.code, client.protocol, client.reason, client.headers, client.cookies, client.trailers = nil, nil, nil, nil, nil, nil
  client.raw_bytes, client.content_bytes, client.truncated = 0, 0, false
end

-- Runs a step of reading.  Whatever goes wrong closes the connection; a timeout goes to its function if there is one.
local function guarded(client, step, ...)
  if not client.socket then error("not connected", 3) end
  local ok, result = pcall(step, client, ...)
  if ok then return result end
  client:close()
  if result == "timeout" and client.on_timeout then
    client.on_timeout()
    return nil, "timeout"
  end
  error(result, 0)
end

local function read_head(client)
  forget_response(client)
  local protocol, code, reason, headers, cookies = client.reader:head()
  if not protocol then error("malformed response: the peer closed the connection before it answered", 0) end
  client.protocol, client.code, client.reason, client.headers, client.cookies = protocol, code, reason, headers, cookies
  hook(client, "headers", headers, cookies)
  return headers
end

-- Whether the peer leaves the connection open after this response.
local function persists(client)
  local wish = lower(client.headers["connection"] or "")
  if client.protocol == "HTTP/1.1" then return not find(wish, "close", 1, true) end
  return find(wish, "keep-alive", 1, true) ~= nil
end

local function read_body(client, limit)
  local pieces, consume = {}, client.hooks.consume
  local function take(text)
    local room = limit and limit - client.content_bytes or #text
    if #text > room then
      text = text:sub(1, room)
      client.truncated = true
    end
    client.content_bytes = client.content_bytes + #text
    if text ~= "" then
      if consume then consume(text) else pieces[#pieces + 1] = text end
    end
    return not client.truncated
  end
  local encoding = client.headers["content-encoding"]
  local framing = home.http_framing(client.method, client.code, client.headers)
  local decode = home.http_decoder(encoding, take)
  if not decode then error("malformed response: Content-Encoding: " .. encoding, 0) end
  local trailers = client.reader:body(framing, function(data)
    client.raw_bytes = client.raw_bytes + #data
    return decode(data)
  end)
  client.trailers = trailers or nil
  if client.truncated or framing == "close" or not persists(client) then client:close() end
  if not consume then return concat(pieces) end
end

-- Reads the head of the response; returns the headers.
function HttpClient:get_headers() return guarded(self, read_head) end

-- Reads the body, at most *limit* bytes of it; what goes beyond sets truncated.  Returns it unless a hook consumes it.
function HttpClient:get_body(limit)
  if not self.headers then error("get_body before get_headers", 2) end
  return guarded(self, read_body, limit)
end

-- Both.  Returns the body unless a hook consumes it.
function HttpClient:get_response(limit)
  if limit ~= nil and type(limit) ~= "number" then
    error("bad argument #1 to 'get_response' (number of bytes expected, got " .. type(limit) .. ")", 2)
  end
  return guarded(self, function(client)
    read_head(client)
    return read_body(client, limit)
  end)
end

-- The value of an Authorization header that answers the challenge of a WWW-Authenticate (RFC 7616, RFC 2617).
function HttpClient:auth_digest(method, uri, user, password, challenge)
  local given = {}
  for name, value in (challenge or ""):gmatch('(%w+)%s*=%s*"([^"]*)"') do given[lower(name)] = value end
  for name, value in (challenge or ""):gmatch('(%w+)%s*=%s*([^",%s]+)') do given[lower(name)] = given[lower(name)] or value end
  local algorithm = given.algorithm or "MD5"
  local digest = algorithm:upper():match("^SHA%-256") and mtev.sha256_hex or mtev.md5_hex
  local cnonce, count = mtev.uuid():gsub("-", ""), "00000001"
  local secret = digest(concat({ user, given.realm or "", password }, ":"))
  if algorithm:lower():match("%-sess$") then secret = digest(concat({ secret, given.nonce or "", cnonce }, ":")) end
  local request = digest(method .. ":" .. uri)
  local qop = given.qop and find("," .. given.qop:gsub("%s", "") .. ",", ",auth,", 1, true) and "auth"
  local proof = { secret, given.nonce or "", request }
  if qop then proof = { secret, given.nonce or "", count, cnonce, qop, request } end
  local parts = {
    format('username="%s"', user), format('realm="%s"', given.realm or ""), format('nonce="%s"', given.nonce or ""),
    format('uri="%s"', uri), format('response="%s"', digest(concat(proof, ":"))), "algorithm=" .. algorithm,
  }
  if qop then
    parts[#parts + 1] = format('qop=%s, nc=%s, cnonce="%s"', qop, count, cnonce)
  end
  if given.opaque then parts[#parts + 1] = format('opaque="%s"', given.opaque) end
  return "Digest " .. concat(parts, ", ")
end

mtev.HttpClient = HttpClient

return HttpClient
