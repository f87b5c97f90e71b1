-- What a web handler holds: the request, and the response as it is gathered, which is sent in one piece when the handler
-- ends it, or when it flushes.  Who read the request and sends the response is the context's `side`: the Python side, by
-- a handle (below), or this state itself (http1/answers.lua).  Manual: lua_web.
--
-- A handler may keep its context for as long as it likes.  What is gathered is a table apart, its `response`, which
-- serves other requests once the response has ended: most requests leave little garbage.

local home = ...

local lower = string.lower
local getinfo = debug.getinfo
local bit = require("bit")
local bor, band, bnot = bit.bor, bit.band, bit.bnot
local read_file, bodies, read_form = home.need("web_file"), home.need("web_body"), home.need("web_multipart")
local kernel, border, checked, class = home.kernel, home.border, home.checked, home.need("mtev/object")
local extras = mtev.extras
local numeral = home.need("arguments").numeral
local whole = checked(border.web_whole)
local acl = checked(border.web_acl)
local respond, respond_fd, drain = checked(border.web_respond), checked(border.web_respond_fd), checked(border.web_drain)
local discard = checked(border.web_discard)
local watch, read_body, note = checked(border.web_watch), checked(border.web_read), checked(border.web_note)
local ask, headers_of, reason_of = checked(border.web_ask), checked(border.web_headers), checked(border.web_reason)
local type, tostring, tonumber, error, select, unpack = type, tostring, tonumber, error, select, unpack
local byte, find, concat = string.byte, string.find, table.concat

local CHUNKED, CLOSE, GZIP, DEFLATE = 0x1, 0x2, 0x10, 0x20
local ALL = CHUNKED + CLOSE + GZIP + DEFLATE
local WRITABLE, ALIVE = 1, 2
local MOST_HEADERS = 1000 -- of a response
local MOST_KNOWN = 1000 -- names and values of headers remembered as good

-- Arguments -----------------------------------------------------------------------------------------------------------

local function check_count(n, least, most, name)
  if n >= least and n <= most then return end
  local expected = least == most and tostring(least) or least .. " to " .. most
  error("wrong number of arguments to '" .. name .. "' (" .. expected .. " expected, got " .. n .. ")", 3)
end

-- For methods that take no arguments and are called for every request: a parameter that takes the one too many is cheaper
-- than counting.
local function refuse(name) error("wrong number of arguments to '" .. name .. "' (none expected)", 3) end

local function check_text(value, position, name)
  if type(value) == "string" then return value end
  if type(value) == "number" then return tostring(value) end
  error("bad argument #" .. position .. " to '" .. name .. "' (string expected, got " .. type(value) .. ")", 3)
end

-- Patterns and loops keep what is around them from being compiled in one piece: most headers are always the same, so
-- they are looked up.
local good_names, name_count = {}, 0
local good_values, value_count = {}, 0

local function check_name(name)
  if name == "" or find(name, "[^!#$%%&'*+.^_`|~%w-]") then
    error("bad argument #1 to 'header' (name of a header expected, got '" .. name .. "')", 3)
  end
  if name_count >= MOST_KNOWN then good_names, name_count = {}, 0 end
  good_names[name], name_count = lower(name), name_count + 1
end

-- The lower case of a *name* that is good.
local function key_of(name) return good_names[name] or lower(name) end

-- What says how a response is framed is not for a handler to say: of Connection only that it is the last.
local FRAMING = { connection = true, ["transfer-encoding"] = true, ["content-length"] = true }

-- Takes a header that tells of the framing; true when that is all.
local function frame(response, name, value)
  local key = good_names[name]
  if key == "content-length" then
    if #value < 19 and find(value, "^%d+$") then return false end
    error("bad argument #2 to 'header' (number of bytes expected, got '" .. value .. "')", 3)
  end
  if key ~= "connection" or lower(value) ~= "close" then
    error("bad argument #1 to 'header' (" .. name .. " is the server's to send; see option)", 3)
  end
  if not response.started then response.options = bor(response.options, CLOSE) end
  return true
end

local function has_controls(text)
  for i = 1, #text do
    local code = byte(text, i)
    if code < 32 and code ~= 9 or code == 127 then return true end
  end
  return false
end

local function check_value(name, value)
  if has_controls(value) then
    error("bad argument #2 to 'header' (control character in the value of " .. name .. ")", 3)
  end
  if #value > 100 then return end
  if value_count >= MOST_KNOWN then good_values, value_count = {}, 0 end
  good_values[value], value_count = true, value_count + 1
