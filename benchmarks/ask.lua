-- Asks a server over HTTP/1.1, for less CPU than wrk takes, so that one client can ask more than one server can answer:
--
--   luajit benchmarks/ask.lua PORT PATH CONNECTIONS SECONDS [awake]
--
-- Like wrk it sleeps until there are answers, unless it is to stay *awake*, so that no server has to wake it; and it asks
-- again on a connection once its answer is there.  Unlike wrk it makes no call but epoll_wait, recv and send for that, and
-- reads one answer carefully, the first, whose body is known to end with ENDING: the others are to be as long, to begin
-- and to end alike.  It prints how many answers there were, those of a second, and the 99th percentile of their
-- latencies in milliseconds.

local ffi = require("ffi")
local bit = require("bit")

ffi.cdef [[
typedef struct { uint16_t family; uint8_t port[2]; uint8_t address[4]; uint8_t zero[8]; } inet_address;
typedef struct __attribute__((packed)) { uint32_t events; int slot; uint32_t unused; } event_packed;
typedef struct { uint32_t events; int slot; uint32_t unused; } event_aligned;
typedef struct { long sec, nsec; } moment;
int socket(int family, int type, int protocol);
int connect(int fd, const void *address, unsigned size);
intptr_t recv(int fd, void *data, size_t size, int flags);
intptr_t send(int fd, const void *data, size_t size, int flags);
int epoll_create1(int flags);
int epoll_ctl(int ep, int op, int fd, void *event);
int epoll_wait(int ep, void *events, int most, int timeout);
int memcmp(const void *one, const void *other, size_t size);
int clock_gettime(int clock, void *at);
]]
local C = ffi.C

local INET, STREAM, ADD, IN, EDGE = 2, 1, 1, 0x001, 0x80000000
local DONTWAIT, NOSIGNAL, MONOTONIC = 0x40, 0x4000, 1
local ROOM, MOST, SLOWEST = 4096, 256, 1000000 -- bytes of an answer; events at once; microseconds
local BEGINNING, ENDING = "HTTP/1.1 200 OK\r\n", "Hello World"
local LAST_CHUNK = "\r\n0\r\n\r\n"

local port, path, connections, seconds = tonumber(arg[1]), arg[2], tonumber(arg[3]), tonumber(arg[4])
local timeout = arg[5] == "awake" and 0 or 1000 -- milliseconds
local request = ("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"):format(path, port)

local time = ffi.new("moment")
local function now()
  C.clock_gettime(MONOTONIC, time)
  return tonumber(time.sec) + tonumber(time.nsec) * 1e-9
end

local function check(result, what) return result >= 0 and result or error(what .. ": errno " .. ffi.errno(), 2) end

local function connected()
  local address = ffi.new("inet_address", INET, { bit.rshift(port, 8), bit.band(port, 255) }, { 127, 0, 0, 1 })
  local fd = check(C.socket(INET, STREAM, 0), "socket")
  check(C.connect(fd, address, ffi.sizeof(address)), "connect")
  return fd
end

local function ask(fd) if C.send(fd, request, #request, NOSIGNAL) ~= #request then error("a request was not sent") end end

local function ends(text, with) return text:sub(-#with) == with end

-- An answer, and how it ends.
local function sample()
  local fd, data, text = connected(), ffi.new("uint8_t[?]", ROOM), ""
  ask(fd)
  repeat
    local n = tonumber(C.recv(fd, data, ROOM, 0))
    if n <= 0 then error("no answer but " .. text) end
    text = text .. ffi.string(data, n)
  until ends(text, ENDING) or ends(text, ENDING .. LAST_CHUNK)
  if text:sub(1, #BEGINNING) ~= BEGINNING then error(text) end
  return text, ends(text, ENDING) and ENDING or ENDING .. LAST_CHUNK
end

local whole, ending = sample()
local length, tail = #whole, #whole - #ending
local ep = check(C.epoll_create1(0), "epoll_create1")
local event_type = ffi.arch == "x64" and "event_packed" or "event_aligned"
local events, wanted = ffi.new(event_type .. "[?]", MOST), ffi.new(event_type, bit.tobit(IN + EDGE))
local fds, answers = ffi.new("int[?]", connections), ffi.new("uint8_t[?]", connections * ROOM)
local got, asked = ffi.new("int[?]", connections), ffi.new("double[?]", connections)
local latencies = ffi.new("uint32_t[?]", SLOWEST + 1)

for slot = 0, connections - 1 do
  fds[slot] = connected()
  wanted.slot = slot
  check(C.epoll_ctl(ep, ADD, fds[slot], wanted), "epoll_ctl")
end
local began, count = now(), 0
local stop = began + seconds
for slot = 0, connections - 1 do
  asked[slot] = now()
  ask(fds[slot])
end
local clock
repeat
  local n = C.epoll_wait(ep, events, MOST, timeout)
  clock = now()
  for i = 0, n - 1 do
    local slot = events[i].slot
    local answer = answers + slot * ROOM
    local read = tonumber(C.recv(fds[slot], answer + got[slot], ROOM - got[slot], DONTWAIT))
    if read <= 0 then error("a connection is lost") end
    got[slot] = got[slot] + read
    if got[slot] >= length then
      if got[slot] ~= length or C.memcmp(answer, BEGINNING, #BEGINNING) ~= 0
        or C.memcmp(answer + tail, ending, #ending) ~= 0 then
        error("another answer: " .. ffi.string(answer, got[slot]))
      end
      local micros = math.min(math.floor((clock - asked[slot]) * 1e6), SLOWEST)
      latencies[micros] = latencies[micros] + 1
      got[slot], asked[slot], count = 0, clock, count + 1
      ask(fds[slot])
    end
  end
until clock >= stop

local late, seen = -1, 0
repeat
  late = late + 1
  seen = seen + latencies[late]
until seen >= count * 0.99
print(count, ("%.1f"):format(count / (clock - began)), ("%.3f"):format(late / 1000))
