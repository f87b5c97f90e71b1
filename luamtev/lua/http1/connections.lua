-- The connections of HTTP/1 that this state serves: how they come, wait for their turn, and end.
--
-- A connection is a table: number, by which the Python side knows it; fd; secure, it is encrypted; profile, the limits
-- of its listener; remote and client, who is there, for people and for access control, which knows the listener, too;
-- logged, how lines of the log begin; buffer, bytes that were read and not taken; active, the context of the request
-- under way, or false; stage, what it is at since the time `since`: idle, head, body, handler, linger; touched, when it
-- last did anything.  What is said of news and of what was sent is beside the code for it (turns.lua, batch.lua,
-- wire.lua).
--
-- The Python side may bring back a connection that was handed over to it.

local home = ...

local pairs = pairs
local kernel, reactor, border, checked = home.kernel, home.reactor, home.border, home.checked
local wire, ledger = home.need("http1/wire"), home.need("http1/ledger")
local conclude = home.need("web_http").conclude
local fetch_profile = checked(border.http1_profile)
local give_up, give_back, shut = border.http1_gone, border.http1_hand_over, border.http1_close
local drop_span, tell_timeout = border.http1_drop_span, border.http1_timeout
local monotonic = kernel.monotonic

local LINGER = 2 -- seconds to wait for a client to notice that we are done with it

-- clock: what it said last; finishing: since when no more is taken than what was begun, or false.
local connections = { clock = monotonic(), finishing = false }

local by_number = {}
local profiles = {} -- by listener
local queue, queue_at, queue_end = {}, 1, 0 -- those with news

-- Has *conn* visited soon.
local function enqueue(conn)
  if conn.queued then return end
  conn.queued = true
  queue_end = queue_end + 1
  queue[queue_end] = conn
end
connections.enqueue = enqueue

-- To be called now and then: the queue begins at its beginning again, if it is empty.
function connections.compact() if queue_at > queue_end then queue_at, queue_end = 1, 0 end end

function connections.are_waiting() return queue_at <= queue_end end

-- The one that waits longest.
function connections.next()
  local conn = queue[queue_at]
  queue[queue_at] = nil
  queue_at = queue_at + 1
  conn.queued = false
  return conn
end

-- Ends -----------------------------------------------------------------------------------------------------------------

local function forget(conn)
  reactor.forget(conn.fd)
  by_number[conn.number] = nil
  conn.gone = true
end

-- Tells those that wait for it that the client of *context* has *gone*, or that the answer is done.
local function tell(context, gone)
  local watchers = context.watchers
  context.watchers = false
  for i = 1, #watchers do kernel.deliver(watchers[i], gone) end
end
connections.tell = tell

-- The connection ends here and now; a handler that is at work learns it when it says something.
local function close(conn)
  if conn.gone then return end
  forget(conn)
  local context = conn.active
  if context then
    conn.active = false
    conclude(context)
    context.is_lost = true
    if context.watchers then tell(context, true) end
    if context.handle then give_up(context.handle) end
    if context.span then drop_span(context.span) end
  end
  conn.unsent, conn.buffer, conn.pieces = false, "", nil
  shut(conn.number)
end
connections.close = close

-- Everything was said: a client that may still be sending is let see the end, or a reset might lose it the answer.
function connections.finish(conn)
  if conn.eof or not (conn.buffer ~= "" or conn.news) then return close(conn) end
  if conn.stage == "linger" then return end
  conn.stage, conn.since, conn.buffer = "linger", connections.clock, ""
  wire.end_sending(conn)
  enqueue(conn)
end

-- To runtime.http, with what was read and not answered.
function connections.hand_over(conn, reason)
  ledger.count_handed_over(reason)
  forget(conn)
  local begun_for = conn.stage == "head" and connections.clock - conn.since or 0
  give_back(conn.number, conn.buffer, reason == "route" and not conn.answered, begun_for)
end

-- Entries -------------------------------------------------------------------------------------------------------------

local entries = {}
connections.entries = entries

-- How many requests are served now, for those who look.
function home.in_flight()
  local n = 0
  for _, conn in pairs(by_number) do
    if conn.active then n = n + 1 end
  end
  return n
end

-- Begins to serve connection *number* on *fd*; whether it is *secure*; its listener, and who is there.
function entries.http1_open(number, fd, secure, listener, remote, client)
  local profile = profiles[listener]
  if not profile then
    profile = fetch_profile(number)
    profiles[listener] = profile
  end
  local conn = {
    number = number, fd = fd, secure = secure, profile = profile, remote = remote, client = client,
    logged = (remote ~= "" and remote or "-"), known = false, serial = false, last = false, buffer = "", said = false,
    unsent = false, sent = 0, active = false, queued = false, news = true, over = false, eof = false, more = false,
    closing = false, leaving = false, gone = false, lagging = false, answered = false, stage = "idle", since = 0,
    touched = monotonic(), tears = 0, mask = wire.READABLE,
  }
  by_number[number] = conn
  reactor.attend(fd, conn, secure)
  enqueue(conn)
  return kernel.delay()
end

-- Closes what is overdue.
function entries.http1_sweep()
  local clock = monotonic()
  connections.clock = clock
  for _, conn in pairs(by_number) do
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
      tell_timeout(conn.number, stage)
      close(conn)
    elseif connections.finishing and stage == "idle" then
      enqueue(conn)
    end
  end
  return kernel.delay()
end

-- Be done with what was begun, and take no more.
function entries.http1_finish()
  connections.clock = monotonic()
  connections.finishing = connections.clock
  for _, conn in pairs(by_number) do
    if not conn.active then
      conn.news = true -- what came by now is read
      enqueue(conn)
    end
  end
  return kernel.delay()
end

-- Forget *number*, whose descriptor is closed elsewhere.
function entries.http1_drop(number)
  local conn = by_number[number]
  if conn then close(conn) end
  return kernel.delay()
end

return connections