end

-- Requests ------------------------------------------------------------------------------------------------------------

local request_methods = {}

-- One argument beyond is let pass, as in the original.
function request_methods:method(_, surplus)
  if surplus ~= nil then refuse("method") end
  return self.source.side.method(self.source)
end

-- The path, decoded, without the query string: what routing and access control saw.
function request_methods:uri(_, surplus)
  if surplus ~= nil then refuse("uri") end
  return self.source.side.path(self.source)
end

-- The target as it came, the query string with it.
function request_methods:raw_uri(_, surplus)
  if surplus ~= nil then refuse("raw_uri") end
  return self.source.side.target(self.source)
end

-- All headers by lower-case name, or one of them.
function request_methods:headers(...)
  check_count(select("#", ...), 0, 1, "headers")
  local headers = self.fields
  if not headers then
    headers = self.source.side.fields(self.source)
    self.fields = headers
  end
  local name = ...
  if name == nil then return headers end
  return headers[lower(check_text(name, 1, "headers"))]
end

-- All parameters of the query string, decoded, or one of them.
function request_methods:querystring(...)
  check_count(select("#", ...), 0, 1, "querystring")
  local parameters = self.parameters
  if not parameters then
    parameters = self.source.side.parameters(self.source)
    self.parameters = parameters
  end
  local name = ...
  if name == nil then return parameters end
  return parameters[check_text(name, 1, "querystring")]
end

-- The whole body; nil where none was announced, "" for one of no bytes.  Of one that is read as it comes, what was not
-- read yet; nil and why when that cannot be.
function request_methods:payload(_, surplus)
  if surplus ~= nil then refuse("payload") end
  local payload = self.whole or self.source.side.payload(self.source)
  if payload ~= false then return payload end
  local why
  payload, why = bodies.rest(self)
  self.whole = payload or false
  return payload, why
end

-- read([most]): the next piece of the body, 64 KB at most; nil at the end, nil and why when it cannot be read on.
function request_methods:read(...)
  check_count(select("#", ...), 0, 1, "read")
  local given = ...
  local most = numeral(given)
  if given ~= nil and (not most or most < 1 or most % 1 ~= 0) then
    error("bad argument #1 to 'read' (number of bytes expected, got " .. tostring(given) .. ")", 2)
  end
  return bodies.read(self, most or bodies.PIECE)
end

-- multipart(take[, options]): see web_multipart.lua.
function request_methods:multipart(...)
  check_count(select("#", ...), 1, 2, "multipart")
  local take, options = ...
  if type(take) ~= "function" then
    error("bad argument #1 to 'multipart' (function expected, got " .. type(take) .. ")", 2)
  end
  if options ~= nil and type(options) ~= "table" then
    error("bad argument #2 to 'multipart' (table expected, got " .. type(options) .. ")", 2)
  end
  return read_form(self, take, options or {})
end

function request_methods:cookie(...)
  check_count(select("#", ...), 0, 1, "cookie")
  return extras.decode_cookie(self, (...))
end

function request_methods:form(...)
  check_count(select("#", ...), 0, 1, "form")
  return extras.decode_form(self, (...))
end

-- The options that the client takes, as a sum.  With *mask* that is what it is said to take from now on; returns whether it
-- really does.
function request_methods:opts(...)
  check_count(select("#", ...), 0, 1, "opts")
  local mask = ...
  if mask == nil then return self.accepted or self.source.side.options(self.source) end
  mask = tonumber(mask) or error("bad argument #1 to 'opts' (number expected)", 2)
  self.accepted = mask
  return band(self.source.side.options(self.source), mask) == mask
end

local new_request = class("mtev.http_request", request_methods, { whole = false, kept = false, taken = 0, ticket = false })

local usual_reasons, status_lines = {}, {} -- by code

local function usual_reason(code)
  local reason = usual_reasons[code] or reason_of(code)
  usual_reasons[code] = reason
  return reason
end

-- Responses -----------------------------------------------------------------------------------------------------------

local context_methods = {}

function context_methods:request(surplus)
  if surplus ~= nil then refuse("request") end
  local asked = self.asked
  if not asked then
    asked = new_request({ source = self, fields = false, parameters = false, accepted = false })
    self.asked = asked
  end
  return asked
