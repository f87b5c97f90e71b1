-- The connections of HTTP/1 that this state serves itself: bytes in, requests, answers, bytes out.
--
-- A plain connection is read and written here, through its descriptor; one that is encrypted, through the Python side's
-- TLS, a crossing for each piece.  The reactor tells of both.  A request is taken when it is there whole and surely
-- understood (parser.lua), a Lua mount of this state serves it (routes.lua) and nobody watches requests (hooks, debug
-- logs).  Anything else goes to runtime.http, with the connection and all bytes that were not answered; it may bring the
-- connection back between two requests.
--
-- One request of a connection is served at a time.  While one is, or while its client does not read, nothing more is
-- taken from the network.  Connections with news are visited in batches, in a task that all handlers share
-- (kernel.lead): what was said to them leaves at the end of the batch, so that clients are woken when many answers are
-- there.  An answer that framing.lua does not put together, runtime.http's Response does (luamtev.web.answers): its
-- bytes come back from every call, as far as the client takes them.
--
-- A connection is a table: number, by which the Python side knows it; fd; secure, it is encrypted; profile, its
-- listener's limits; logged, how lines of the log begin; buffer, bytes that were read and not taken; active, the context
-- of the request under way, or false; unsent, bytes that the network has not taken, or false; what is said of news,
-- leaving and times is beside the code for it.

local home, web = ...

local ffi = require("ffi")
local bit = require("bit")
local new_buffer = require("string.buffer").new
local kernel, reactor, border, checked = home.kernel, home.reactor, home.border, home.checked
local parser, routes, ledger = home.need("http1/parser"), home.need("http1/routes"), home.need("http1/ledger")
local put_whole = home.need("http1/framing")
local fetch_profile = checked(border.http1_profile)
local open_answer, say = checked(border.http1_answer), checked(border.http1_say)
local accepts = checked(border.web_accepts)
local say_file, more = checked(border.http1_say_file), checked(border.http1_more)
local give_up, give_back, shut = border.http1_gone, border.http1_hand_over, border.http1_close
local begin_span, end_span, drop_span = checked(border.http1_begin_span), border.http1_end_span, border.http1_drop_span
local send_encrypted, receive_encrypted = border.http1_send, border.http1_receive
local run, monotonic = web.run, kernel.monotonic
local parse, parse_known = parser.parse, parser.parse_known
local note, date_of, time_of = ledger.note, ledger.date_of, ledger.time_of
local string_of, sub, band = ffi.string, string.sub, bit.band

ffi.cdef [[
intptr_t luamtev_http1_recv(int fd, void *data, size_t size, int flags) __asm__("recv");
intptr_t luamtev_http1_send(int fd, const void *data, size_t size, int flags) __asm__("send");
int luamtev_http1_shutdown(int fd, int how) __asm__("shutdown");
]]
local C = ffi.C

local READ_SIZE = 65536
local HIGH_WATER = 262144 -- bytes not sent yet above which no more are made for a client
local TEARS = 8 -- pieces that a head may come in
local A_VISIT = 16 -- requests of one connection before another has its turn
local NEWCOMER = 1 -- seconds for a client who was let in at the end to ask for something
local BATCH, BATCH_TIME = 64, 0.0002 -- visits, and seconds of them, after which what was said leaves
local LINGER = 2 -- seconds to wait for a client to notice that we are done with it
local DONTWAIT, NOSIGNAL = 0x40, 0x4000
local EAGAIN, EINTR = 11, 4
local CHUNKED, CLOSE = 1, 2
local WRITABLE, ALIVE = 1, 2
local COMPLETE, LAST, WAITING = 4, 8, 16 -- an answer is whole; nothing may follow it; more comes once this is gone

local received = ffi.new("uint8_t[?]", READ_SIZE)
local out = new_buffer(READ_SIZE) -- what connections said that are, or were, visited in this batch
local aside = new_buffer(READ_SIZE) -- what any other says
local visited = false -- the connection that is visited now
local said_from = 0 -- where in `out` begins what it says
local speakers, beginnings, speaker_count = {}, {}, 0 -- those visited before, and where what each said begins
local visitors, visitor_count = {}, 0 -- all of the batch
local bytes, at, size = received, 0, 0 -- what was read from the connection that is visited, and how much of that is taken
local held = false -- the string that this is in, if it is in one: pointers into one do not keep it
local served, stuck = 0, false -- requests of this visit; the next is not there yet, or not for us
local visit_end = 0 -- on the clock

