-- Reading a stream by the coroutine that waits for it: a number of bytes, up to a terminator, or what comes.  What was read
-- beyond that stays with the event, as the bytes of event.input from event.from on.
--
-- Each returns what was read; at the end of the stream what is left of it, then nothing; nothing and why, where it failed
-- or its *deadline* has passed.

local home = ...

local operations, reactor = home.need("mtev/operations"), home.reactor
local read_once, ready, MOST = operations.read_once, operations.ready, operations.MOST
local quiet, READ = reactor.quiet, reactor.READ
local breathe, monotonic = home.kernel.breathe, home.kernel.monotonic
local find, sub, concat, type = string.find, string.sub, table.concat, type

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

return { count = read_count, up_to = read_until, some = read_some, drain = drain, unread = unread }
