-- mtev.eventer: a descriptor that coroutines read and write as if it blocked.  Manual: mtev.eventer:*.
--
-- Each object owns its descriptor and closes it when it is collected.  What is done to that, and who may, operations.lua
-- knows; how a stream is read, reading.lua.
--
-- An event belongs to the coroutine that made it and is closed when that ends; own() hands it over as a new object and
-- makes the old one invalid.  Calls that wait when their event is closed or taken over end as at the end of a stream.

local home = ...

local bor = bit.bor
local refuse = home.need("arguments").refuse
local calls = home.need("C")
local close, error_text = calls.close, calls.error_text
local M = {}
local methods, new_object = {}, nil -- set once all methods are there
local ffi = require("ffi")
local kernel, reactor, numbers = home.kernel, home.reactor, home.need("mtev/sockaddr").numbers
local operations, reading = home.need("mtev/operations"), home.need("mtev/reading")
local write_once, valid, owned, ready = operations.write_once, operations.valid, operations.owned, operations.ready
local posix, read_count, read_until = operations.posix, reading.count, reading.up_to
local breathe, monotonic, current = kernel.breathe, kernel.monotonic, kernel.current
local type, tonumber, tostring, error, pairs, select, setmetatable, pcall
  = type, tonumber, tostring, error, pairs, select, setmetatable, pcall
local huge, floor = math.huge, math.floor

ffi.cdef [[ int luamtev_fcntl(int fd, int command, ...) __asm__("fcntl"); ]]
local C = ffi.C
local F_GETFL, F_SETFL, F_SETFD, FD_CLOEXEC = 3, 4, 2, 1

-- Objects by descriptor, for those who look at the system.
local open_descriptors = setmetatable({}, { __mode = "v" })

-- Reading -----------------------------------------------------------------------------------------------------------------

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
    data, why = read_count(self, floor(count), deadline)
  elseif type(stop) == "string" and stop ~= "" then
    data, why = read_until(self, stop, deadline)
  elseif stop == nil then
    data, why = reading.drain(self, deadline)
  else
    refuse(1, "read", "number of bytes or terminator", stop == "" and "an empty one" or type(stop), 2)
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

local trace = home.need("mtev/trace")
local cells, tell = trace.cells, trace.tell
local CLOSE_ENTRY, CLOSE_RETURN = trace.number_of("eventer-close-entry"), trace.number_of("eventer-close-return")

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
  C.luamtev_fcntl(fd, F_SETFL, ffi.cast("int", bor(flags, numbers.O_NONBLOCK)))
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
M.read_once, M.read_some, M.unread, M.write_all = operations.read_once, reading.some, reading.unread, write_all

return M