local connections = {} -- by number
local queue, queue_at, queue_end = {}, 1, 0 -- those with news
local profiles = {} -- by listener
local clock = kernel.monotonic()
local finishing = false

-- Sending -------------------------------------------------------------------------------------------------------------

local function forget(conn)
  reactor.forget(conn.fd)
  connections[conn.number] = nil
  conn.gone = true
end

-- Tells those that wait for it that the client of *context* has *gone*, or that the answer is done.
local function tell(context, gone)
  local watchers = context.watchers
  context.watchers = false
  for i = 1, #watchers do kernel.deliver(watchers[i], gone) end
end

-- The connection ends here and now; a handler that is at work learns it when it says something.
local function close(conn)
  if conn.gone then return end
  forget(conn)
  local context = conn.active
  if context then
    conn.active = false
    context.ended, context.is_lost = true, true
    if context.watchers then tell(context, true) end
    if context.handle then give_up(context.handle) end
    if context.span then drop_span(context.span) end
  end
  conn.unsent, conn.buffer, conn.pieces = false, "", nil
  shut(conn.number)
end

local function enqueue(conn)
  if conn.queued then return end
  conn.queued = true
  queue_end = queue_end + 1
  queue[queue_end] = conn
end

-- Hands *n* bytes at *data* to the network; returns how many it took, nil when the client is gone.
local function transmit(conn, data, n)
  if conn.secure then return send_encrypted(conn.number, string_of(data, n)) end
  local taken = tonumber(C.luamtev_http1_send(conn.fd, data, n, DONTWAIT + NOSIGNAL))
  if taken >= 0 then return taken end
  local errno = ffi.errno()
  return (errno == EAGAIN or errno == EINTR) and 0 or nil
end

-- Takes what is there: its size, 0 at the end, -1 when there is nothing, nil when the client is gone; and where it is,
-- for as long as the third value lives.
local function receive(conn)
  if conn.secure then
    local data = receive_encrypted(conn.number)
    if not data then return data == nil and -1 or nil end
    return #data, ffi.cast("const uint8_t *", data), data
  end
  local n = tonumber(C.luamtev_http1_recv(conn.fd, received, READ_SIZE, DONTWAIT))
  if n >= 0 then return n, received end
  local errno = ffi.errno()
  return (errno == EAGAIN or errno == EINTR) and -1 or nil
end

local IN, OUT, ERR, HUP, RDHUP = 0x001, 0x004, 0x008, 0x010, 0x2000

-- The reactor tells of an encrypted connection again and again, for TLS does not say whether the network has more: it is
-- told what is wanted.
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

-- Sends *n* bytes at *data*, behind what waits; what the network does not take waits.
local function push(conn, data, n)
  if conn.unsent then
    conn.unsent = conn.unsent .. string_of(data, n)
    return
  end
  local taken = transmit(conn, data, n)
  if not taken then return close(conn) end
  if taken < n then
    conn.unsent = string_of(data + taken, n - taken)
    if conn.secure then watch(conn) end
  end
end

-- What the connection that is visited has said so far belongs to it.
local function sign()
  local conn = visited
  if #out > said_from then
    speaker_count = speaker_count + 1
    speakers[speaker_count], beginnings[speaker_count], conn.said = conn, said_from, true
    said_from = #out
  end
end

local function empty(said) if #said > HIGH_WATER then said:free() else said:reset() end end

-- Sends what was said in this batch.
local function deliver()
  if visited then sign() end
  local data, total = out:ref()
  beginnings[speaker_count + 1] = total
  for i = 1, speaker_count do
    local conn, from = speakers[i], beginnings[i]
    speakers[i], conn.said = false, false
    if not conn.gone then push(conn, data + from, beginnings[i + 1] - from) end
  end
  speaker_count, said_from = 0, 0
  empty(out)
end

