-- WebSocket connections of web handlers.
--
-- A module that is mounted with the method WS has a table `websocket` of callbacks, all optional: ready(ws, config),
-- message(ws, opcode, payload), cleanup(ws, code, reason).  For one connection they run one after the other, each in a
-- coroutine, so they may suspend; the next message comes when the callback before it is done.  The first two close the
-- connection by returning false.  Its array `protocols` names the subprotocols it speaks, best first: the first that the
-- client offers is agreed on.

local home, web = ...

local kernel, border, checked, class = home.kernel, home.border, home.checked, home.need("mtev/object")
local check_count, check_text, new_request_of = web.check_count, web.check_text, web.new_request_of
local type, error, select, unpack, xpcall, pairs = type, error, select, unpack, xpcall, pairs
local status = coroutine.status

local OPCODES = { CONTINUATION = 0, TEXT = 1, BINARY = 2, CONNECTION_CLOSE = 8, PING = 9, PONG = 10 }
local NORMAL, FAILED = 1000, 1011

local next_message = border.web_socket_next
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

-- The subprotocol agreed on, or nil.
function socket_methods:protocol() return self.agreed or nil end

-- Whether access control lets this connection be.
function socket_methods:apply_acl() return (web.acl(self.handle)) end

local new_socket = class("mtev.http_websocket", socket_methods, OPCODES)
local sockets = {} -- handle -> connection
local acting = {} -- connection -> the task of its callback that runs
local ADRIFT = { co = false } -- stands for one whose coroutine is not to be kept

local function call_back(connection, mount, kind, ...)
  local callback = web.member_of(mount, "websocket", "table")[kind]
  if callback and callback(connection.ws, ...) == false and kind ~= "cleanup" then connection.ws:close() end
end

local function act(connection, mount, kind, ...)
  local ok, failure = xpcall(call_back, web.describe, connection, mount, kind, ...)
  if ok then return end
  border.task_failed(web.described(failure).report)
  if kind ~= "cleanup" then socket_close(connection.ws.handle, FAILED, "") end
end

local function new_connection(handle, path, agreed)
  local asked = new_request_of(handle, path)
  local ws = new_socket({ handle = handle, asked = asked, agreed = agreed or false })
  local connection = { ws = ws, cleanup = false }
  sockets[handle] = connection
  return connection
end

-- A callback that yields to nobody, or is cancelled, has failed.
local function given_up(connection)
  acting[connection] = nil
  socket_close(connection.ws.handle, FAILED, "")
  local cleanup = connection.cleanup
  if cleanup then kernel.spawn(act, connection, unpack(cleanup, 1, 4)) end
end

local function connection_of(co)
  for connection, task in pairs(acting) do
    if task.co == co then return connection end
  end
end

kernel.on_adrift(function(co)
  local connection = connection_of(co)
  if not connection then return end
  acting[connection] = ADRIFT
  return function()
    if not acting[connection] then return false end
    given_up(connection)
    return true
  end
end)

kernel.on_leaving(function(task)
  local connection = status(task.co) == "suspended" and connection_of(task.co)
  if connection then given_up(connection) end
end)

-- An event on the connection *handle*: ready, with the path, the listener's configuration and the subprotocol; message or
-- cleanup, with two values.
return function(handle, mount, kind, first, second, agreed)
  local connection = sockets[handle]
  if kind == "ready" then
    connection = new_connection(handle, first, agreed)
    first, second = web.config_of(second), nil
  elseif kind == "cleanup" then
    sockets[handle] = nil
  end
  if not connection then return end
  if acting[connection] then -- it can only be the end
    connection.cleanup = { mount, kind, first, second }
    return
  end
  acting[connection] = kernel.running()
  act(connection, mount, kind, first, second)
  acting[connection] = nil
  local cleanup = connection.cleanup
  if cleanup then
    act(connection, unpack(cleanup, 1, 4))
  elseif kind ~= "cleanup" then
    next_message(handle)
  end
end
