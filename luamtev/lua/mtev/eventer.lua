-- mtev.eventer: a descriptor that coroutines read and write as if it blocked.  Manual: mtev.eventer:*.
--
-- Each object owns its descriptor and closes it when it is collected.  What to do with the bytes is left to its operation
-- set, a table of two calls that never suspend:
--
--   read(event, most)            -> data | nil, mask to wait for | nil, nil at the end | nil, text of an error
--   write(event, data, from)     -> bytes taken of data[from..], counted from 0 | nil, mask | nil, text
--
-- POSIX below is one set, TLS another.  Everything that waits, buffers, times out and checks who may call is here, once.
--
-- An event belongs to the coroutine that made it and is closed when that ends; own() hands it over as a new object and
-- makes the old one invalid.  Calls that wait when their event is closed or taken over end as at the end of a stream.

local home = ...

local refuse = home.need("arguments").refuse
local calls = home.need("C")
local close, write, error_text = calls.close, calls.write, calls.error_text
local M = {}
local new_object -- set once all methods are there
local ffi = require("ffi")
local kernel, reactor, sockaddr = home.kernel, home.reactor, home.need("mtev/sockaddr")
local numbers = sockaddr.numbers
local wait, drained, quiet, READ, WRITE = reactor.wait, reactor.drained, reactor.quiet, reactor.READ, reactor.WRITE
local breathe, monotonic, current = kernel.breathe, kernel.monotonic, kernel.current
local find, sub, concat = string.find, string.sub, table.concat
local type, tonumber, tostring, error, pairs, select = type, tonumber, tostring, error, pairs, select
local huge = math.huge

ffi.cdef [[
intptr_t luamtev_read(int fd, void *buffer, size_t most) __asm__("read");
int luamtev_fcntl(int fd, int command, ...) __asm__("fcntl");
]]
local C = ffi.C
local EAGAIN, EINTR = numbers.EAGAIN, numbers.EINTR
local F_GETFL, F_SETFL, F_SETFD, FD_CLOEXEC = 3, 4, 2, 1

local MOST = 131072 -- bytes asked for at once
local buffer = ffi.new("char[?]", MOST) -- shared: nobody suspends while it holds something

-- Objects by descriptor, for those who look at the system.
local open_descriptors = setmetatable({}, { __mode = "v" })

-- POSIX ---------------------------------------------------------------------------------------------------------------

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
local CLOSE_ENTRY, CLOSE_RETURN = number_of("eventer-close-entry"), number_of("eventer-close-return")

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

-- Reading -----------------------------------------------------------------------------------------------------------------

-- The next bytes of the stream; nothing and why at its end, at an error and when the time is up.
local function fill(event, deadline)
  while true do
    local mask = READ
    if not quiet[event.fd] then
      local data, why = read_once(event, MOST)
      if data then
        breathe()
        return data
      end
      if type(why) ~= "number" then return nil, why end
      mask = why
    end
    local ok, why = ready(event, mask, deadline)
    if not ok then return nil, why end
  end
end

local function keep(event, input, from)
  if from > #input then
    event.input, event.from = "", 1
  else
    event.input, event.from = input, from
  end
end

-- What was gathered when the stream ended; kept for the next read when it only had no time.
local function end_of_read(event, gathered, why)
  if gathered == "" then return nil, why end
  if why == "timeout" then
    event.input, event.from = gathered, 1
    return nil, why
  end
  return gathered
end

local function read_count(event, count, deadline)
  local input, from = event.input, event.from
  local there = #input - from + 1
  if there >= count then
    keep(event, input, from + count)
    return sub(input, from, from + count - 1)
  end
  event.input, event.from = "", 1
  local pieces, n = { there > 0 and sub(input, from) or nil }, there > 0 and 1 or 0
  while there < count do
    local data, why = fill(event, deadline)
    if not data then return end_of_read(event, concat(pieces, "", 1, n), why) end
    local missing = count - there
    if #data > missing then
      keep(event, data, missing + 1)
      data = sub(data, 1, missing)
    end
    n, there = n + 1, there + #data
    pieces[n] = data
  end
  if n == 1 then return pieces[1] end
  return concat(pieces, "", 1, n)
end

