-- mtev.HttpClient: HTTP/1 requests over one connection.  All that waits suspends the calling coroutine only.

local home = ...

local sub, match, gmatch, gsub, upper = string.sub, string.match, string.gmatch, string.gsub, string.upper
local max = math.max
local kernel, sockaddr, eventer = home.kernel, home.need("mtev/sockaddr"), home.need("mtev/eventer")
local client_span, response = home.need("mtev/client_span"), home.need("mtev/http_response")
local begin_client_span, end_client_span = client_span.begin, client_span.finish
local monotonic, numeral = kernel.monotonic, home.need("arguments").numeral
local refuse = home.need("arguments").refuse
local type, tostring, tonumber, setmetatable = type, tostring, tonumber, setmetatable
local pairs, ipairs, error, pcall = pairs, ipairs, error, pcall
local concat, format, lower, find = table.concat, string.format, string.lower, string.find

local AGENT = "libmtev/0"
local CONNECT_TIMEOUT = 10 -- seconds for connecting and the TLS handshake

local HttpClient = {}
HttpClient.__index = HttpClient
HttpClient.__tostring = function() return "mtev.HttpClient" end

-- HttpClient:new([hooks[, sslconfig]]): hooks are functions connected, headers, consume, certfile, keyfile, cachain, ciphers.
function HttpClient:new(hooks, sslconfig)
  if hooks ~= nil and type(hooks) ~= "table" then
    refuse(1, "new", "table of hooks", type(hooks), 2)
  end
  if sslconfig ~= nil and type(sslconfig) ~= "table" then
    refuse(2, "new", "sslconfig table", type(sslconfig), 2)
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

-- Seconds for the whole of a response, from do_request on, what is sent included; when they are over *on_timeout* is called.
-- nil and 0 set no limit.
function HttpClient:set_timeout(timeout, on_timeout)
  if on_timeout ~= nil and type(on_timeout) ~= "function" then
    refuse(2, "set_timeout", "function", type(on_timeout), 2)
  end
  timeout = timeout ~= nil and kernel.seconds(timeout, "set_timeout", 2) or nil
  self.timeout, self.on_timeout = timeout and timeout > 0 and timeout or nil, on_timeout
end

-- Seconds for connecting, the TLS handshake included.
function HttpClient:set_connect_timeout(timeout)
  self.connect_timeout = kernel.seconds(timeout, "set_connect_timeout", 2)
end

-- Seconds, from now on, for all that the client does: connecting, sending, the response.  nil takes the limit away.
function HttpClient:set_deadline(timeout)
  self.deadline = timeout ~= nil and monotonic() + kernel.seconds(timeout, "set_deadline", 2) or nil
end

-- Seconds left until the earlier of two deadlines, each of which may be nil; nil without any.
local function left(client, deadline)
  local whole = client.deadline
  if whole and (not deadline or whole < deadline) then deadline = whole end
  return deadline and max(deadline - monotonic(), 0) or nil
end

-- Has everything go through the proxy at *url*, http://[user:password@]host:port; nil: nothing.  A tunnel for TLS.
function HttpClient:set_proxy(url)
  self.proxy = url ~= nil and home.need("mtev/http_proxy").parse(url, "set_proxy", 2) or nil
end

local function family(target)
  if sub(target, 1, 1) == "/" then return "unix" end
  if sub(target, 1, 8) == "reverse:" then return target end
  local _, _, found = sockaddr.pack(target, 0)
  return found
end

-- The next bytes of the response; nil at the end of the stream.
local function receive(client)
  local data, problem = eventer.read_some(client.e, left(client, client.response_deadline))
  if data or problem == nil then return data end
  error(problem, 0)
end

