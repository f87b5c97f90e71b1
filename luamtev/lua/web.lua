-- Web handlers: each request is a coroutine that gets a rest object and the listener's configuration.
--
-- What a handler says is gathered here and crosses in one call when it ends the response, or when it flushes.  A handler
-- that returns without ending gets a 404 sent, one that fails a 500 with its message.  Manual: lua_web.

local home = ...

local bit = require("bit")
local kernel, border, checked, class = home.kernel, home.border, home.checked, home.class
local extras = mtev.extras
local whole = checked(border.web_whole)
local respond, respond_fd, drain = checked(border.web_respond), checked(border.web_respond_fd), checked(border.web_drain)
local ask, headers_of, config_of = checked(border.web_ask), checked(border.web_headers), checked(border.web_config)
local reason_of = checked(border.web_reason)
local release, acl, mounts = border.web_release, checked(border.web_acl), border.web_mounts()
local type, tostring, tonumber, error, select, unpack = type, tostring, tonumber, error, select, unpack
local find, concat, xpcall, traceback = string.find, table.concat, xpcall, debug.traceback

local CHUNKED, CLOSE, GZIP, DEFLATE = 1, 2, 4, 8
local WRITABLE, ALIVE = 1, 2
local MOST_KNOWN = 1000 -- names and values of headers remembered as good

-- Arguments -----------------------------------------------------------------------------------------------------------

local function check_count(n, least, most, name)
  if n >= least and n <= most then return end
  local expected = least == most and tostring(least) or least .. " to " .. most
  error("wrong number of arguments to '" .. name .. "' (" .. expected .. " expected, got " .. n .. ")", 3)
end

local function check_text(value, position, name)
  if type(value) == "string" then return value end
  if type(value) == "number" then return tostring(value) end
  error("bad argument #" .. position .. " to '" .. name .. "' (string expected, got " .. type(value) .. ")", 3)
end

-- Patterns are slow beside a look into a table, and most headers are always the same.
local good_names, name_count = {}, 0
local good_values, value_count = {}, 0

local function check_name(name)
  if name == "" or find(name, "[^!#$%%&'*+.^_`|~%w-]") then
    error("bad argument #1 to 'header' (name of a header expected, got '" .. name .. "')", 3)
  end
  if name_count >= MOST_KNOWN then good_names, name_count = {}, 0 end
  good_names[name], name_count = name:lower(), name_count + 1
end

local function check_value(name, value)
  if find(value, "[%z\1-\8\10-\31\127]") then
    error("bad argument #2 to 'header' (control character in the value of " .. name .. ")", 3)
  end
  if #value > 100 then return end
  if value_count >= MOST_KNOWN then good_values, value_count = {}, 0 end
  good_values[value], value_count = true, value_count + 1
end

-- Requests ------------------------------------------------------------------------------------------------------------

local request_methods = {}

function request_methods:method() return self.verb end

-- The path, without the query string.
function request_methods:uri() return self.path end

-- All headers by lower-case name, or one of them.
function request_methods:headers(...)
  check_count(select("#", ...), 0, 1, "headers")
  local headers = self.fields
  if not headers then
    headers = headers_of(self.handle)
    self.fields = headers
  end
  local name = ...
  if name == nil then return headers end
  return headers[check_text(name, 1, "headers"):lower()]
end

-- All parameters of the query string, decoded, or one of them.
function request_methods:querystring(...)
  check_count(select("#", ...), 0, 1, "querystring")
  local parameters = self.parameters
  if not parameters then
    parameters = ask(self.handle, "querystring")
    self.parameters = parameters
  end
  local name = ...
  if name == nil then return parameters end
  return parameters[check_text(name, 1, "querystring")]
end

-- The whole body; nil when there is none.
function request_methods:payload() return (ask(self.handle, "payload")) end

function request_methods:cookie(...)
  check_count(select("#", ...), 0, 1, "cookie")
  return extras.decode_cookie(self, (...))
end

function request_methods:form(...)
  check_count(select("#", ...), 0, 1, "form")
  return extras.decode_form(self, (...))
end

-- The options that the client takes: their sum, or whether all of *mask* are among them.
function request_methods:opts(...)
  check_count(select("#", ...), 0, 1, "opts")
  local options = ask(self.handle, "options")
  local mask = ...
  if mask == nil then return options end
  return bit.band(options, tonumber(mask) or error("bad argument #1 to 'opts' (number expected)", 2)) == mask
end

local new_request = class("mtev.http_request", request_methods)

local usual_reasons, status_lines = {}, {} -- by code