local function read_until(event, stop, deadline)
  local input, from = event.input, event.from
  local _, last = find(input, stop, from, true)
  if last then
    keep(event, input, last + 1)
    return sub(input, from, last)
  end
  event.input, event.from = "", 1
  local pieces, n = {}, 0
  if from <= #input then pieces[1], n = from > 1 and sub(input, from) or input, 1 end
  local overlap = #stop - 1 -- bytes of what was gathered that may begin the terminator
  local tail = overlap > 0 and n > 0 and sub(pieces[1], -overlap) or ""
  while true do
    local data, why = fill(event, deadline)
    if not data then return end_of_read(event, concat(pieces, "", 1, n), why) end
    local seen = tail == "" and data or tail .. data
    _, last = find(seen, stop, 1, true)
    if last then
      local used = last - #tail
      keep(event, data, used + 1)
      if used < #data then data = sub(data, 1, used) end
      if n == 0 then return data end
      pieces[n + 1] = data
      return concat(pieces, "", 1, n + 1)
    end
    n = n + 1
    pieces[n] = data
    if overlap > 0 then tail = sub(seen, -overlap) end
  end
end

local methods = {}

-- Whatever is there, or comes next; nothing at the end of the stream, or nothing and why.
local function read_some(event, timeout)
  local input, from = event.input, event.from
  if from <= #input then
    event.input, event.from = "", 1
    return from == 1 and input or sub(input, from)
  end
  return fill(event, timeout and monotonic() + timeout)
end

-- Reads and forgets until the stream ends.
local function drain(event, deadline)
  event.input, event.from = "", 1
  while true do
    local data, why = fill(event, deadline)
    if not data then return nil, why end
  end
end

-- Gives back what was read, to be read again before anything else.
local function unread(event, data) event.input, event.from = data .. sub(event.input, event.from), 1 end

-- read(stop[, ignored[, timeout[, on_timeout]]]): a number of bytes, which may be a text that Lua takes for one; everything
-- up to and including a terminator; or nil, which drops all to the end of the stream.
-- At the end of the stream what is left, then nil and, after an error, its text.
function methods:read(stop, _, timeout, on_timeout)
  owned(self)
  if on_timeout ~= nil and type(on_timeout) ~= "function" then
    refuse(4, "read", "function", type(on_timeout), 2)
  end
  if on_timeout and not tonumber(timeout) then timeout = 10 end
  if timeout ~= nil then timeout = kernel.seconds(timeout, "read", 2) end
  local deadline = timeout and timeout < huge and monotonic() + timeout or nil
  local count, data, why = tonumber(stop), nil, nil
  if count then
    if count < 0 or count ~= count then
      refuse(1, "read", "number of bytes or terminator", tostring(stop), 2)
    end
    if count == 0 then return "" end
    data, why = read_count(self, math.floor(count), deadline)
  elseif type(stop) == "string" and stop ~= "" then
    data, why = read_until(self, stop, deadline)
  elseif stop == nil then
    data, why = drain(self, deadline)
  else
    error("bad argument #1 to 'read' (number of bytes or terminator expected, got "
      .. (stop == "" and "an empty one" or type(stop)) .. ")", 2)
  end
  if data then return data end
  if why == nil then return nil end
  if why ~= "timeout" or not on_timeout then return nil, why end
  on_timeout()
  return nil
end

-- Writing -----------------------------------------------------------------------------------------------------------------

local function payload(data, name)
  if type(data) == "string" then return data end
  if type(data) == "number" then return tostring(data) end
  refuse(1, name, "string", type(data), 3)
end

-- Writes all of *data*; returns its length, or -1 and the text of an error.
local function write_all(event, data, deadline)
  local length, from = #data, 0
  while from < length do
    if event.fd < 0 then return -1, "invalid event" end
    local n, why = write_once(event, data, from)
    if n then
      from = from + n
      breathe()
    else
      if type(why) ~= "number" then return -1, why end
      local ok, failure = ready(event, why, deadline)
      if not ok then return -1, failure end
    end
  end
  return length
end

-- write(data[, timeout in seconds]): the length of *data* once all of it is written; -1 and why not.
function methods:write(data, timeout)
  owned(self)
  if data == nil then return -1, "write: nothing given" end
  if timeout ~= nil then timeout = kernel.seconds(timeout, "write", 2) end
  local deadline = timeout and timeout < huge and monotonic() + timeout or nil
  return write_all(self, payload(data, "write"), deadline)
end

-- As much of *data* as is taken at once.
function methods:send(...)
  valid(self)
  if select("#", ...) ~= 1 then error("mtev.socket.send with bad arguments", 2) end
  local data = payload((...), "send")
  while true do
    local n, why = write_once(self, data, 0)
    if n then
      breathe()
      return n
    end
    if type(why) ~= "number" then return -1, why end
    local ok, failure = ready(self, why)
    if not ok then return -1, failure end
  end
end

-- Whose they are -----------------------------------------------------------------------------------------------------------