-- Sends what *conn* said: now, unless it is visited and says little.  False when the client is gone.
local function flush(conn, said)
  if said == out then
    if #out > HIGH_WATER then deliver() end
  else
    if conn.said then deliver() end -- that was before this
    push(conn, said:ref(), #said)
    empty(said)
  end
  return not conn.gone
end

-- Everything was said: a client that may still be sending is let see the end, or a reset might lose it the answer.
local function finish(conn)
  if conn.eof or not (conn.buffer ~= "" or conn.news) then return close(conn) end
  if conn.stage == "linger" then return end
  conn.stage, conn.since, conn.buffer = "linger", clock, ""
  C.luamtev_http1_shutdown(conn.fd, 1)
  enqueue(conn)
end

-- To runtime.http, with what was read and not answered.
local function hand_over(conn, reason)
  ledger.count_handed_over(reason)
  forget(conn)
  give_back(conn.number, conn.buffer, reason == "route" and not conn.answered, conn.stage == "head" and clock - conn.since or 0)
end

-- Answers -------------------------------------------------------------------------------------------------------------

-- The answer to what *context* asks is whole, *written* bytes of it; *last*, nothing may follow it.
local function complete(conn, context, written, last)
  clock = note(conn, context, written)
  context.line.route.is_slow = clock - context.began >= BATCH_TIME
  if context.span then end_span(context.span, context.code, written, context.handle ~= false) end
  conn.active, conn.stage, conn.touched, conn.answered = false, "idle", clock, true
  conn.closing = conn.closing or last
  if context.watchers then tell(context, false) end
  if conn ~= visited and (conn.closing or conn.more or conn.news or conn.eof or finishing) then enqueue(conn) end
end

-- Sends what the Python side put together: *state* says how it stands with the answer, *written* how long it is.
local function pass_on(conn, context, state, data, written)
  if data ~= "" then
    local said = conn == visited and out or aside
    said:put(data)
    if not flush(conn, said) then return WRITABLE end
  end
  if band(state, COMPLETE) ~= 0 then
    complete(conn, context, written, band(state, LAST) ~= 0)
    return WRITABLE + ALIVE
  end
  if band(state, WAITING + WRITABLE) ~= WRITABLE then -- somebody waits for what was said to be gone
    conn.lagging = true
    if not conn.unsent then enqueue(conn) end
  end
  return band(state, WRITABLE) + ALIVE
end

-- What was said is gone: the Python side may make more.
local function catch_up(conn)
  local context = conn.active
  conn.lagging = false
  if context and context.handle then pass_on(conn, context, more(context.handle, 0)) end
end

-- Whether the answer that is begun is the last on *conn*: it ends, and nothing that came waits behind it.
local function is_last(conn)
  return finishing and conn.buffer == "" and (conn == visited and at >= size or conn ~= visited and not conn.news)
end

local function open(conn, context)
  local line = context.line
  local handle = open_answer(conn.number, line.verb, line.target, line.minor, line.head.text, context.payload,
    line.keep and not is_last(conn), time_of(context.began), line.route.slot, context.span)
  context.handle = handle
  return handle
end

-- What web_http.lua sends with; returns WRITABLE and ALIVE, whichever holds.
local function send(context, ending, content)
  local conn = context.wire
  if conn.gone then return WRITABLE end
  if ending and not context.handle then
    local line = context.line
    local keep = line.keep and band(context.options, CLOSE) == 0 and not is_last(conn)
    local said = conn == visited and out or aside
    local before = #said
    if put_whole(said, context, content, date_of(time_of(context.began)), keep, line.minor, line.mute) then
      local written = #said - before
      if said == aside and not flush(conn, said) then return WRITABLE end
      complete(conn, context, written, not keep)
      return WRITABLE + ALIVE
    end
  end
  local handle = context.handle or open(conn, context)
  local code, reason, options, n = context.code, context.reason or nil, context.options, context.count
  if n == 0 then return pass_on(conn, context, say(handle, code, reason, options, ending, content)) end
  local name, value = context.name, context.value
  if n == 1 then return pass_on(conn, context, say(handle, code, reason, options, ending, content, name, value)) end
  return pass_on(conn, context,
    say(handle, code, reason, options, ending, content, name, value, unpack(context.lines, 1, 2 * n - 2)))
end

-- The same for a part of a file; true, or false and why not.
local function send_file(context, content, fd, length, offset)
  if context.wire.gone then return false, "the client is gone" end
  return say_file(context.handle or open(context.wire, context), content, fd, length, offset)
end

-- Ends an answer that is under way where it is.
local function cut(context)
  local conn = context.wire
  if conn.gone then return end
  complete(conn, context, context.handle and give_up(context.handle) or 0, true)
end

local function allowed(context)
  local line = context.line
  local route = line.route
  if route.acl == nil then route.acl = border.http1_allows(context.wire.number, line.target) end
  return route.acl
end

-- What a handler asks of a request (see web_http.lua).
local side = { allowed = allowed, cut = cut, send = send, send_file = send_file }

function side.target(context) return context.line.target end
function side.client(context) return context.wire.remote end

-- Has *ticket* told what becomes of the client; false when the answer is done.
function side.watch(context, ticket)
  local conn = context.wire
  if context.is_lost or conn.active == context and conn.eof then
    kernel.deliver(ticket, true)
  elseif conn.active ~= context then
    return false
  elseif context.watchers then
    context.watchers[#context.watchers + 1] = ticket
  else
    context.watchers = { ticket }
    if conn.secure and conn.news then enqueue(conn) end
  end
  return true
end

function side.fields(context) return parser.fields(context.line.head.text) end

function side.parameters(context)
  local line = context.line
  return parser.parameters(sub(line.target, line.mark + 2))
end

function side.payload(context)
  local payload = context.payload
  return (payload ~= "" or context.line.head.announces) and payload or nil
end

function side.options(context)
  local line = context.line
  if line.minor == 0 then return CLOSE end
  local accept = parser.fields(line.head.text)["accept-encoding"]
  return CLOSE + CHUNKED + (accept and accepts(accept) or 0)
end

-- Requests ------------------------------------------------------------------------------------------------------------

local new_context = home.need("web_http").contexts_of(side)

-- Has a handler answer to *line*.  What was said before does not wait for one that took long the last time.
local function begin(conn, line, payload)
  if line.route.is_slow then deliver() end
  local context = new_context(conn, line, clock)
  if payload ~= "" then context.payload = payload end
  local traced = routes.traced
  if traced and traced(line.head.trace) then
    context.span = begin_span(conn.number, line.verb, line.target, line.minor, line.head.text, payload, time_of(clock),
      line.route.slot)
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
  local line, next_at = parse_known(bytes, at, size)
  if line and line.known == conn.known then return line, next_at end
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
  if is_too_large(conn.profile, line.length, line.target, line.head) then return leave_for(conn, "size") end
  local length = line.head.length
  if length == 0 then
    at = next_at
    begin(conn, line, "")
  elseif size - next_at >= length then
    at = next_at + length
    begin(conn, line, string_of(bytes + next_at, length))
  else
    local part = string_of(bytes + next_at, size - next_at)
    conn.stage, conn.since, conn.request, conn.pieces, conn.missing = "body", clock, line, { part }, length - #part
    if line.head.expects and part == "" then out:put("HTTP/1.1 100 Continue\r\n\r\n") end
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
  return begin(conn, line, table.concat(pieces))
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
    if finishing and (conn.answered or clock - finishing >= NEWCOMER) then return close(conn) end
    conn.stage, conn.tears = "idle", 0
  elseif conn.stage ~= "head" then
    conn.stage, conn.since, conn.tears = "head", clock, 1
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
  visit_end = clock + conn.profile.turn_budget
end

-- News ----------------------------------------------------------------------------------------------------------------

-- *news*, there may be something to read; *over*, the end is among it.
local function told(conn, what)
  if band(what, IN + ERR + HUP + RDHUP) ~= 0 then
    conn.news = true
    if band(what, ERR + HUP + RDHUP) ~= 0 then conn.over = true end
    enqueue(conn)
  elseif conn.unsent and band(what, OUT) ~= 0 then
    enqueue(conn)
  end
end

-- The client has taken what waited, or a part of it.  False while something waits still.
local function send_rest(conn)
  local rest = conn.unsent
  local n = transmit(conn, rest, #rest)
  if not n then
    close(conn)
    return false
  end
  if n > 0 then conn.touched = clock end
  if n < #rest then
    if n > 0 then conn.unsent = sub(rest, n + 1) end
    return false
  end
  conn.unsent = false
  return true
end

-- Whether to read while a handler is at work that wants to hear of the end: with TLS the network does not tell of it.
local function reads_ahead(conn)
  return conn.secure and conn.active.watchers and #conn.buffer <= READ_SIZE
end

-- Begins a visit of a connection with news: takes what came.
local function enter(conn)
  conn.queued = false
  if conn.gone or conn.unsent and not send_rest(conn) then return end
  if conn.lagging then
    catch_up(conn)
    if conn.gone or conn.unsent then return end
  end
  visited, at, size, served, stuck = conn, 0, 0, 0, false
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
  conn.touched = clock
  if conn.secure or n < READ_SIZE and not conn.over then conn.news = false end
  if n == 0 then
    conn.news, conn.eof, conn.over = false, true, false
    if lingers then return close(conn) end
    if active and active.watchers then tell(active, true) end
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
  sign()
  visited, held = false, false
end

local batch_end = 0 -- on the clock

local function is_over()
  return queue_at > queue_end or visitor_count >= BATCH or clock >= batch_end or #out > HIGH_WATER
end

-- Visits connections for a batch; false when the task is not the leader any more.  One loop, without others inside, is
-- what the compiler makes one piece of; and with few tail calls, for it gives up after fifteen.
local function visit()
  while true do
    if not visited then
      if is_over() then return true end
      local conn = queue[queue_at]
      queue[queue_at] = nil
      queue_at = queue_at + 1
      enter(conn)
    end
    local conn = visited
    if conn and at < size and not stuck and not conn.gone then
      if conn.stage == "body" then take_body(conn) else serve(conn) end
      if not kernel.is_leader() then return false end
    end
    if conn and (at >= size or stuck or conn.active or conn.gone or conn.closing or served >= A_VISIT
      or served > 0 and (clock >= visit_end or #out > HIGH_WATER)) then
      leave(conn)
    end
  end
end

-- A batch failed half-way, in the kernel: nobody knows what was said.
local function give_up_batch()
  for i = 1, speaker_count do if speakers[i] then close(speakers[i]) end end
  if visited then close(visited) end
  visited, held, speaker_count, said_from = false, false, 0, 0
  out:reset()
  for i = 1, visitor_count do if visitors[i] then enqueue(visitors[i]) end end
  visitor_count = 0
end

function kernel.is_serving() return queue_at <= queue_end end

-- Visits connections that have news until *stop*.
function kernel.serve(now, stop)
  ledger.look(now)
  if visited or visitor_count > 0 then give_up_batch() end
  clock = now
  repeat
    batch_end = clock + BATCH_TIME
    repeat
      if not kernel.lead(visit) and visited then close(visited) end
      if visited then leave(visited) end -- its handler waits for something, or keeps the task
    until is_over()
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
    if queue_at > queue_end then queue_at, queue_end = 1, 0 end
    clock = monotonic()
  until queue_at > queue_end or clock >= stop
end

reactor.told = told

-- Entries -------------------------------------------------------------------------------------------------------------

local entries = {}

-- How many requests are served now, for those who look.
function home.in_flight()
  local n = 0
  for _, conn in pairs(connections) do
    if conn.active then n = n + 1 end
  end
  return n
end

-- Begins to serve connection *number* on *fd*; whether it is *secure*; its listener, and its client's name for routes.
function entries.http1_open(number, fd, secure, listener, remote, client)
  local profile = profiles[listener]
  if not profile then
    profile = fetch_profile(number)
    profiles[listener] = profile
  end
  local conn = {
    number = number, fd = fd, secure = secure, profile = profile, remote = remote, client = client, known = false,
    logged = (remote ~= "" and remote or "-"), said = false, serial = false, buffer = "", active = false, unsent = false, queued = false, news = true, over = false, eof = false,
    more = false, closing = false, leaving = false, gone = false, lagging = false, answered = false, stage = "idle",
    since = 0, touched = kernel.monotonic(), tears = 0, mask = IN + RDHUP,
  }
  connections[number] = conn
  reactor.attend(fd, conn, secure)
  enqueue(conn)
  return kernel.delay()
end

-- Closes what is overdue.
function entries.http1_sweep()
  clock = kernel.monotonic()
  for _, conn in pairs(connections) do
    local profile, stage = conn.profile, conn.stage
    local overall, quiet = 0, profile.idle_timeout
    if stage == "linger" then
      overall = LINGER
    elseif conn.unsent then
      stage = "write"
    elseif stage == "handler" then
      quiet = 0
    elseif stage == "head" then
      overall, quiet = profile.header_timeout, 0
    elseif stage == "body" then
      overall = profile.body_timeout
    end
    if overall > 0 and clock - conn.since >= overall or quiet > 0 and clock - conn.touched >= quiet then
      border.http1_timeout(conn.number, stage)
      close(conn)
    elseif finishing and stage == "idle" then
      enqueue(conn)
    end
  end
  return kernel.delay()
end

-- Be done with what was begun, and take no more.
function entries.http1_finish()
  clock = monotonic()
  finishing = clock
  for _, conn in pairs(connections) do
    if not conn.active then
      conn.news = true -- what came by now is read
      enqueue(conn)
    end
  end
  return kernel.delay()
end

-- Forget *number*, whose descriptor is closed elsewhere.
function entries.http1_drop(number)
  local conn = connections[number]
  if conn then close(conn) end
  return kernel.delay()
end

return entries
