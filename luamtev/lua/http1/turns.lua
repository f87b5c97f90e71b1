-- Connections of HTTP/1 that this state serves itself take turns: bytes in, requests, handlers, answers.
--
-- A request is taken when it is there whole and surely understood (parser.lua), a Lua mount of this state serves it
-- (routes.lua) and nobody watches requests (hooks, debug logs).  Anything else goes to runtime.http, with the
-- connection and all bytes that were not answered.
--
-- One request of a connection is served at a time.  While one is, or while its client does not read, nothing more is
-- taken from the network.  Connections with news are visited in batches (batch.lua), in a task that all handlers share
-- (kernel.lead).
--
-- Of a connection this file keeps news, there may be something to read; over, the end is among it; eof, it was read;
-- more, the buffer may hold another request; leaving, why it is handed over, or false; known, the routes that hold for
-- it; last, the request line that came last, or false; tears, the pieces that a head came in; pieces, missing and
-- request of a body that comes.

local home, run = ...

local concat = table.concat
local ffi = require("ffi")
local bit = require("bit")
local kernel, reactor, border, checked = home.kernel, home.reactor, home.border, home.checked
local parser, routes, ledger = home.need("http1/parser"), home.need("http1/routes"), home.need("http1/ledger")
local wire, connections = home.need("http1/wire"), home.need("http1/connections")
local batch, answers = home.need("http1/batch"), home.need("http1/answers")
local begin_span = checked(border.http1_begin_span)
local receive, watch, push_rest = wire.receive, wire.watch, wire.push_rest
local close, enqueue = connections.close, connections.enqueue
local finish, hand_over = connections.finish, connections.hand_over
local deliver, is_full = batch.deliver, batch.is_full
local monotonic = kernel.monotonic
local is_same, parse, parse_known = parser.is_same, parser.parse, parser.parse_known
local string_of, sub, band = ffi.string, string.sub, bit.band

local READ_SIZE, NEWS, END, WRITABLE = wire.READ_SIZE, wire.NEWS, wire.END, wire.WRITABLE
local TEARS = 8 -- pieces that a head may come in
local A_VISIT = 16 -- requests of one connection before another has its turn
local NEWCOMER = 1 -- seconds for a client who was let in at the end to ask for something
local BATCH, BATCH_TIME = 64, 0.0002 -- visits, and seconds of them, after which what was said leaves

local visitors, visitor_count = {}, 0 -- all of the batch
local bytes = ffi.new("const uint8_t *") -- what was read from the connection that is visited
local at, size = 0, 0 -- how much of that is taken, and how much there is
local held = false -- the string that this is in, if it is in one: pointers into one do not keep it
local served, stuck = 0, false -- requests of this visit; the next is not there yet, or not for us
local visit_end = 0 -- on the clock

-- Requests ------------------------------------------------------------------------------------------------------------

function answers.is_all_taken() return at >= size end

local new_context = home.need("web_http").contexts_of(answers.side)

-- Has a handler answer to *line*.  What was said before does not wait for one that took long the last time.
local function begin(conn, line, payload)
  if line.route.is_slow then
    deliver()
    if conn.gone then return end
  end
  local clock = connections.clock
  local context = new_context(conn, line, clock)
  if payload ~= "" then context.payload = payload end
  local traced = routes.traced
  if traced and traced(line.head.trace) then
    context.span = begin_span(conn.number, line.verb, line.target, line.minor, line.head.text, payload,
      ledger.time_of(clock), line.route.slot)
  end
  conn.active, conn.stage = context, "handler"
  served = served + 1
  kernel.lend()
  run(context, line.route.mount, conn.profile.config)
end

-- Nothing more is taken here: the connection is to be handed over.
local function leave_for(conn, reason)
  conn.leaving, stuck = reason, true
end

local function is_too_large(profile, length, target, head)
  return length > profile.max_header or #target > profile.max_uri or head.length > profile.max_upload
end