-- A socket that is connected, to the proxy if there is one; or nil, a number below 0 and why.
local function reach(client, target, port, deadline)
  local proxy = client.proxy
  local addresses = { target }
  if proxy then
    addresses = home.need("mtev/dns").resolve(proxy.host, deadline)
    if not addresses then return nil, -1, "proxy: cannot resolve '" .. proxy.host .. "'" end
    port = proxy.port
  end
  local rv, why
  for _, address in ipairs(addresses) do
    local kind = family(address)
    if not kind then error("mtev.socket family for " .. address .. " unknown", 3) end
    local socket, failure = mtev.socket(kind)
    if not socket then return nil, -1, failure end
    rv, why = socket:connect(address, port, left(client, deadline))
    if rv == 0 then return socket end
    socket:close()
  end
  return nil, rv, proxy and "proxy: " .. tostring(why) or why
end

-- connect(address, port[, ssl[, sni[, layer]]]): 0, or a number below 0 and why not.  An address may be the path of a socket,
-- and with a proxy a name.
function HttpClient:connect(target, port, ssl, sni, layer)
  if type(target) ~= "string" then
    refuse(1, "connect", "address", type(target), 2)
  end
  self:close()
  local deadline = monotonic() + self.connect_timeout
  local socket, rv, why = reach(self, target, port, deadline)
  if not socket then return rv, why end
  local is_path = not self.proxy and sub(target, 1, 1) == "/"
  local host = find(target, ":", 1, true) and "[" .. target .. "]" or target
  rv = 0
  if ssl and self.proxy then
    if not sni and not mtev.inet_pton(target) then sni = target end
    local good
    good, why = home.need("mtev/http_proxy").tunnel(socket, self.proxy, host .. ":" .. port, function() return left(self, deadline) end)
    if not good then rv = -1 end
  end
  if rv == 0 and ssl then rv, why = socket:ssl_upgrade_socket(ssl_options(self), sni, layer, left(self, deadline)) end
  if rv ~= 0 then
    if socket.tls then self.failed_ssl_ctx = socket:ssl_ctx() end
    socket:close()
    return rv, why
  end
  local standard = ssl and 443 or 80
  if is_path then host = "localhost" end
  self.host = (sni or host) .. (not is_path and tonumber(port) ~= standard and ":" .. port or "")
  self.forwards = self.proxy and not ssl and self.proxy or nil
  self.target, self.port, self.e, self.failed_ssl_ctx = target, port, socket, nil
  self.reader = response.reader(function() return receive(self) end)
  hook(self, "connected")
  return 0
end

-- What TLS agreed on; also after a handshake that failed.
function HttpClient:ssl_ctx()
  if self.e then return self.e:ssl_ctx() end
  return self.failed_ssl_ctx
end

-- The request under way is over, with *failure* if there was one.
local function end_span(client, failure)
  local span = client.span
  if span then
    client.span = nil
    end_client_span(span, client.code, failure)
  end
end

function HttpClient:close()
  local socket = self.e
  end_span(self)
  self.e, self.reader = nil, nil
  if socket then socket:close() end
end

local HAS_BODY = { POST = true, PUT = true, PATCH = true } -- methods whose empty body is said to be empty