local function usual_reason(code)
  local reason = usual_reasons[code] or reason_of(code)
  usual_reasons[code] = reason
  return reason
end

-- Responses -----------------------------------------------------------------------------------------------------------

local context_methods = {}
local CONSTANTS = { CHUNKED = CHUNKED, CLOSE = CLOSE, GZIP = GZIP, DEFLATE = DEFLATE }

function context_methods:request()
  local asked = self.asked
  if not asked then
    asked = new_request({ handle = self.handle, verb = self.verb, path = self.path, fields = false, parameters = false })
    self.asked = asked
  end
  return asked
end

-- A body is a text, until something follows it: then it is a table of texts.
local function gathered(context)
  local body = context.body
  if context.pieces < 2 then return body end
  return concat(body, "", 1, context.pieces)
end

-- Names that say something of the framing, or need more than one line: such responses are put together elsewhere.
local TELLING = { connection = true, ["content-length"] = true, ["transfer-encoding"] = true, date = true,
  ["set-cookie"] = true, ["content-encoding"] = true }


local function status_line(code, reason)
  local line = "HTTP/1.1 " .. code .. " " .. (reason or usual_reason(code)) .. "\r\n"
  if not reason then status_lines[code] = line end
  return line
end

-- The whole response as bytes, if it is of the usual kind: nothing flushed, no options, a header or two that say nothing
-- of the framing.  nil otherwise.
local function compose(context, content)
  local date, n, code = context.date, context.count, context.code
  if not date or n > 2 or context.options ~= 0 or context.started or code == 204 or code == 304 then return nil end
  local reason = context.reason
  local first = not reason and status_lines[code] or status_line(code, reason)
  local length = "Content-Length: " .. #content .. "\r\n\r\n"
  if n == 0 then return first .. date .. length .. content end
  local name = context.name
  local key = good_names[name]
  if TELLING[key] then return nil end
  if n == 1 then return first .. date .. name .. ": " .. context.value .. "\r\n" .. length .. content end
  local lines = context.lines
  local other = good_names[lines[1]]
  if other == key or TELLING[other] then return nil end
  return first .. date .. name .. ": " .. context.value .. "\r\n" .. lines[1] .. ": " .. lines[2] .. "\r\n" .. length .. content
end

-- Sends what was gathered; returns WRITABLE and ALIVE, whichever holds.
local function send(context, ending)
  local content = gathered(context)
  local data = ending and compose(context, content)
  if data then
    local entry = context.entry
    if not entry.within then return whole(context.handle, context.code, data) end
    entry.code, entry.data = context.code, data
    return WRITABLE + ALIVE
  end
  local n = context.count
  local handle, code, reason, options = context.handle, context.code, context.reason or nil, context.options
  if n == 0 then return respond(handle, code, reason, options, ending, content) end
  if n == 1 then return respond(handle, code, reason, options, ending, content, context.name, context.value) end
  return respond(handle, code, reason, options, ending, content, context.name, context.value, unpack(context.lines, 1, 2 * n - 2))
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
    if find(reason, "%c") then error("bad argument #2 to 'status' (control character in the reason)", 2) end
  end
  if self.started then return false end
  if reason == (usual_reasons[number] or usual_reason(number)) then reason = nil end
  self.code, self.reason = number, reason or false
  return true
end

-- header(name, value): false when it is too late.
function context_methods:header(...)
  check_count(select("#", ...), 2, 2, "header")
  local name, value = ...
  name, value = check_text(name, 1, "header"), check_text(value, 2, "header")
  if not good_names[name] then check_name(name) end
  if not good_values[value] then check_value(name, value) end
  if self.started then return false end
  local n = self.count
  if n == 0 then
    self.name, self.value = name, value
  else
    local lines = self.lines
    if not lines then
      lines = {}
      self.lines = lines
    end
    lines[2 * n - 1], lines[2 * n] = name, value
  end
  self.count = n + 1
  return true
end

-- Appends to the body; false when the response has ended or the client is gone.
function context_methods:write(...)
  check_count(select("#", ...), 1, 1, "write")
  local text = check_text((...), 1, "write")
  if self.ended then return false end
  local n = self.pieces + 1
  if n == 1 then
    self.body = text
  else
    if n == 2 then self.body = { self.body } end
    self.body[n] = text
  end
  self.pieces = n
  return true
end

-- Sends what there is, and waits while the client does not take it.  False when the response has ended or the client is gone.
function context_methods:flush()
  if self.ended then return false end
  local outcome = send(self, false)
  self.started, self.body, self.pieces, self.count = true, "", 0, 0
  if bit.band(outcome, ALIVE) == 0 then
    self.ended = true
    return false
  end
  if bit.band(outcome, WRITABLE) == 0 then
    local ticket = kernel.ticket()
    drain(self.handle, ticket)
    kernel.await(ticket)
  end
  return true
