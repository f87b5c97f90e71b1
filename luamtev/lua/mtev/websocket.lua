-- mtev.websocket_client_connect.  Manual: mtev.websocket_client:*.
--
-- A client is two coroutines: one connects, reads and runs the callbacks one after the other; the other writes what was
-- queued.  Frames are made and read outside Lua.

local home = ...

local find, lower = string.find, string.lower
local traceback = debug.traceback
local refuse, port_of = home.need("arguments").refuse, home.need("arguments").port
local class = home.need("mtev/object")
local resolve = home.need("mtev/dns").resolve
local border, kernel, eventer = home.border, home.kernel, home.need("mtev/eventer")
local checked = home.checked
local open, receive, frame = checked(border.websocket_open), checked(border.websocket_receive), checked(border.websocket_send)
local release = border.websocket_release
local type, tostring, tonumber, error, pcall, ipairs, xpcall, pairs
  = type, tostring, tonumber, error, pcall, ipairs, xpcall, pairs
local concat = table.concat

local OPCODES = { CONTINUATION = 0, TEXT = 1, BINARY = 2, CONNECTION_CLOSE = 8, PING = 9, PONG = 10 }
local READY, REFUSED, CLOSED = -1, -2, -3
local CONNECT_TIMEOUT = 10 -- seconds
local CLOSE_TIMEOUT = 5 -- seconds the peer has to answer a close
local MOST_QUEUED = 67108864 -- bytes

local methods = {}