local function header_lines(headers)
  local lines, given = {}, {}
  for name, value in pairs(headers or {}) do
    if type(name) ~= "string" or not match(name, "^[!#$%%&'*+%-.^_`|~%w]+$") then
      error("bad argument #3 to 'do_request' (no name of a header: '" .. tostring(name) .. "')", 3)
    end
    local key = lower(name)
    given[key] = true
    if key == "content-length" then value = {} end -- there is only one that is right
    for _, each in ipairs(type(value) == "table" and value or { value }) do
      if type(each) ~= "string" and type(each) ~= "number" and type(each) ~= "boolean" then
        error("bad argument #3 to 'do_request' (header '" .. name .. "': string expected, got " .. type(each) .. ")", 3)
      end
      each = tostring(each)
      if find(each, "[\r\n%z]") then
        error("bad argument #3 to 'do_request' (line break in header '" .. name .. "')", 3)
      end
      lines[#lines + 1] = name .. ": " .. each
    end
  end
  return lines, given
end

-- do_request(method, uri[, headers[, payload[, version="1.1"]]]): bytes sent, or -1 and why not.  The Content-Length is
-- that of the payload, whatever the headers say.
function HttpClient:do_request(method, uri, headers, payload, version)
  if type(method) ~= "string" or not match(method, "^[!#$%%&'*+%-.^_`|~%w]+$") then
    refuse(1, "do_request", "method", tostring(method), 2)
  end
  if type(uri) ~= "string" or uri == "" or find(uri, "[%s%z]") then
    refuse(2, "do_request", "uri", tostring(uri), 2)
  end
  if headers ~= nil and type(headers) ~= "table" then
    refuse(3, "do_request", "table of headers", type(headers), 2)
  end
  if payload ~= nil and type(payload) ~= "string" and type(payload) ~= "number" then
    refuse(4, "do_request", "string", type(payload), 2)
  end
  if not self.e then return -1, "not connected" end
  payload = payload and tostring(payload) or ""
  local lines, given = header_lines(headers)
  local function default(name, value)
    if not given[lower(name)] then lines[#lines + 1] = name .. ": " .. value end
  end
  default("Host", self.host)
  default("User-Agent", AGENT)
  default("Accept", "*/*")
  default("Accept-Encoding", "gzip, deflate")
  if (payload ~= "" or HAS_BODY[method]) and not given["transfer-encoding"] then
    lines[#lines + 1] = "Content-Length: " .. #payload
  end
  end_span(self) -- of a response that nobody read to its end
  self.span = begin_client_span(method, self.host, uri, lines, given)
  if self.span then self.code = nil end
  self.method = lower(method)
  self.request_started_s, self.request_started_us = mtev.gettimeofday()
  self.response_deadline = self.timeout and monotonic() + self.timeout or nil
  if self.forwards then
    if find(uri, "^/") then uri = "http://" .. self.host .. uri elseif uri == "*" then uri = "http://" .. self.host end
    if self.forwards.authorization then default("Proxy-Authorization", self.forwards.authorization) end
  end
  local head = format("%s %s HTTP/%s\r\n%s\r\n\r\n", method, uri, version or "1.1", concat(lines, "\r\n"))
  return self.e:write(head .. payload, left(self, self.response_deadline))
end

local function forget_response(client)
  client.code, client.protocol, client.reason, client.headers, client.cookies, client.trailers = nil, nil, nil, nil, nil, nil
  client.raw_bytes, client.content_bytes, client.truncated = 0, 0, false
end

-- Runs a step of reading.  Whatever goes wrong closes the connection and raises; a timeout goes to its function before.
local function guarded(client, step, ...)
  if not client.e then error("not connected", 3) end
  local ok, result = pcall(step, client, ...)
  if ok then return result end
  end_span(client, result)
  client:close()
  if result == "timeout" and client.on_timeout then
    client.on_timeout()
    result = "no response"
  end
  error(result, 0)
end

local function read_head(client)
  forget_response(client)
  local protocol, code, reason, headers, cookies = client.reader:head()
  client.protocol, client.code, client.reason, client.headers, client.cookies = protocol, code, reason, headers, cookies
  hook(client, "headers", headers, cookies)
  return headers
end

-- Whether the peer leaves the connection open after this response.
local function persists(client)
  local wish = lower(client.headers["connection"] or "")
  if client.protocol == "1.1" then return not find(wish, "close", 1, true) end
  return find(wish, "keep-alive", 1, true) ~= nil
end

local function read_body(client, limit)
  local pieces, consume = {}, client.hooks.consume
  local function take(text)
    local room = limit and limit - client.content_bytes or #text
    if #text > room then
      text = sub(text, 1, room)
      client.truncated = true
    end
    client.content_bytes = client.content_bytes + #text
    if text ~= "" then
      if consume then consume(text) else pieces[#pieces + 1] = text end
    end
    return not client.truncated
  end
  local framing = response.framing(client.method, client.code, client.headers)
  local decode, at_end = response.decoder(client.headers["content-encoding"], take)
  local trailers = client.reader:body(framing, function(data)
    client.raw_bytes = client.raw_bytes + #data
    return decode(data)
  end)
  client.trailers = trailers or nil
  if trailers ~= false then at_end() end
  end_span(client)
  client.truncated = client.truncated or client.reader.missing
  if client.truncated or framing == "close" or not persists(client) then client:close() end
  if not consume then return concat(pieces) end
end

-- Reads the head of the response; returns the headers.
function HttpClient:get_headers() return guarded(self, read_head) end

local function check_limit(limit, name)
  if limit == nil then return nil end
  return numeral(limit) or refuse(1, name, "number of bytes", type(limit), 3)
end

-- Reads the body, at most *limit* bytes of it; what goes beyond sets truncated.  Returns it unless a hook consumes it.
function HttpClient:get_body(limit)
  limit = check_limit(limit, "get_body")
  if not self.headers then error("get_body before get_headers", 2) end
  return guarded(self, read_body, limit)
end

-- Both.  Returns the body unless a hook consumes it.
function HttpClient:get_response(limit)
  limit = check_limit(limit, "get_response")
  return guarded(self, function(client)
    read_head(client)
    return read_body(client, limit)
  end)
end

-- read(stop): from what follows on the connection, as the read of a socket does, within the time of the response.
function HttpClient:read(stop)
  if not self.e then error("not connected", 2) end
  eventer.unread(self.e, self.reader:rest())
  return self.e:read(stop, nil, left(self, self.response_deadline), self.on_timeout)
end

-- The parameters of a challenge by lower-case name.
local function parameters(challenge)
  local given = {}
  for name, value in gmatch(challenge, '([%w%-]+)%s*=%s*"([^"]*)"') do given[lower(name)] = value end
  for name, value in gmatch(challenge, '([%w%-]+)%s*=%s*([^",%s]+)') do
    given[lower(name)] = given[lower(name)] or value
  end
  return given
end

-- The quality of protection to answer with: auth, or auth-int where that is all there is; nil where none is asked for.
local function protection(offered)
  if not offered then return nil end
  local all = "," .. lower(gsub(offered, "%s", "")) .. ","
  for _, each in ipairs({ "auth", "auth-int" }) do
    if find(all, "," .. each .. ",", 1, true) then return each end
  end
  error("qop=" .. offered .. " is unsupported", 0)
end

-- What is behind the word Digest in an Authorization header that answers the challenge of a WWW-Authenticate (RFC 7616, RFC
-- 2617); *payload* is the body of the request, of which qop=auth-int makes a digest too.
function HttpClient:auth_digest(method, uri, user, password, challenge, payload)
  local given = parameters(challenge or "")
  local algorithm = given.algorithm or "MD5"
  local digest = match(upper(algorithm), "^SHA%-256") and mtev.sha256_hex or mtev.md5_hex
  local realm, nonce, cnonce, count = given.realm or "", given.nonce or "", sub(mtev.uuid(), 1, 8), "00000001"
  local secret = digest(concat({ user, realm, password }, ":"))
  if match(lower(algorithm), "%-sess$") then secret = digest(concat({ secret, nonce, cnonce }, ":")) end
  local qop = protection(given.qop)
  local request = digest(method .. ":" .. uri .. (qop == "auth-int" and ":" .. digest(payload or "") or ""))
  local proof = qop and { secret, nonce, count, cnonce, qop, request } or { secret, nonce, request }
  local parts = {
    format('username="%s"', user), format('realm="%s"', realm), format('nonce="%s"', nonce),
    format('uri="%s"', uri), format('response="%s"', digest(concat(proof, ":"))), "algorithm=" .. algorithm,
  }
  if qop then parts[#parts + 1] = format('qop=%s, nc=%s, cnonce="%s"', qop, count, cnonce) end
  if given.opaque then parts[#parts + 1] = format('opaque="%s"', given.opaque) end
  return concat(parts, ", ")
end

mtev.HttpClient = HttpClient

return HttpClient
