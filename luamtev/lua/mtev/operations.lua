-- What is done to an event of mtev.eventer once: by its operation set, a table of two calls that never suspend.
--
--   read(event, most)            -> data | nil, mask to wait for | nil, nil at the end | nil, text of an error
--   write(event, data, from)     -> bytes taken of data[from..], counted from 0 | nil, mask | nil, text
--
-- POSIX here is one set, TLS another.  Everything that waits and checks who may call is here, too, once.

local home = ...

local calls = home.need("C")
local write, error_text = calls.write, calls.error_text
local ffi = require("ffi")
local reactor, numbers = home.reactor, home.need("mtev/sockaddr").numbers
local wait, drained, READ, WRITE = reactor.wait, reactor.drained, reactor.READ, reactor.WRITE
local monotonic, current = home.kernel.monotonic, home.kernel.current
local sub, type, tonumber, error = string.sub, type, tonumber, error

ffi.cdef [[ intptr_t luamtev_read(int fd, void *buffer, size_t most) __asm__("read"); ]]
local C = ffi.C
local EAGAIN, EINTR = numbers.EAGAIN, numbers.EINTR

local MOST = 131072 -- bytes asked for at once
local buffer = ffi.new("char[?]", MOST) -- shared: nobody suspends while it holds something

local posix = {}

function posix.read(event, most)
  if most > MOST then most = MOST end
  while true do
    local n = tonumber(C.luamtev_read(event.fd, buffer, most))
    if n > 0 then
      if n < most and event.stream then drained(event.fd) end
      return ffi.string(buffer, n)
    end
    if n == 0 then return nil end
    local errno = ffi.errno()
    if errno == EAGAIN then return nil, READ end
    if errno ~= EINTR then return nil, error_text(errno) end
  end
end

function posix.write(event, data, from)
  while true do
    local n = write(event.fd, ffi.cast("const char *", data) + from, #data - from)
    if n >= 0 then return n end
    local errno = ffi.errno()
    if errno == EAGAIN then return nil, WRITE end
    if errno ~= EINTR then return nil, error_text(errno) end
  end
end

-- Through trace points -------------------------------------------------------------------------------------------------

local trace = home.need("mtev/trace")
local cells, tell, number_of = trace.cells, trace.tell, trace.number_of
local READ_ENTRY, READ_RETURN = number_of("eventer-read-entry"), number_of("eventer-read-return")
local WRITE_ENTRY, WRITE_RETURN = number_of("eventer-write-entry"), number_of("eventer-write-return")

-- Reads, or writes, what *event* can now, by its operations.
local function read_once(event, most)
  if cells[READ_ENTRY] + cells[READ_RETURN] == 0 then return event.ops.read(event, most) end
  local fd = event.fd
  tell(READ_ENTRY, fd, nil, most, READ, nil)
  local data, why = event.ops.read(event, most)
  local result = data and #data or why == nil and 0 or -1
  tell(READ_RETURN, fd, data, most, type(why) == "number" and why or 0, nil, result)
  return data, why
end

local function write_once(event, data, from)
  if cells[WRITE_ENTRY] + cells[WRITE_RETURN] == 0 then return event.ops.write(event, data, from) end
  local fd, rest = event.fd, sub(data, from + 1)
  tell(WRITE_ENTRY, fd, rest, #rest, WRITE, nil)
  local n, why = event.ops.write(event, data, from)
  tell(WRITE_RETURN, fd, rest, #rest, type(why) == "number" and why or 0, nil, n or -1)
  return n, why
end

-- Who may call ----------------------------------------------------------------------------------------------------------

local function valid(event)
  local fd = event.fd
  if fd < 0 then error("invalid event", 3) end
  return fd
end

local function owned(event)
  if event.fd < 0 then error("invalid event", 3) end
  if event.owner ~= current() then error("cross-coroutine socket call: use event:own()", 3) end
end

-- Waits until *event* is ready for *mask* or the *deadline* passes; returns true, or nothing and why not.
local function ready(event, mask, deadline)
  if event.fd < 0 then return nil, "invalid event" end
  local timeout
  if deadline then
    timeout = deadline - monotonic()
    if timeout <= 0 then return nil, "timeout" end
  end
  local fd = event.fd
  if wait(fd, mask, timeout) and event.fd == fd then return true end
  if event.fd < 0 then return nil, "invalid event" end
  return nil, "timeout"
end

return {
  MOST = MOST, posix = posix, read_once = read_once, write_once = write_once, valid = valid, owned = owned, ready = ready,
}
