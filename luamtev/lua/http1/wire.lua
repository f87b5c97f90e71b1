-- What passes between a connection and its client: through the descriptor, or, where it is encrypted, through TLS on
-- the Python side, a crossing for each piece.
--
-- Of a connection (connections.lua) this file reads number, fd and secure, and keeps unsent, bytes that the network has
-- not taken, or false; mask, the events of its descriptor that the reactor tells of.

local home = ...

local ffi = require("ffi")
local reactor, border = home.reactor, home.border
local send_encrypted, receive_encrypted = border.http1_send, border.http1_receive
local string_of, sub = ffi.string, string.sub

ffi.cdef [[
intptr_t luamtev_http1_recv(int fd, void *data, size_t size, int flags) __asm__("recv");
intptr_t luamtev_http1_send(int fd, const void *data, size_t size, int flags) __asm__("send");
int luamtev_http1_shutdown(int fd, int how) __asm__("shutdown");
]]
local C = ffi.C

local READ_SIZE = 65536
local DONTWAIT, NOSIGNAL, WRITING = 0x40, 0x4000, 1
local EAGAIN, EINTR = 11, 4
local IN, OUT, ERR, HUP, RDHUP = 0x001, 0x004, 0x008, 0x010, 0x2000

local received = ffi.new("uint8_t[?]", READ_SIZE)
local received_at = ffi.cast("const uint8_t *", received)

local wire = {
  READ_SIZE = READ_SIZE,
  READABLE = IN + RDHUP, -- what an encrypted connection waits for at first
  NEWS = IN + ERR + HUP + RDHUP, END = ERR + HUP + RDHUP, WRITABLE = OUT, -- what the reactor tells
}

-- Hands *n* bytes at *data* to the network; returns how many it took, nil when the client is gone.
local function transmit(conn, data, n)
  if conn.secure then return send_encrypted(conn.number, string_of(data, n)) end
  local taken = tonumber(C.luamtev_http1_send(conn.fd, data, n, DONTWAIT + NOSIGNAL))
  if taken >= 0 then return taken end
  local errno = ffi.errno()
  return (errno == EAGAIN or errno == EINTR) and 0 or nil
end

-- Takes what is there: its size, 0 at the end, -1 when there is nothing, nil when the client is gone; and where it is,
-- for as long as the third value lives, or else until more is taken.
function wire.receive(conn)
  if conn.secure then
    local data = receive_encrypted(conn.number)
    if not data then return data == nil and -1 or nil end
    return #data, ffi.cast("const uint8_t *", data), data
  end
  local n = tonumber(C.luamtev_http1_recv(conn.fd, received, READ_SIZE, DONTWAIT))
  if n >= 0 then return n, received_at end
  local errno = ffi.errno()
  return (errno == EAGAIN or errno == EINTR) and -1 or nil
end

-- The reactor tells of an encrypted connection again and again, for TLS does not say whether the network has more: it
-- is told what is wanted.
local function watch(conn)
  local wanted = IN + RDHUP
  if conn.unsent then
    wanted = OUT
  elseif conn.eof then
    wanted = 0
  elseif conn.active and conn.news then
    wanted = #conn.buffer > READ_SIZE and 0 or RDHUP
  end
  if wanted ~= conn.mask then
    conn.mask = wanted
    reactor.expect(conn.fd, wanted)
  end
end
wire.watch = watch

-- Sends *n* bytes at *data*, behind what waits; what the network does not take waits.  False when the client is gone.
function wire.push(conn, data, n)
  if conn.unsent then
    conn.unsent = conn.unsent .. string_of(data, n)
    return true
  end
  local taken = transmit(conn, data, n)
  if not taken then return false end
  if taken < n then
    conn.unsent = string_of(data + taken, n - taken)
    if conn.secure then watch(conn) end
  end
  return true
end

-- Sends of what waits as much as the network takes: how much that is, nil when the client is gone.
function wire.push_rest(conn)
  local rest = conn.unsent
  local n = transmit(conn, rest, #rest)
  if n == #rest then
    conn.unsent = false
  elseif n and n > 0 then
    conn.unsent = sub(rest, n + 1)
  end
  return n
end

-- Lets the client see the end of what it is sent.
function wire.end_sending(conn) C.luamtev_http1_shutdown(conn.fd, WRITING) end

return wire
