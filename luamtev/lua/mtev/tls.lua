-- TLS as a second operation set of mtev.eventer: ssl_upgrade_socket and ssl_ctx.  Manual: mtev.eventer:ssl_*.
--
-- A session lives outside Lua and is known by its handle; event.tls holds it.  A socket that was accepted is the server's
-- side of TLS, any other the client's.

local home = ...

local ffi = require("ffi")
local border, kernel, reactor, eventer = home.border, home.kernel, home.reactor, home.eventer
local methods, owned, ready, valid = home.eventer_methods, eventer.owned, eventer.ready, eventer.valid
local start, handshake, describe = home.checked(border.tls_start), home.checked(border.tls_handshake),
  home.checked(border.tls_describe)
local tls_read, tls_write = home.checked(border.tls_read), home.checked(border.tls_write)
local tls_close, tls_release = border.tls_close, border.tls_release
local type, error, setmetatable, tostring, sub = type, error, setmetatable, tostring, string.sub

local HANDSHAKE_TIMEOUT = 30 -- seconds
local RECORD = 65536 -- bytes handed over at once

local operations = {}

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
  error("bad argument #" .. position .. " to 'ssl_upgrade_socket' (string expected, got " .. type(value) .. ")", 4)
end

-- certificate, key, CA, ciphers, name, layer; or a table of the first four by name, name, layer.
local function arguments(first, ...)
  if type(first) ~= "table" then
    local key, ca, ciphers, name, layer = ...
    return text(first, 1), text(key, 2), text(ca, 3), text(ciphers, 4), text(name, 5), text(layer, 6)
  end
  local name, layer = ...
  return text(first.certificate_file or first.cert, 1), text(first.key_file or first.key, 1), text(first.ca_chain or first.ca_file, 1),
    text(first.ciphers, 1), text(name or first.snihost, 2), text(layer or first.layer, 3)
end

-- Speaks TLS on the socket from now on: 0, or -1 and why not.
function methods:ssl_upgrade_socket(...)
  owned(self)
  local certificate, key, ca, ciphers, name, layer = arguments(...)
  if self.tls then return -1, "TLS already" end
  if not self.stream or self.kind == "pipe" then return -1, "not a stream socket" end
  if self.from <= #self.input then return -1, "the peer sent data before the TLS handshake" end
  local handle, failure = start(self.fd, self.accepted, certificate, key, ca, ciphers, name, layer)
  if not handle then return -1, failure end
  reactor.quiet[self.fd] = nil
  self.tls = { handle = handle, owner = ffi.gc(ffi.new("char[1]"), function() tls_release(handle) end) }
  self.ops = operations
  local deadline = kernel.monotonic() + HANDSHAKE_TIMEOUT
  while true do
    local done, why = handshake(handle)
    if done then return 0 end
    if type(why) ~= "number" then return -1, why end
    local ok, late = ready(self, why, deadline)
    if not ok then return -1, late end
  end
end

local FIELDS = {}
for name in ("ciphers current_cipher error issuer subject san_list start_time end_time method sni_name peer_certificate "
  .. "ssl_session"):gmatch("%S+") do
  FIELDS[name] = true
end

local context_meta = {
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
