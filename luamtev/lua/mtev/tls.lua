-- TLS as a second operation set of mtev.eventer: ssl_upgrade_socket and ssl_ctx.  Manual: mtev.eventer:ssl_*.
--
-- A session lives outside Lua and is known by its handle; event.tls holds it.  A socket that was accepted is the server's
-- side of TLS, any other the client's.

local home = ...

local refuse, numeral = home.need("arguments").refuse, home.need("arguments").numeral
local ffi = require("ffi")
local border, kernel, reactor, eventer = home.border, home.kernel, home.reactor, home.need("mtev/eventer")
local owned, ready, valid = eventer.owned, eventer.ready, eventer.valid
local start, handshake, describe = home.checked(border.tls_start), home.checked(border.tls_handshake),
  home.checked(border.tls_describe)
local tls_read, tls_write = home.checked(border.tls_read), home.checked(border.tls_write)
local tls_close, tls_release = border.tls_close, border.tls_release
local type, error, setmetatable, tostring, ipairs = type, error, setmetatable, tostring, ipairs
local sub, match, lower, gmatch = string.sub, string.match, string.lower, string.gmatch

local HANDSHAKE_TIMEOUT = 30 -- seconds
local RECORD = 65536 -- bytes handed over at once

local operations = {}
local methods = {}

function operations.read(event, most)
  local data, why = tls_read(event.tls.handle, most)
  if data == "" then return nil end
  return data, why
end

function operations.write(event, data, from)
  if from > 0 or #data > RECORD then data = sub(data, from + 1, from + RECORD) end
  return tls_write(event.tls.handle, data)
end

function operations.close(event)
  local session = event.tls
  ffi.gc(session.owner, nil)
  tls_close(session.handle)
end

local function text(value, position)
  if value == nil or value == false then return "" end
  if type(value) == "string" then return value end
  refuse(position, "ssl_upgrade_socket", "string", type(value), 4)
end

-- The host in a name that may have a port behind it, or the dot of a full name: RFC 6066 sends neither.
local function host_of(name)
  local host = match(name, "^%[(.*)%]:?%d*$") or match(name, "^([^:]*):%d+$") or name
  return match(host, "^(.+)%.$") or host
end

local TEXTS = { "certificate_file", "certificate", "cert", "key_file", "key", "ca_chain", "ca_file", "ciphers", "layer",
  "layer_openssl_11", "crl", "alpn", "npn", "snihost" }
local FLAGS = { "optional_no_ca", "ignore_dates" }

-- Raises, *level* functions up, for a table of settings, argument *position* of *caller*, with a value of the wrong type.
local function check_settings(settings, position, caller, level)
  for _, key in ipairs(TEXTS) do
    if settings[key] and type(settings[key]) ~= "string" then
      refuse(position, caller, "string for " .. key, type(settings[key]), level + 1)
    end
  end
  for _, key in ipairs(FLAGS) do
    if settings[key] ~= nil and type(settings[key]) ~= "string" and type(settings[key]) ~= "boolean" then
      refuse(position, caller, "string for " .. key, type(settings[key]), level + 1)
    end
  end
  if settings.timeout ~= nil and not numeral(settings.timeout) then
    refuse(position, caller, "number of seconds for timeout", tostring(settings.timeout), level + 1)
  end
end

-- A flag of a table of settings, as the border takes it: a text that is empty, or not.
local function flag(value) return lower(tostring(value)) == "true" and "true" or "" end

-- certificate, key, CA, ciphers, name, layer, timeout; or a table, name, layer, timeout.  Gives the timeout first.
local function arguments(first, ...)
  if type(first) ~= "table" then
    local key, ca, ciphers, name, layer, timeout = ...
    return timeout, text(first, 1), text(key, 2), text(ca, 3), text(ciphers, 4), host_of(text(name, 5)), text(layer, 6)
  end
  local name, layer, timeout = ...
  check_settings(first, 1, "ssl_upgrade_socket", 3)
  return timeout or first.timeout, first.certificate_file or first.certificate or first.cert or "",
    first.key_file or first.key or "", first.ca_chain or first.ca_file or "", first.ciphers or "",
    host_of(text(name or first.snihost, 2)), text(layer or first.layer_openssl_11 or first.layer, 3), first.crl or "",
    first.alpn or first.npn or "", flag(first.optional_no_ca), flag(first.ignore_dates)
end

local function upgrade(event, timeout, ...)
  timeout = timeout == nil and HANDSHAKE_TIMEOUT or kernel.seconds(timeout, "ssl_upgrade_socket", 3)
  if event.tls then return -1, "TLS already" end
  if not event.stream or event.kind == "pipe" then return -1, "not a stream socket" end
  if event.from <= #event.input then return -1, "the peer sent data before the TLS handshake" end
  local handle, failure = start(event.fd, event.accepted, ...)
  if not handle then return -1, failure end
  reactor.quiet[event.fd] = nil
  event.tls = { handle = handle, owner = ffi.gc(ffi.new("char[1]"), function() tls_release(handle) end) }
  event.ops = operations
  local deadline = kernel.monotonic() + timeout
  while true do
    local done, why = handshake(handle)
    if done then return 0 end
    if type(why) ~= "number" then return -1, why end
    local ok, late = ready(event, why, deadline)
    if not ok then return -1, late end
  end
end

-- Speaks TLS on the socket from now on: 0, or -1 and why not.  The handshake may take *timeout* seconds, 30 unless given.
function methods:ssl_upgrade_socket(...)
  owned(self)
  return upgrade(self, arguments(...))
end

local FIELDS = {}
for name in gmatch("ciphers current_cipher error issuer subject san_list start_time end_time method sni_name "
  .. "peer_certificate ssl_session", "%S+") do
  FIELDS[name] = true
end

local context_meta = {
  is_opaque = true,
  __index = function(_, name)
    if not FIELDS[name] then error("mtev.eventer.ssl_ctx no such element: " .. tostring(name), 2) end
  end,
  __tostring = function() return "mtev.eventer.ssl_ctx" end,
}

-- What TLS agreed on and what the peer's certificate says; nil without TLS.
function methods:ssl_ctx()
  valid(self)
  if not self.tls then return nil end
  return setmetatable(describe(self.tls.handle), context_meta)
end

eventer.add_methods(methods)

return { check_settings = check_settings }