end

-- A response as it is gathered: code, reason, options, body; started, something of it was sent; name and value of the
-- first header, lines for the others, one after the other, and how many headers there are, count; pieces, how many texts
-- the body has; began, when its request came, on the kernel's clock; date, the header's line, or false where a response is
-- put together elsewhere.

local MOST_SPARE = 64
local OVER = { started = true } -- the draft of a context whose response has ended
local spare, spare_count = {}, 0

local function new_response(began, date)
  local response
  if spare_count > 0 then
    response = spare[spare_count]
    spare_count = spare_count - 1
  else
    response = { name = false, value = false }
  end
  response.code, response.reason, response.options, response.count, response.started = 200, false, 0, 0, false
  response.body, response.pieces, response.lines, response.began, response.date = "", 0, false, began, date
  return response
end

-- The response of *context* has ended.
local function conclude(context)
  local response = context.draft
  if response == OVER then return end
  context.draft, response.body, response.lines = OVER, "", false
  if spare_count < MOST_SPARE then
    spare_count = spare_count + 1
    spare[spare_count] = response
  end
end

local function is_over(context) return context.draft == OVER end

-- The name and the value of each header of *response*, one after the other.
local function gathered_headers(response)
  local n = response.count
  if n == 0 then return end
  if n == 1 then return response.name, response.value end
  return response.name, response.value, unpack(response.lines, 1, 2 * n - 2)
end

-- A body is a text, until something follows it: then it is a table of texts.
local function gathered(response)
  local body = response.body
  if response.pieces < 2 then return body end
  return concat(body, "", 1, response.pieces)
end

-- Names that say something of the framing, or need more than one line: such responses are put together elsewhere.
local TELLING = { connection = true, ["content-length"] = true, ["transfer-encoding"] = true, date = true,
  ["set-cookie"] = true, ["content-encoding"] = true }


local function status_line(code, reason)
  local line = "HTTP/1.1 " .. code .. " " .. (reason or usual_reason(code)) .. "\r\n"
  if not reason then status_lines[code] = line end
  return line
end

-- The lines of the headers, if the response is of the usual kind: nothing flushed, no options, a body whose length is to be
-- told, a header or two that say nothing of the framing.  nil otherwise.
local function plain_lines(response)
  local n, code = response.count, response.code
  if n > 2 or response.options ~= 0 or response.started or code == 204 or code == 205 or code == 304 then return nil end
  if n == 0 then return "" end
  local name = response.name
  local key = key_of(name)
  if TELLING[key] then return nil end
  if n == 1 then return name .. ": " .. response.value .. "\r\n" end
  local lines = response.lines
  local other = key_of(lines[1])
  if other == key or TELLING[other] then return nil end
  return name .. ": " .. response.value .. "\r\n" .. lines[1] .. ": " .. lines[2] .. "\r\n"
end

-- Such a response as bytes of HTTP/1.
local function compose(response, content)
  local lines = response.date and plain_lines(response)
  if not lines then return nil end
  local code, reason = response.code, response.reason
  local first = not reason and status_lines[code] or status_line(code, reason)
  return first .. response.date .. lines .. "Content-Length: " .. #content .. "\r\n\r\n" .. content
end

local by_handle = {} -- the side of requests that Python read

function by_handle.method(context) return context.verb end
function by_handle.path(context) return context.path end
function by_handle.target(context) return (ask(context.handle, "target")) end
function by_handle.client(context) return (ask(context.handle, "client")) end
function by_handle.fields(context) return headers_of(context.handle) end
function by_handle.parameters(context) return (ask(context.handle, "querystring")) end
function by_handle.payload(context) return (ask(context.handle, "payload")) end
function by_handle.read(context, ...) return read_body(context.handle, ...) end
function by_handle.options(context) return (ask(context.handle, "options")) end
function by_handle.allowed(context) return (acl(context.handle)) end

function by_handle.watch(context, ticket)
  local entry = context.entry
  if entry.within and entry.data then return false end -- the answer is there, and nobody has fetched it yet
  return (watch(context.handle, ticket))
end

function by_handle.cut(context) border.web_abort(context.handle) end
function by_handle.note(context, key, value) return (note(context.handle, key, value)) end
function by_handle.send_file(context, ...) return respond_fd(context.handle, ...) end
function by_handle.discard(context) discard(context.handle) end

