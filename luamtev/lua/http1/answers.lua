-- What a handler asks of its request and says in answer (the context's `side`, see web_http.lua), on a connection that
-- this state serves.
--
-- Most answers framing.lua puts together.  Any other is runtime.http's Response (luamtev.web.answers): its bytes come
-- back from every call, as far as the client takes them.
--
-- Of a connection this file keeps closing, nothing may follow the last answer; answered, there was one; lagging, the
-- Python side waits for what was said to be gone.

local home = ...

local bit = require("bit")
local kernel, border, checked = home.kernel, home.border, home.checked
local parser, ledger = home.need("http1/parser"), home.need("http1/ledger")
local connections, batch = home.need("http1/connections"), home.need("http1/batch")
local web_http, put_whole = home.need("web_http"), home.need("http1/framing").put
local conclude, gathered_headers = web_http.conclude, web_http.gathered_headers
local open_answer, say = checked(border.http1_answer), checked(border.http1_say)
local accepts = checked(border.web_accepts)
local say_file, more = checked(border.http1_say_file), checked(border.http1_more)
local discard = checked(border.http1_discard)
local give_up, end_span = border.http1_gone, border.http1_end_span
local enqueue, tell = connections.enqueue, connections.tell
local flush, buffer_of = batch.flush, batch.buffer_of
local note, date_of, time_of = ledger.note, ledger.date_of, ledger.time_of
local sub, band = string.sub, bit.band

local SLOW = 0.0002 -- seconds that a handler may take until others do not wait for it (see turns.lua)
local CHUNKED, CLOSE = 1, 2
local WRITABLE, ALIVE = 1, 2
local COMPLETE, LAST, WAITING = 4, 8, 16 -- an answer is whole; nothing may follow it; more comes once this is gone

local side = {}
local answers = { side = side }

-- Set by turns.lua: whether nothing is left of what was read from the connection that is visited.
function answers.is_all_taken() return true end

-- The answer to what *context* asks is whole, *written* bytes of it; *last*, nothing may follow it.
local function complete(conn, context, written, last)
  local clock = note(conn, context, written)
  connections.clock = clock
  local response = context.draft
  context.line.route.is_slow = clock - response.began >= SLOW
  if context.span then end_span(context.span, response.code, written, context.handle ~= false) end
  conclude(context)
  conn.active, conn.stage, conn.touched, conn.answered = false, "idle", clock, true
  conn.closing = conn.closing or last
  if context.watchers then tell(context, false) end
  if conn ~= batch.visited and (conn.closing or conn.more or conn.news or conn.eof or connections.finishing) then
    enqueue(conn)
  end
end

-- Sends what the Python side put together: *state* says how it stands with the answer, *written* how long it is.
local function pass_on(conn, context, state, data, written)
  if data ~= "" then
    local said = buffer_of(conn)
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

-- Whether the answer that is begun is the last on *conn*: it ends, and nothing that came waits behind it.
local function is_last(conn)
  if not connections.finishing or conn.buffer ~= "" then return false end
  if conn == batch.visited then return answers.is_all_taken() end
  return not conn.news
end

local function open(conn, context)
  local line = context.line
  local handle = open_answer(conn.number, line.verb, line.target, line.minor, line.head.text, context.payload,
    line.keep and not is_last(conn), time_of(context.draft.began), line.route.slot, context.span)
  context.handle = handle
  return handle
end

-- Sends what was gathered; returns WRITABLE and ALIVE, whichever holds.
function side.send(context, ending, content)
  local conn = context.wire
  if conn.gone then return WRITABLE end
  if ending and not context.handle then
    local line = context.line
    local response = context.draft
    local keep = line.keep and band(response.options, CLOSE) == 0 and not is_last(conn)
    local said = buffer_of(conn)
    local before = #said
    if put_whole(said, response, content, date_of(time_of(response.began)), keep, line.minor, line.mute,
      line.route.head) then
      local written = #said - before
      if conn ~= batch.visited and not flush(conn, said) then return WRITABLE end
      complete(conn, context, written, not keep)
      return WRITABLE + ALIVE
    end
  end
  local handle, response = context.handle or open(conn, context), context.draft
  return pass_on(conn, context, say(handle, response.code, response.reason or nil, response.options, ending, content,
    gathered_headers(response)))
end

-- The same for a part of a file; true, or false and why not.
function side.send_file(context, content, fd, length, offset)
  if context.wire.gone then return false, "the client is gone" end
  return say_file(context.handle or open(context.wire, context), content, fd, length, offset)
end

-- Forgets what was said of an answer that has not begun to leave.
function side.discard(context)
  if context.handle then discard(context.handle) end
end

-- Ends an answer that is under way where it is.
function side.cut(context)
  local conn = context.wire
  if conn.gone then return end
  complete(conn, context, context.handle and give_up(context.handle) or 0, true)
end

function side.allowed(context)
  local line = context.line
  local route = line.route
  if route.acl == nil then route.acl = border.http1_allows(context.wire.number, line.target) end
  return route.acl
end

function side.method(context) return context.line.verb end
function side.path(context) return context.line.path end
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

-- What was said on *conn* is gone: the Python side may make more.
function answers.catch_up(conn)
  local context = conn.active
  conn.lagging = false
  if context and context.handle then pass_on(conn, context, more(context.handle, 0)) end
end

return answers
