-- mtev.socket and what only sockets do: connect, bind, listen, accept, recv, sendto, options and names.

local home = ...

local sub = string.sub
local bor = bit.bor
local huge, floor, min = math.huge, math.floor, math.min
local ffi = require("ffi")
local bit = require("bit")
local kernel, reactor, sockaddr, eventer = home.kernel, home.reactor, home.need("mtev/sockaddr"), home.need("mtev/eventer")
local arguments, reclaim = home.need("arguments"), home.need("reclaim")
local refuse, numeral, port_of = arguments.refuse, arguments.numeral, arguments.port
local methods = {}
local numbers, families = sockaddr.numbers, sockaddr.family_number
local valid, owned, ready, payload, error_text =
  eventer.valid, eventer.owned, eventer.ready, eventer.payload, eventer.error_text
local READ, WRITE = reactor.READ, reactor.WRITE
local breathe, monotonic = kernel.breathe, kernel.monotonic
local reverse_connect = home.checked(home.border.reverse_connect)
local type, tonumber, tostring, error, select = type, tonumber, tostring, error, select

ffi.cdef [[
int luamtev_socket(int family, int type, int protocol) __asm__("socket");
int luamtev_connect(int fd, const void *address, unsigned length) __asm__("connect");
int luamtev_bind(int fd, const void *address, unsigned length) __asm__("bind");
int luamtev_listen(int fd, int backlog) __asm__("listen");
int luamtev_accept(int fd, void *address, unsigned *length) __asm__("accept");
int luamtev_accept4(int fd, void *address, unsigned *length, int flags) __asm__("accept4");
intptr_t luamtev_recvfrom(int fd, void *buffer, size_t most, int flags, void *address, unsigned *length) __asm__("recvfrom");
intptr_t luamtev_sendto(int fd, const void *data, size_t length, int flags, const void *address, unsigned address_length)
  __asm__("sendto");
int luamtev_getsockname(int fd, void *address, unsigned *length) __asm__("getsockname");
int luamtev_getpeername(int fd, void *address, unsigned *length) __asm__("getpeername");
int luamtev_setsockopt(int fd, int level, int name, const void *value, unsigned length) __asm__("setsockopt");
int luamtev_getsockopt(int fd, int level, int name, void *value, unsigned *length) __asm__("getsockopt");
typedef struct { long sec; long usec; } luamtev_socket_time;
]]
local C = ffi.C
local EAGAIN, EINTR, EINPROGRESS, ECONNABORTED =
  numbers.EAGAIN, numbers.EINTR, numbers.EINPROGRESS, numbers.ECONNABORTED
local LINUX = ffi.os == "Linux"
local AT_BIRTH = LINUX and bit.bor(0x800, 0x80000) or 0 -- SOCK_NONBLOCK and SOCK_CLOEXEC, the same on every architecture

local address = ffi.new("uint8_t[?]", sockaddr.SIZE) -- what the system fills
local length = ffi.new("unsigned[1]")
local integer = ffi.new("int[2]")
local seconds = ffi.new("luamtev_socket_time")
local LARGEST = 1048576 -- bytes recv asks for at most
local buffer_size = 65536
local buffer = ffi.new("char[?]", buffer_size)

local function adopt(fd, kind, stream)
  if LINUX then return eventer.adopt(fd, kind, stream) end
  return eventer.from_fd(fd, kind, stream)
end

local function family_of(target)
  if families[target] then return target end
  if sub(target, 1, 8) == "reverse:" then return "inet" end
  local _, _, family = sockaddr.pack(target, 0)
  return family
end

-- A socket of the family *target* names or belongs to: "inet", "inet6", "unix", an address, or "reverse:ID"; "inet" when
-- it is no text.  Nothing when the system gives none.
function mtev.socket(target, kind, ...)
  if kind ~= nil and kind ~= "tcp" and kind ~= "udp" or select("#", ...) > 0 then
    error("mtev.socket called with invalid arguments", 2)
  end
  local family = type(target) ~= "string" and "inet" or family_of(target)
  if not family then error("mtev.socket family for " .. target .. " unknown", 2) end
  local kind_number = kind == "udp" and numbers.SOCK_DGRAM or numbers.SOCK_STREAM
  local again = false
  while true do
    local fd = C.luamtev_socket(families[family], bor(kind_number, AT_BIRTH), 0)
    if fd >= 0 then return adopt(fd, family, kind ~= "udp") end
    local errno = ffi.errno()
    if not reclaim(errno, again) then return nil, error_text(errno) end
    again = true
  end