-- The request line that begins here, with all that its head says, and where what follows it begins; nil when there is
-- none that is taken.
local function next_line(conn)
  local line = conn.last -- most clients send the same again and again
  local next_at = line and is_same(bytes, at, size, line)
  if not next_at then line, next_at = parse_known(bytes, at, size) end
  if line and line.known == conn.known then
    if is_too_large(conn.profile, line.length, line.target, line.head) then return leave_for(conn, "size") end
    conn.last = line
    return line, next_at
  end
  local method, target, mark, minor, head
  next_at, method, target, mark, minor, head = parse(bytes, at, size)
  if next_at == 0 then
    stuck = true
    if size - at > conn.profile.max_header then conn.leaving = "size" end
    return nil
  end
  if not next_at then return leave_for(conn, method) end
  local length = #head.text + #target
  if is_too_large(conn.profile, length, target, head) then return leave_for(conn, "size") end
  local route = routes.find(conn.known, conn.number, method, #target == mark and target or sub(target, 1, mark))
  if not route.mount then return leave_for(conn, "route") end
  line = {
    verb = method, path = route.path, target = target, mark = mark, minor = minor, head = head, route = route,
    keep = head.close == false or head.close == nil and minor == 1, mute = method == "HEAD", known = conn.known,
    raw = "", noted = ledger.new_beginning(),
    shown = ledger.shown(method, route, target, mark, minor), length = length,
  }
  parser.remember(bytes, at, next_at, line)
  return line, next_at
end

-- Serves the next request of what was read.
local function serve(conn)
  if routes.is_watched() then return leave_for(conn, "watched") end
  local line, next_at = next_line(conn)
  if not line then return end
  local length = line.head.length
  if length == 0 then
    at = next_at
    begin(conn, line, "")
  elseif size - next_at >= length then
    at = next_at + length
    begin(conn, line, string_of(bytes + next_at, length))
  else
    local part = string_of(bytes + next_at, size - next_at)
    conn.stage, conn.since = "body", connections.clock
    conn.request, conn.pieces, conn.missing = line, { part }, length - #part
    if line.head.expects and line.minor == 1 and part == "" then
      batch.buffer_of(conn):put("HTTP/1.1 100 Continue\r\n\r\n")
    end
    at = size
  end
end

-- Takes more of a body, and serves its request once that is whole.
local function take_body(conn)
  local pieces, missing = conn.pieces, conn.missing
  local n = size - at < missing and size - at or missing
  pieces[#pieces + 1], conn.missing = string_of(bytes + at, n), missing - n
  at = at + n
  if n < missing then return end
  local line = conn.request
  conn.pieces, conn.request = nil, nil
  return begin(conn, line, concat(pieces))
end

-- What to do once what was said has left: go on, leave or end.
local function go_on(conn)
  if conn.gone or conn.unsent or conn.active or conn.stage == "linger" then return end
  if conn.closing then return finish(conn) end
  if conn.leaving then return hand_over(conn, conn.leaving) end
  if conn.stage == "body" then
    if conn.eof then close(conn) end
    return
  end
  if conn.more then return enqueue(conn) end
  if conn.eof then
    if conn.buffer == "" then return close(conn) end
    return hand_over(conn, "torn") -- whether that is to be refused, or just not all there
  end
  if conn.buffer == "" then
    local finishing = connections.finishing
    if finishing and (conn.answered or connections.clock - finishing >= NEWCOMER) then return close(conn) end
    conn.stage, conn.tears = "idle", 0
  elseif conn.stage ~= "head" then
    conn.stage, conn.since, conn.tears = "head", connections.clock, 1
  end
end

-- Has *n* bytes at *from*, in the string *within* if they are in one, follow those that the connection has.
local function take(conn, from, n, within)
  routes.renew()
  if conn.serial ~= routes.serial then conn.known, conn.serial = routes.of(conn.client), routes.serial end
  if conn.buffer ~= "" and conn.stage ~= "body" then
    within = conn.buffer .. string_of(from, n)
    from, n = ffi.cast("const uint8_t *", within), #within
    if conn.stage == "head" then
      conn.tears = conn.tears + 1
      if conn.tears > TEARS then leave_for(conn, "torn") end
    end
  end
  bytes, size, held, conn.buffer, conn.more = from, n, within, "", false
  visit_end = connections.clock + conn.profile.turn_budget
end

-- News ----------------------------------------------------------------------------------------------------------------

-- *news*, there may be something to read; *over*, the end is among it.
local function told(conn, what)
  if band(what, NEWS) ~= 0 then
    conn.news = true
    if band(what, END) ~= 0 then conn.over = true end
    enqueue(conn)
  elseif conn.unsent and band(what, WRITABLE) ~= 0 then
    enqueue(conn)
  end
end

-- The client has taken what waited, or a part of it.  False while something waits still.
local function send_rest(conn)
  local n = push_rest(conn)
  if not n then
    close(conn)
    return false
  end
  if n > 0 then conn.touched = connections.clock end
  return not conn.unsent
end

-- Whether to read while a handler is at work that wants to hear of the end: with TLS the network does not tell of it.
local function reads_ahead(conn)
  return conn.secure and conn.active.watchers and #conn.buffer <= READ_SIZE
end

-- Begins a visit of a connection with news: takes what came.
local function enter(conn)
  if conn.gone or conn.unsent and not send_rest(conn) then return end
  if conn.lagging then
    answers.catch_up(conn)
    if conn.gone or conn.unsent then return end
  end
  batch.visited, at, size, served, stuck = conn, 0, 0, 0, false
  visitor_count = visitor_count + 1
  visitors[visitor_count] = conn
  local active, lingers = conn.active, conn.stage == "linger"
  if active then
    if not conn.over and not reads_ahead(conn) then return end
  elseif not lingers and (conn.closing or conn.leaving) then
    return
  end
  if conn.more and not active then
    local data = conn.buffer
    conn.buffer = ""
    return take(conn, ffi.cast("const uint8_t *", data), #data, data)
  end
  if not conn.news then return end
  local n, from, within = receive(conn)
  if not n then return close(conn) end
  if n < 0 then
    conn.news = false
    return
  end
  conn.touched = connections.clock
  if conn.secure or n < READ_SIZE and not conn.over then conn.news = false end
  if n == 0 then
    conn.news, conn.eof, conn.over = false, true, false
    if lingers then return close(conn) end
    if active and active.watchers then connections.tell(active, true) end
  elseif active then -- the end comes behind what it sent before
    conn.buffer, conn.more = conn.buffer .. (within or string_of(from, n)), true
    if #conn.buffer > READ_SIZE then conn.over = false end
  elseif not lingers then
    take(conn, from, n, within)
  end
end

-- Ends a visit: what was not taken waits.
local function leave(conn)
  if at < size and not conn.gone then
    conn.buffer = (at == 0 and held or string_of(bytes + at, size - at)) .. conn.buffer
    conn.more = not stuck
  end
  held = false
  batch.leave()
end

-- Batches -------------------------------------------------------------------------------------------------------------

local batch_end, serving_end = 0, 0 -- on the clock
local is_done, is_quiet = false, false -- there is nothing more to visit now; the network has nothing more either

local function is_over()
  return not connections.are_waiting() or visitor_count >= BATCH or connections.clock >= batch_end or is_full()
end

local function begin_batch(clock)
  routes.listen()
  connections.clock, batch_end = clock, clock + BATCH_TIME
end

-- What was said leaves, and each that was visited goes on.  Whether there is another batch to be visited at once.
local function next_batch()
  deliver()
  for i = 1, visitor_count do
    local conn = visitors[i]
    visitors[i] = false
    go_on(conn)
    if not conn.gone then
      if conn.secure then watch(conn) end
      if conn.news and not conn.unsent and (not conn.active or conn.over) then enqueue(conn) end
    end
  end
  visitor_count = 0
  connections.compact()
  local clock = monotonic()
  begin_batch(clock)
  if clock >= serving_end or kernel.has_ready(clock) then return false end
  if connections.are_waiting() then return true end
  kernel.poll()
  is_quiet = not connections.are_waiting()
  return not is_quiet
end

-- Visits connections, batch after batch; false when the task is not the leader any more.  One loop, without others
-- inside, is what the compiler makes one piece of; and with few tail calls, for it gives up after fifteen.
local function visit()
  is_done = is_over() and not next_batch()
  while not is_done do
    if not batch.visited then enter(connections.next()) end
    local conn = batch.visited
    if conn and at < size and not stuck and not conn.gone then
      if conn.stage == "body" then take_body(conn) else serve(conn) end
      if not kernel.is_leader() then return false end
    end
    if conn and (at >= size or stuck or conn.active or conn.gone or conn.closing or served >= A_VISIT
      or served > 0 and (connections.clock >= visit_end or is_full())) then
      leave(conn)
    end
    if not batch.visited and is_over() and not next_batch() then is_done = true end
  end
  return true
end

-- A batch failed half-way, in the kernel.
local function give_up_batch()
  batch.give_up()
  held = false
  for i = 1, visitor_count do if visitors[i] then enqueue(visitors[i]) end end
  visitor_count = 0
end

kernel.is_serving = connections.are_waiting

-- Visits connections that have news until *stop*.  Whether the network had nothing more when it was asked last.
function kernel.serve(now, stop)
  ledger.look(now)
  if batch.visited or visitor_count > 0 then give_up_batch() end
  serving_end, is_done, is_quiet = stop, false, false
  begin_batch(now)
  repeat
    if not kernel.lead(visit) then
      if batch.visited then close(batch.visited) else give_up_batch() end
    end
    if batch.visited then leave(batch.visited) end -- its handler waits for something, or keeps the task
  until is_done
  return is_quiet
end

reactor.told = told