-- The events of a task, which are closed when it ends.  Neither holds them: what nobody knows any more the collector
-- closes.  Most tasks have one.
local first_of = setmetatable({}, { __mode = "kv" }) -- task -> event
local others_of = setmetatable({}, { __mode = "k" }) -- task -> set of events
local WEAK = { __mode = "k" }

local function belongs(event, task)
  if not task then return event end
  local first = first_of[task]
  if not first or first.fd < 0 then
    first_of[task] = event
  else
    local others = others_of[task]
    if not others then
      others = setmetatable({}, WEAK)
      others_of[task] = others
    end
    others[event] = true
  end
  return event
end

kernel.on_leaving(function(task)
  local first, others = first_of[task], others_of[task]
  if not first and not others then return end
  first_of[task], others_of[task] = nil, nil
  if first then pcall(first.close, first) end
  if others then
    for event in pairs(others) do pcall(event.close, event) end
  end
end)

-- The events of the running task outlive it.
function M.keep()
  first_of[current()], others_of[current()] = nil, nil
end

-- *event* belongs to no task any more, until one makes it its own.
function M.disown(event)
  local task = event.owner
  if first_of[task] == event then first_of[task] = nil end
  local others = others_of[task]
  if others then others[event] = nil end
  event.owner = false
end

-- Closing and ownership ---------------------------------------------------------------------------------------------------

local function close_descriptor(guard)
  local fd = guard[0]
  if fd < 0 then return end
  guard[0] = -1
  reactor.forget(fd)
  close(fd)
end

-- Closes the descriptor.  Whoever waits on it is woken; a second close is harmless.  Returns 0.
function methods:close()
  if self.fd < 0 then return 0 end
  local guard, shut, fd = self.guard, self.ops.close, self.fd
  local is_told = cells[CLOSE_ENTRY] + cells[CLOSE_RETURN] ~= 0
  if is_told then tell(CLOSE_ENTRY, fd, 0, nil) end
  if shut then shut(self) end
  self.fd, self.input, self.from = -1, "", 1
  close_descriptor(guard)
  if is_told then tell(CLOSE_RETURN, fd, 0, nil, 0) end
  return 0
end

-- The same event for the calling coroutine; this object is invalid from now on.
function methods:own()
  local fd = valid(self)
  local moved = {}
  for name, value in pairs(self) do moved[name] = value end
  moved.owner = current()
  self.fd, self.guard, self.tls, self.input, self.from = -1, false, false, "", 1
  reactor.forget(fd) -- whoever still waits on the old one
  local made = belongs(new_object(moved), moved.owner)
  open_descriptors[fd] = made
  return made
end

-- Making them ---------------------------------------------------------------------------------------------------------------

-- An object over a descriptor it owns from now on.  *kind*: "pipe" or the family of a socket; *stream*: not a datagram.
function M.from_fd(fd, kind, stream)
  local flags = C.luamtev_fcntl(fd, F_GETFL)
  C.luamtev_fcntl(fd, F_SETFL, ffi.cast("int", bit.bor(flags, numbers.O_NONBLOCK)))
  C.luamtev_fcntl(fd, F_SETFD, ffi.cast("int", FD_CLOEXEC))
  return M.adopt(fd, kind or "pipe", stream ~= false)
end

local PLACES, EACH = 100, 16 -- so many descriptors a second have their place looked for, of more only one in EACH
local second, places = 0, 0

-- Where in its user's code the running coroutine is, as file:line; "" where that would cost those dear who make many.
local function place()
  local now = kernel.looked_at()
  if now - second > 1 then second, places = now, 0 end
  places = places + 1
  if places > PLACES and places % EACH ~= 0 then return "" end
  return kernel.place(nil, 12) or ""
end

-- The same for a descriptor that is non-blocking and closed on exec already.
function M.adopt(fd, kind, stream)
  local guard = ffi.gc(ffi.new("int[1]", fd), close_descriptor)
  local owner = current()
  local made = belongs(new_object({
    fd = fd, guard = guard, owner = owner, kind = kind, stream = stream, input = "", from = 1, ops = posix, tls = false,
    accepted = false, made_at = place(),
  }), owner)
  open_descriptors[fd] = made
  return made
end

new_object, M.add_methods = home.need("mtev/object")("mtev.eventer", methods)

M.open_descriptors, M.posix, M.error_text = open_descriptors, posix, error_text
M.valid, M.owned, M.ready, M.payload = valid, owned, ready, payload
M.read_once, M.read_some, M.unread, M.write_all = read_once, read_some, unread, write_all

return M