-- Sends what was gathered; returns WRITABLE and ALIVE, whichever holds.
function by_handle.send(context, ending, content)
  local entry, response = context.entry, context.draft
  if ending and entry.many and entry.within then
    local lines = plain_lines(response)
    if lines then
      entry.code, entry.lines, entry.data = response.code, lines, content
      return WRITABLE + ALIVE
    end
  end
  local data = ending and compose(response, content)
  if data then
    if not entry.within then return whole(context.handle, response.code, data) end
    entry.code, entry.data = response.code, data
    return WRITABLE + ALIVE
  end
  return respond(context.handle, response.code, response.reason or nil, response.options, ending, content,
    gathered_headers(response))
end

-- status(code[, reason]): false when it is too late.
function context_methods:status(...)
  check_count(select("#", ...), 1, 2, "status")
  local code, reason = ...
  local number = tonumber(code)
  if not number or number < 200 or number > 999 or number % 1 ~= 0 then
    error("bad argument #1 to 'status' (200 to 999 expected, got " .. tostring(code) .. ")", 2)
  end
  if reason ~= nil then
    reason = check_text(reason, 2, "status")
    if reason == (usual_reasons[number] or usual_reason(number)) then
      reason = nil
    elseif find(reason, "%c") then
      error("bad argument #2 to 'status' (control character in the reason)", 2)
    end
  end
  local response = self.draft
  if response.started then return false end
  response.code, response.reason = number, reason or false
  return true
end

-- header(name, value): false when it is too late.
function context_methods:header(...)
  check_count(select("#", ...), 2, 2, "header")
  local name, value = ...
  name, value = check_text(name, 1, "header"), check_text(value, 2, "header")
  if not good_names[name] then check_name(name) end
  if not good_values[value] then check_value(name, value) end
  local response = self.draft
  if FRAMING[good_names[name]] and frame(response, name, value) then return not response.started end
  if response.started then return false end
  local n = response.count
  if n == MOST_HEADERS then error("header: a response has no more than " .. MOST_HEADERS .. " headers", 2) end
  if n == 0 then
    response.name, response.value = name, value
  else
    local lines = response.lines
    if not lines then
      lines = {}
      response.lines = lines
    end
    lines[2 * n - 1], lines[2 * n] = name, value
  end
  response.count = n + 1
  return true
end

local function append(response, text)
  local n = response.pieces + 1
  if n == 1 then
    response.body = text
  else
    if n == 2 then response.body = { response.body } end
    response.body[n] = text
  end
  response.pieces = n
end

-- Appends to the body; false when the response has ended or the client is gone.
function context_methods:write(...)
  check_count(select("#", ...), 1, 1, "write")
  local text = check_text((...), 1, "write")
  if is_over(self) then return false end
  append(self.draft, text)
  return true
end

-- Sends what there is, and waits while the client does not take it.  False when the response has ended or the client is gone.
function context_methods:flush(surplus)
  if surplus ~= nil then refuse("flush") end
  if is_over(self) then return false end
  local response = self.draft
  local outcome = self.side.send(self, false, gathered(response))
  response.started, response.body, response.pieces, response.count = true, "", 0, 0
  if band(outcome, ALIVE) == 0 then
    conclude(self)
    return false
  end
  if band(outcome, WRITABLE) == 0 then
    local ticket = kernel.ticket()
    drain(self.handle, ticket)
    kernel.await(ticket)
  end
  return true
end

-- Who writes a file seldom asks whether that could be.
local function cannot_write(fd, why)
  local place = getinfo(3, "Sl")
  mtev.log("error/lua", "%s:%d: write_fd(%s): %s\n", place.short_src, place.currentline, fd, why)
end

-- Appends *size* bytes of a file, from *offset*; without a size all of it.  False when that cannot be, which is logged.
function context_methods:write_fd(...)
  check_count(select("#", ...), 1, 3, "write_fd")
  local fd, size, offset = ...
  for i = 1, select("#", ...) do
    local given = select(i, ...)
    local value = numeral(given)
    local wanted = i == 1 and 0x7fffffff or 0x1p53 -- a descriptor; an offset or a size
    if (given ~= nil or i == 1) and (not value or value < 0 or value % 1 ~= 0 or value > wanted) then
      error("bad argument #" .. i .. " to 'write_fd' (whole number expected, got " .. tostring(given) .. ")", 2)
    end
  end
  fd, size, offset = numeral(fd), numeral(size), numeral(offset)
  if is_over(self) then return false end
  local response = self.draft
  local text = read_file(fd, size, offset)
  if text then
    append(response, text)
    return true
  end
  self.handed = true
  local done, failure = self.side.send_file(self, gathered(response), fd, size, offset)
  response.body, response.pieces, response.date = "", 0, false -- it is not all here any more
  if done then return true end
  cannot_write(fd, failure)
  return false, failure
