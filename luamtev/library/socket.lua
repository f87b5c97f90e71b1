---@meta
-- Sockets.

---@class mtev.tlsconfig
---@field certificate_file? string
---@field certificate? string
---@field key_file? string
---@field key? string
---@field ca_chain? string
---@field ca_file? string
---@field optional_no_ca? string|boolean
---@field ignore_dates? string|boolean
---@field crl? string
---@field ciphers? string
---@field alpn? string
---@field snihost? string
---@field layer? string
---@field timeout? number

---@class mtev.ssl_ctx
---@field error? string
---@field method? integer
---@field current_cipher? string
---@field ciphers? string[]
---@field sni_name? string
---@field issuer? string
---@field subject? string
---@field san_list? string
---@field start_time? number
---@field end_time? number
---@field peer_certificate? table
---@field ssl_session? table

---@class mtev.eventer
local eventer = {}

---@async
---@param address string
---@param port? integer
---@param timeout? number seconds
---@return integer rc
---@return string? reason
function eventer:connect(address, port, timeout) end

---@param address string
---@param port? integer
---@return integer rc
---@return string? reason
function eventer:bind(address, port) end

---@param backlog integer
---@return integer rc
---@return integer? errno
---@return string? reason
function eventer:listen(backlog) end

---@async
---@return mtev.eventer?
---@return string? reason
function eventer:accept() end

---Bytes of that number, or up to that text; nil drops everything to the end.
---@async
---@param stop string|integer|nil
---@param ignored? any
---@param timeout? number seconds
---@param on_timeout? function
---@return string?
---@return string? reason
function eventer:read(stop, ignored, timeout, on_timeout) end

---@async
---@param data string|number
---@param timeout? number seconds
---@return integer bytes
---@return string? reason
function eventer:write(data, timeout) end

---@async
---@param data string
---@return integer bytes
---@return string? reason
function eventer:send(data) end

---@async
---@param most integer
---@return integer bytes
---@return string data
---@return string? address
---@return integer? port
function eventer:recv(most) end

---@async
---@param data string
---@param address string
---@param port? integer
---@return integer bytes
---@return string? reason
function eventer:sendto(data, address, port) end

---@param name string SO_*
---@param value number
---@return integer rc
---@return string? reason
function eventer:setsockopt(name, value) end

---@return string? address
---@return integer? port
function eventer:peer_name() end

---@return string? address
---@return integer? port
function eventer:sock_name() end

---Makes it the calling coroutine's.
---@return mtev.eventer
function eventer:own() end

---@return integer
function eventer:close() end

---@async
---@param certificate string|mtev.tlsconfig|nil
---@param key? string
---@param ca? string
---@param ciphers? string
---@param sni? string
---@param layer? string
---@param timeout? number seconds
---@return integer rc
---@return string? reason
function eventer:ssl_upgrade_socket(certificate, key, ca, ciphers, sni, layer, timeout) end

---@return mtev.ssl_ctx?
function eventer:ssl_ctx() end

---@param target string "inet", "inet6", "unix", an address, or "reverse:ID"
---@param type? "tcp"|"udp"
---@return mtev.eventer?
---@return string? reason
function mtev.socket(target, type) end