-- Has what is queued written by the client's writer.
local function queue(client, data)
  if data == "" then return end
  client.queued[#client.queued + 1] = data
  client.queued_bytes = client.queued_bytes + #data
  if client.writer_idle then
    client.writer_idle = false
    kernel.deliver(client.writer, true)
  end
end

local function write_queued(client)
  while client.queued_bytes > 0 or not client.ended do
    if client.queued_bytes == 0 then
      client.writer, client.writer_idle = kernel.ticket(), true
      kernel.await(client.writer)
    else
      local data = concat(client.queued)
      client.queued, client.queued_bytes = {}, 0
      if eventer.write_all(client.socket, data) < 0 then break end
    end
  end
  client.written = true
  if client.ended then kernel.deliver(client.ended, true) end
end

-- Queues a frame; false when the connection is not open, the data cannot be sent so, or the peer reads too slowly.
function methods:send(opcode, data)
  if data ~= nil and type(data) ~= "string" and type(data) ~= "number" then
    refuse(2, "send", "string", type(data), 2)
  end
  local number = tonumber(opcode)
  if not number then refuse(1, "send", "opcode", type(opcode), 2) end
  if not self.open then return false end
  data = tostring(data or "")
  if self.queued_bytes > 0 and self.queued_bytes + #data > MOST_QUEUED then return false end
  local bytes, failure = frame(self.handle, number, data)
  if not bytes then
    mtev.log("error/websocket_client", "%s: %s\n", self.url, failure)
    return false
  end
  if number == OPCODES.CONNECTION_CLOSE then self.open = false end
  queue(self, bytes)
  return true
end

-- Closes the connection; cleanup follows once the peer agreed or its time is up.
function methods:close()
  if not self:send(OPCODES.CONNECTION_CLOSE) and not self.open and not self.closing and self.socket then
    self.socket:close()
  end
  self.closing = true
  local socket = self.socket
  if socket then
    mtev.coroutine_spawn(function()
      mtev.sleep(CLOSE_TIMEOUT)
      socket:close()
    end)
  end
end

local new_client = class("mtev.websocket_client", methods)

local function complain(client, what) mtev.log("error/websocket_client", "%s: %s\n", client.url, what) end
local function tell(client, what) mtev.log("debug/websocket_client", "%s: %s\n", client.url, what) end

-- What a callback returns; an error it raises is logged and ends the connection.
local function callback(client, name, ...)
  local call = client.callbacks[name]
  if not call then return true end
  local ok, result = xpcall(call, traceback, client, ...)
  if ok then return result end
  complain(client, "error in " .. name .. ": " .. tostring(result))
  return false
end

local function connect(client, host, port, sslconfig)
  local addresses, why = resolve(host)
  if not addresses then return nil, why end
  local failure
  for _, address in ipairs(addresses) do
    local socket = mtev.socket(address)
    if not socket then return nil, "no socket can be made" end
    client.socket = socket
    local rv
    rv, failure = socket:connect(address, port, CONNECT_TIMEOUT)
    if rv == 0 and sslconfig then rv, failure = socket:ssl_upgrade_socket(sslconfig, host) end
    if rv == 0 then return true end
    socket:close()
  end
  return nil, failure
end

-- Acts on what the peer sent; false when that was the last.
local function act(client, happened)
  for i = 1, #happened, 2 do
    local kind, payload = happened[i], happened[i + 1]
    if kind == READY then
      client.open = true
      tell(client, "ready")
      if callback(client, "ready") == false then client:close() end
    elseif kind == REFUSED then
      complain(client, "refused: " .. payload)
      return false
    elseif kind == CLOSED then
      client.open = false
      tell(client, "closed by the peer")
      return false
    elseif callback(client, "message", kind, payload) == false then
      client:close()
    end
  end
end

local function converse(client)
  while true do
    local data = eventer.read_some(client.socket)
    local happened, answer = receive(client.handle, data)
    queue(client, answer)
    if act(client, happened) == false or not data then return end
  end
end

-- Lets the writer finish, as long as the peer has time to take it.
local function finish(client)
  client.open, client.ended = false, kernel.ticket()
  if client.writer_idle then kernel.deliver(client.writer, true) end
  if not client.written then kernel.await(client.ended, CLOSE_TIMEOUT) end
  client.socket:close()
end

local function run(client, host, port, request, sslconfig)
  local ok, why = connect(client, host, port, sslconfig)
  if ok then
    tell(client, "connected")
    queue(client, request)
    mtev.coroutine_spawn(function() write_queued(client) end)
    local failure
    ok, failure = pcall(converse, client)
    if not ok then complain(client, tostring(failure)) end
    finish(client)
  else
    complain(client, tostring(why))
  end
  release(client.handle)
  tell(client, "ended")
  callback(client, "cleanup")
end

local function text(value, position)
  if type(value) == "string" then return value end
  refuse(position, "websocket_client_connect", "string", type(value), 3)
end

-- Begins to connect; true, or false when it cannot even begin.  What comes of it the callbacks learn.
function mtev.websocket_client_connect(host, port, uri, service, callbacks, sslconfig)
  host, uri, service = text(host, 1), text(uri, 3), service and text(service, 4) or ""
  local number = port_of(port, 1)
  if not number then return false end
  if type(callbacks) ~= "table" then
    refuse(5, "websocket_client_connect", "table of callbacks", type(callbacks), 2)
  end
  for _, name in ipairs({ "ready", "message", "cleanup" }) do
    local call = callbacks[name]
    if call ~= nil and type(call) ~= "function" then error("callback " .. name .. " not function", 2) end
  end
  if sslconfig ~= nil and type(sslconfig) ~= "table" then
    refuse(6, "websocket_client_connect", "table", type(sslconfig), 2)
  end
  if sslconfig then home.need("mtev/tls").check_settings(sslconfig, 6, "websocket_client_connect", 2) end
  if find(uri, "[%s%c]") then return false end
  local authority = (find(host, ":", 1, true) and "[" .. host .. "]" or host) .. ":" .. number
  local handle, request = open(authority, uri, service)
  local client = new_client({
    callbacks = callbacks, open = false, closing = false, ended = false, queued = {}, queued_bytes = 0, writer = false,
    writer_idle = false, written = false, handle = handle, socket = false,
    url = (sslconfig and "wss://" or "ws://") .. host .. ":" .. number .. uri,
  })
  if not handle then
    complain(client, request)
    return false
  end
  for name, opcode in pairs(OPCODES) do client[name], client[lower(name)] = opcode, opcode end
  mtev.coroutine_spawn(run, client, host, number, request, sslconfig)
  return true
end
