-- What passes between a connection and its client: through the descriptor, or, where it is encrypted, through TLS on
-- the Python side, a crossing for each piece.
--
-- Of a connection (connections.lua) this file reads number, fd and secure, and keeps unsent, a string of which the network
-- has not taken all, or false; sent, how much of that it has taken; mask, the events of its descriptor that the reactor
-- tells of.

local home = ...

local tonumber = tonumber
local ffi = require("ffi")
local reactor, border = home.reactor, home.border
local send_encrypted, receive_encrypted, report = border.http1_send, border.http1_receive, border.task_failed
local string_of, sub, pcall, min = ffi.string, string.sub, pcall, math.min

ffi.cdef [[
intptr_t luamtev_http1_recv(int fd, void *data, size_t size, int flags) __asm__("recv");
intptr_t luamtev_http1_send(int fd, const void *data, size_t size, int flags) __asm__("send");
int luamtev_http1_shutdown(int fd, int how) __asm__("shutdown");
]]
local C = ffi.C

local READ_SIZE = 65536
local PIECE = 262144 -- bytes that are encrypted at once: each piece is copied, whatever the network takes of it
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

-- What f(...) returns; nothing where there is no memory for that, and the log says so.
local function with_memory(f, ...)
  local ok, found = pcall(f, ...)
  if ok then return found end
  report("not enough memory for what a client is sent: its connection is closed")
end

local function encrypt(conn, data, n) return send_encrypted(conn.number, string_of(data, min(n, PIECE))) end

-- Hands *n* bytes at *data* to the network; returns how many it took, nil when nothing can be sent any more.
local function transmit(conn, data, n)
  if conn.secure then return with_memory(encrypt, conn, data, n) end
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

local function keep(conn, data, n)
  local rest = string_of(data, n)
  conn.unsent = conn.unsent and sub(conn.unsent, conn.sent + 1) .. rest or rest
  conn.sent = 0
  return true
end

-- Sends *n* bytes at *data*, behind what waits; what the network does not take waits.  False when nothing can be sent any
-- more: the client is gone, or a part of what it is sent is lost.
function wire.push(conn, data, n)
  local taken = conn.unsent and 0 or transmit(conn, data, n)
  if not taken then return false end
  if taken < n then
    if not with_memory(keep, conn, data + taken, n - taken) then return false end
    if conn.secure then watch(conn) end
  end
  return true
end

-- Sends of what waits as much as the network takes: how much that is, nil as from push.
function wire.push_rest(conn)
  local waiting, sent = conn.unsent, conn.sent
  local n = transmit(conn, ffi.cast("const uint8_t *", waiting) + sent, #waiting - sent)
  if not n then return nil end
  sent = sent + n
  if sent == #waiting then
    conn.unsent, conn.sent = false, 0
  else
    conn.sent = sent
  end
  return n
end

-- Lets the client see the end of what it is sent.
function wire.end_sending(conn) C.luamtev_http1_shutdown(conn.fd, WRITING) end

return wire