end

-- Appends *size* bytes of a file, from *offset*; without a size all of it.  False when that cannot be.
function context_methods:write_fd(...)
  check_count(select("#", ...), 1, 3, "write_fd")
  local fd, size, offset = ...
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if value ~= nil and (type(value) ~= "number" or value < 0 or value % 1 ~= 0) then
      error("bad argument #" .. i .. " to 'write_fd' (whole number expected, got " .. tostring(value) .. ")", 2)
    end
  end
  if self.ended then return false end
  local done, failure = respond_fd(self.handle, gathered(self), fd, size, offset)
  self.body, self.pieces, self.date = "", 0, false -- it is not all here any more
  if done then return true end
  return false, failure
end

-- Ends the response; false when it has ended already or the client is gone.
function context_methods:flush_end()
  if self.ended then return false end
  self.ended = true
  local outcome = send(self, true)
  self.started = true
  self.body, self.pieces, self.count = "", 0, 0
  return bit.band(outcome, ALIVE) ~= 0
end

-- option(CHUNKED, CLOSE, GZIP or DEFLATE, or a sum)
function context_methods:option(...)
  check_count(select("#", ...), 1, 1, "option")
  local option = tonumber((...))
  if not option or option < 0 or option > 15 or option % 1 ~= 0 then
    error("bad argument #1 to 'option' (CHUNKED, CLOSE, GZIP or DEFLATE expected, got " .. tostring((...)) .. ")", 2)
  end
  if self.started then return false end
  self.options = bit.bor(self.options, option)
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

local new_context = class("mtev.http_ctx", context_methods, CONSTANTS)

-- Rest ----------------------------------------------------------------------------------------------------------------

local rest_methods = {}

function rest_methods:http() return self.context end

-- Whether access control lets this request pass.  A handler that returns after a no without ending the response has a 403
-- sent.
function rest_methods:apply_acl()
  local allowed = acl(self.context.handle)
  if not allowed then self.denied = true end
  return allowed
end

local new_rest = class("mtev.http_rest", rest_methods)

local configs = {} -- id -> table: the listeners' configurations

local function listener_config(id)
  local config = config_of(id)
  configs[id] = config
  return config
end

-- WebSocket connections --------------------------------------------------------------------------------------------------
--
-- A module that is mounted with the method WS has a table `websocket` of callbacks, all optional: ready(ws, config),
-- message(ws, opcode, payload), cleanup(ws, code, reason).  For one connection they run one after the other, each in a
-- coroutine, so they may suspend.  The first two close the connection by returning false.

local OPCODES = { CONTINUATION = 0, TEXT = 1, BINARY = 2, CONNECTION_CLOSE = 8, PING = 9, PONG = 10 }
local NORMAL, BUSY, FAILED = 1000, 1013, 1011
local MOST_WAITING = 67108864 -- bytes of messages that a slow callback leaves

local socket_send, socket_close = checked(border.web_socket_send), checked(border.web_socket_close)
local socket_methods = {}

-- Sends a message; false when the connection is closed.
function socket_methods:send(...)
  check_count(select("#", ...), 1, 2, "send")
  local opcode, payload = ...
  if select("#", ...) == 1 then opcode, payload = OPCODES.TEXT, opcode end
  if type(opcode) ~= "number" then
    error("bad argument #1 to 'send' (opcode expected, got " .. type(opcode) .. ")", 2)
  end
  if opcode == OPCODES.CONNECTION_CLOSE then
    socket_close(self.handle, NORMAL, "")
    return true
  end
  return (socket_send(self.handle, opcode, check_text(payload, 2, "send")))
end

-- close([code=1000[, reason]])
function socket_methods:close(code, reason)
  if code ~= nil and type(code) ~= "number" then
    error("bad argument #1 to 'close' (code expected, got " .. type(code) .. ")", 2)
  end
  socket_close(self.handle, code or NORMAL, reason ~= nil and check_text(reason, 2, "close") or "")
end

function socket_methods:request() return self.asked end

-- Whether access control lets this connection be.
function socket_methods:apply_acl() return (acl(self.handle)) end

local new_socket = class("mtev.http_websocket", socket_methods, OPCODES)
local sockets = {} -- handle -> connection