end

-- The address for a call, of whatever family: buffer and length, or nothing and why.
local function address_for(event, host, port, name)
  if host == nil then return nil, "Cannot translate 'nil' to IP\n" end
  if type(host) ~= "string" then
    refuse(1, name, "address", type(host), 3)
  end
  if event.kind == "unix" then
    local packed, size = sockaddr.pack(host, 0, "unix")
    if not packed then return nil, "path too long: '" .. host .. "'" end
    return packed, size
  end
  local number = port_of(port, 0)
  if not number then
    refuse(2, name, "port", tostring(port), 3)
  end
  local packed, size = sockaddr.pack(host, number)
  if not packed then return nil, "Cannot translate '" .. host .. "' to IP\n" end
  return packed, size
end

local function connection_error(fd)
  length[0] = 4
  C.luamtev_getsockopt(fd, numbers.SOL_SOCKET, numbers.SO_ERROR, integer, length)
  return integer[0]
end

-- connect(address, port[, timeout in seconds]): 0, or -1 and why not.
function methods:connect(host, port, timeout)
  owned(self)
  if type(host) == "string" and sub(host, 1, 8) == "reverse:" then
    reactor.forget(self.fd)
    if not reverse_connect(sub(host, 9), self.fd) then return -1, "Reverse connection unavailable" end
    return 0
  end
  if self.kind == "unix" and timeout == nil then timeout = tonumber(port) end
  if timeout ~= nil then timeout = kernel.seconds(timeout, "connect", 2) end
  local deadline = timeout and timeout < huge and monotonic() + timeout or nil
  local packed, size = address_for(self, host, port, "connect")
  if not packed then return -1, size end
  if C.luamtev_connect(self.fd, packed, size) == 0 then return 0 end
  local errno = ffi.errno()
  if errno ~= EINPROGRESS and errno ~= EINTR then return -1, error_text(errno) end
  local ok, why = ready(self, WRITE, deadline)
  if not ok then return -1, why end
  errno = connection_error(self.fd)
  if errno ~= 0 then return -1, error_text(errno) end
  packed, size = address_for(self, host, port, "connect")
  C.luamtev_connect(self.fd, packed, size) -- tells the system that it is known: else the next connect would find no fault
  return 0
end

-- bind(address, port): 0, or -1 and why not.
function methods:bind(host, port)
  valid(self)
  local packed, size = address_for(self, host, port, "bind")
  if not packed then return -1, size end
  if C.luamtev_bind(self.fd, packed, size) == 0 then return 0 end
  return -1, error_text(ffi.errno())
end

-- listen(backlog): 0, or -1, errno and its text.
function methods:listen(backlog)
  valid(self)
  local number = backlog == nil and 0 or tonumber(backlog)
  if not number then
    refuse(1, "listen", "backlog", type(backlog), 2)
  end
  if C.luamtev_listen(self.fd, number) == 0 then return 0 end
  local errno = ffi.errno()
  return -1, errno, error_text(errno)
end

local function accept_descriptor(fd)
  if LINUX then return C.luamtev_accept4(fd, nil, nil, AT_BIRTH) end
  return C.luamtev_accept(fd, nil, nil)
end

local trace = home.need("mtev/trace")
local cells, tell = trace.cells, trace.tell
local ENTRY, RETURN = trace.number_of("eventer-accept-entry"), trace.number_of("eventer-accept-return")

-- The same, and why there was none, through its trace points.
local function accept_some(fd)
  if cells[ENTRY] + cells[RETURN] == 0 then
    local made = accept_descriptor(fd)
    return made, ffi.errno()
  end
  tell(ENTRY, fd, nil, 0, READ, nil)
  local made = accept_descriptor(fd)
  local errno = ffi.errno()
  tell(RETURN, fd, nil, 0, made < 0 and errno == EAGAIN and READ or 0, nil, made)
  return made, errno
end

-- A system call failed with *errno*: true once it is worth another try, else nil and why not.
local function may_retry(event, errno, mask, deadline)
  if errno == EAGAIN then return ready(event, mask, deadline) end
  if errno == EINTR then return true end
  return nil, error_text(errno)
end

-- The next connection, a socket of the calling coroutine; nothing and why when there is none to be had.
function methods:accept()
  owned(self)
  while true do
    local fd, errno = accept_some(self.fd)
    if fd >= 0 then
      local event = adopt(fd, self.kind, true)
      event.accepted = true
      breathe()
      return event
    end
    if errno ~= ECONNABORTED then
      local again, why = may_retry(self, errno, READ)
      if not again then return nil, why end
    end
  end