end

-- Ends the response; false when it has ended already or the client is gone.
function context_methods:flush_end(surplus)
  if surplus ~= nil then refuse("flush_end") end
  if is_over(self) then return false end
  local outcome = self.side.send(self, true, gathered(self.draft)) -- what cannot be sent raises, and nothing has ended
  conclude(self)
  return band(outcome, ALIVE) ~= 0
end

-- option(CHUNKED, CLOSE, GZIP or DEFLATE, or a sum): false when it is too late, or the client does not take that.
function context_methods:option(...)
  check_count(select("#", ...), 1, 1, "option")
  local option = tonumber((...))
  if not option or option < 0 or option > ALL or option % 1 ~= 0 or band(option, bnot(ALL)) ~= 0 then
    error("bad argument #1 to 'option' (CHUNKED, CLOSE, GZIP or DEFLATE expected, got " .. tostring((...)) .. ")", 2)
  end
  if self.draft.started then return false end
  local possible = bor(self:request():opts(), CLOSE)
  if band(option, bnot(possible)) ~= 0 then return false end
  self.draft.options = bor(self.draft.options, option)
  return true
end

function context_methods:set_cookie(...)
  check_count(select("#", ...), 2, 3, "set_cookie")
  return extras.set_cookie(self, ...)
end

function context_methods:url_encode(...)
  check_count(select("#", ...), 1, 1, "url_encode")
  return extras.url_encode((...))
end

function context_methods:url_decode(...)
  check_count(select("#", ...), 1, 1, "url_decode")
  return extras.url_decode((...))
end

function context_methods:htmlentities(...)
  check_count(select("#", ...), 1, 2, "htmlentities")
  return mtev.utf8tohtml(...)
end

-- Adds a field to what http_observer shows of the request; false when nothing is observed, as where requests are not read
-- by Python: an observer keeps them from being read here.
function context_methods:observer_note(...)
  check_count(select("#", ...), 2, 2, "observer_note")
  local key, value = ...
  key, value = check_text(key, 1, "observer_note"), check_text(value, 2, "observer_note")
  local noted = self.side.note
  return noted ~= nil and noted(self, key, value)
end

-- What a context has until it gets one of its own: most requests are done with without, and a table for each of them is
-- to be small.
local function constants_of(side)
  return {
    CHUNKED = CHUNKED, CLOSE = CLOSE, GZIP = GZIP, DEFLATE = DEFLATE,
    side = side, handle = false, payload = "", span = false, refusal = false, watchers = false, is_lost = false,
    handed = false, -- a part of what was said has left for where the response is put together, and not for the client
  }
end

local make_context = class("mtev.http_ctx", context_methods, constants_of(by_handle))

-- What a handler says in response to the request *handle*.  A response that is whole before *entry* is left goes there.
local function new_context(entry, handle, date, method, path)
  return make_context({
    entry = entry, handle = handle, verb = method, path = path, asked = false, draft = new_response(0, date),
    span = entry.span,
  })
end

-- The same in response to requests that *side* reads: on the connection *wire*, with the request line *line*, at *began*.
local function contexts_of(side)
  local make = class("mtev.http_ctx", context_methods, constants_of(side))
  return function(wire, line, began)
    return make({ wire = wire, line = line, asked = false, draft = new_response(began, false) })
  end
end

-- What of a request a WebSocket connection has.
local function new_request_of(handle, path)
  return new_request({
    source = { side = by_handle, handle = handle, verb = "GET", path = path }, fields = false, parameters = false,
    accepted = false,
  })
end

return {
  check_count = check_count, check_text = check_text, flush_end = context_methods.flush_end, is_over = is_over,
  conclude = conclude, gathered_headers = gathered_headers, key_of = key_of,
  reason_of = usual_reason, new_context = new_context, contexts_of = contexts_of, new_request_of = new_request_of,
  status_line = function(code, reason) return not reason and status_lines[code] or status_line(code, reason) end,
}