local function callbacks_of(mount)
  local name = mounts[mount]
  local loaded = require(name)
  local module = type(loaded) == "table" and loaded or package.loaded[name]
  local callbacks = type(module) == "table" and rawget(module, "websocket")
  if type(callbacks) ~= "table" then error("module '" .. name .. "' has no table 'websocket'", 0) end
  return callbacks
end

local describe

local function call_back(connection, mount, kind, ...)
  local callback = callbacks_of(mount)[kind]
  if callback and callback(connection.ws, ...) == false and kind ~= "cleanup" then connection.ws:close() end
end

local function act(connection, mount, kind, ...)
  local ok, failure = xpcall(call_back, describe, connection, mount, kind, ...)
  if ok then return end
  border.task_failed(failure.report)
  if kind ~= "cleanup" then socket_close(connection.ws.handle, FAILED, "") end
end

local function new_connection(handle, path)
  local asked = new_request({ handle = handle, verb = "GET", path = path, fields = false, parameters = false })
  local connection = { ws = new_socket({ handle = handle, asked = asked }), waiting = {}, size = 0, running = false }
  sockets[handle] = connection
  return connection
end

local function on_event(handle, mount, kind, first, second)
  local connection = sockets[handle]
  if kind == "ready" then
    connection = new_connection(handle, first)
    first, second = configs[second] or listener_config(second), nil
  elseif kind == "cleanup" then
    sockets[handle] = nil
  end
  if not connection then return end
  local waiting = connection.waiting
  waiting[#waiting + 1] = { kind, first, second }
  if kind == "message" then
    connection.size = connection.size + #second
    if connection.size > MOST_WAITING then socket_close(handle, BUSY, "") end
  end
  if connection.running then return end
  connection.running = true
  while waiting[1] do
    local event = table.remove(waiting, 1)
    if event[1] == "message" then connection.size = connection.size - #event[3] end
    act(connection, mount, event[1], event[2], event[3])
  end
  connection.running = false
end

-- Serving -------------------------------------------------------------------------------------------------------------

local handlers = {} -- mount -> function
local function handler_of(mount)
  local name = mounts[mount]
  local loaded = require(name)
  local module = type(loaded) == "table" and loaded or package.loaded[name]
  local handler = type(module) == "table" and rawget(module, "handler")
  if type(handler) ~= "function" then error("module '" .. name .. "' has no function 'handler'", 0) end
  handlers[mount] = handler
  return handler
end

local function close_with(context, code, content_type, message)
  if context.started then
    border.web_abort(context.handle)
    context.ended = true
    return
  end
  context.code, context.reason, context.options = code, false, 0
  context.name, context.value, context.count = "Content-Type", content_type, 1
  context.body, context.pieces = message, 1
  context_methods.flush_end(context)
end

function describe(failure)
  local ok, text = pcall(tostring, failure)
  text = ok and text or "error object is a " .. type(failure) .. " value"
  return { text = text, report = traceback(text, 2) }
end

local function serve(rest, mount, config)
  local context = rest.context
  local handler = handlers[mount] or handler_of(mount)
  handler(rest, configs[config] or listener_config(config))
  if context.ended then return end
  if context.started then
    context_methods.flush_end(context)
  elseif rest.denied then
    close_with(context, 403, "text/plain", "Forbidden\n")
  else
    close_with(context, 404, "text/plain", "Not Found\n")
  end
end

-- One request from its first line to its last; *entry* carries what can be said of it to whoever called in.
local function run(handle, mount, method, path, config, date, entry)
  local context = new_context({
    entry = entry, handle = handle, date = date or false, verb = method, path = path, asked = false, code = 200, reason = false, options = 0,
    name = false, value = false, lines = false, count = 0, body = "", pieces = 0, started = false, ended = false,
  })
  local ok, failure = xpcall(serve, describe, new_rest({ context = context, denied = false }), mount, config)
  if not ok then
    border.task_failed(failure.report)
    if not context.ended then close_with(context, 500, "text/html", failure.text) end
  end
  if entry.within then entry.over = true else release(handle) end
end

local function new_entry() return { within = false, over = false, code = false, data = nil } end

local spare = new_entry()

return {
  socket = function(...) return kernel.start(on_event, ...) end,
  -- Returns when the kernel wants to be called, and whether the request is done with; where the response is whole already
  -- its status and all of it, as bytes.
  serve = function(handle, mount, method, path, config, date)
    local entry = spare
    entry.within, entry.over, entry.data = true, false, nil
    local delay = kernel.start(run, handle, mount, method, path, config, date, entry)
    entry.within = false
    if not entry.over then spare = new_entry() end -- the coroutine still has this one
    return delay, entry.over, entry.code, entry.data
  end,
}