end

local function receive_stream(event, most)
  local input, from = event.input, event.from
  if from <= #input then
    local data = sub(input, from, from + most - 1)
    event.from = from + #data
    return #data, data
  end
  while true do
    local data, why = eventer.read_once(event, most)
    if data then return #data, data end
    if why == nil then return 0, "" end
    if type(why) ~= "number" then return -1, why end
    local ok, failure = ready(event, why)
    if not ok then return -1, failure end
  end
end

-- The next datagram: its size, its bytes, the sender's address and port; -1 and why not.
local function receive_datagram(event, most, deadline)
  if most > buffer_size then
    buffer_size = most
    buffer = ffi.new("char[?]", most)
  end
  while true do
    length[0] = sockaddr.SIZE
    local n = tonumber(C.luamtev_recvfrom(event.fd, buffer, most, 0, address, length))
    if n >= 0 then return n, ffi.string(buffer, n), sockaddr.unpack(address, length[0]) end
    local again, why = may_retry(event, ffi.errno(), READ, deadline)
    if not again then return -1, why end
  end
end

-- recv(most): number of bytes, the bytes, and the sender's address and port; -1 and why not.
-- 0 and "" at the end of a stream.
function methods:recv(most)
  valid(self)
  local number = tonumber(most)
  if not number or number < 1 then
    refuse(1, "recv", "number of bytes", tostring(most), 2)
  end
  number = min(floor(number), LARGEST)
  if not self.stream then return receive_datagram(self, number) end
  local n, data = receive_stream(self, number)
  breathe()
  if n < 0 or self.kind == "pipe" then return n, data end
  return n, data, self:peer_name()
end

-- sendto(data, address, port): bytes sent, or -1 and why not.
function methods:sendto(...)
  valid(self)
  if select("#", ...) ~= 3 then error("mtev.socket.sendto with bad arguments", 2) end
  local data, host, port = ...
  data = payload(data, "sendto")
  while true do
    local packed, size = address_for(self, host, port, "sendto")
    if not packed then return -1, size end
    local n = tonumber(C.luamtev_sendto(self.fd, data, #data, 0, packed, size))
    if n >= 0 then
      breathe()
      return n
    end
    local again, why = may_retry(self, ffi.errno(), WRITE)
    if not again then return -1, why end
  end
end

local function option_value(name, value)
  if name == "SO_LINGER" then
    integer[0], integer[1] = value >= 0 and 1 or 0, value
    return integer, 8
  elseif name == "SO_RCVTIMEO" or name == "SO_SNDTIMEO" then
    seconds.sec, seconds.usec = value, 0
    return seconds, ffi.sizeof(seconds)
  end
  integer[0] = value
  return integer, 4
end

-- setsockopt(name, value): 0, or -1 and why not.  SO_LINGER: seconds, below 0 for off; SO_RCVTIMEO, SO_SNDTIMEO: seconds.
function methods:setsockopt(...)
  valid(self)
  if select("#", ...) ~= 2 then return -1, "setsockopt(type, value) wrong arguments" end
  local name, given = ...
  local value = numeral(given)
  if type(name) ~= "string" then
    refuse(1, "setsockopt", "option", type(name), 2)
  end
  if not value then
    refuse(2, "setsockopt", "number", type(given), 2)
  end
  local number = sub(name, 1, 3) == "SO_" and name ~= "SO_ERROR" and numbers[name]
  if not number then return -1, "Socket  operation '" .. name .. "' not supported\n" end
  local pointer, size = option_value(name, value)
  if C.luamtev_setsockopt(self.fd, numbers.SOL_SOCKET, number, pointer, size) == 0 then return 0 end
  return -1, error_text(ffi.errno())
end

-- Address and port of the other end; nothing when there is none.
function methods:peer_name()
  length[0] = sockaddr.SIZE
  if C.luamtev_getpeername(valid(self), address, length) ~= 0 then return end
  return sockaddr.unpack(address, length[0])
end

-- Address and port of this end.
function methods:sock_name()
  length[0] = sockaddr.SIZE
  if C.luamtev_getsockname(valid(self), address, length) ~= 0 then return end
  return sockaddr.unpack(address, length[0])
end

eventer.add_methods(methods)

return { receive_datagram = receive_datagram }
