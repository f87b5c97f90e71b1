-- mtev.reverse_start and its like: connections that are dialled, so that services here can be reached from there.

local home = ...

local border, checked = home.border, home.checked
local start, stop, details = checked(border.reverse_start), checked(border.reverse_stop), checked(border.reverse_details)
local type, pairs, tostring, error, select = type, pairs, tostring, error, select

-- The texts and numbers of a table, as JSON.
local function plain(config)
  local texts = {}
  for key, value in pairs(config or {}) do texts[tostring(key)] = tostring(value) end
  local json = mtev.tojson(texts):tostring()
  return json == "[ ]" and "{}" or json
end

local function is_port(port) return type(port) == "number" and port >= 0 and port <= 65535 and port % 1 == 0 end

-- Keeps a reverse connection to an address, or the path of a socket, and a port up.
function mtev.reverse_start(...)
  local host, port, sslconfig, config = ...
  local n = select("#", ...)
  if n < 2 or n > 4 or type(host) ~= "string" or not is_port(port) or n > 2 and type(sslconfig) ~= "table"
    or n > 3 and type(config) ~= "table" then
    error("reverse_start(host,port,sslconfig,config)", 2)
  end
  start(host, port, plain(sslconfig), plain(config))
end

local function check(...)
  local host, port = ...
  if select("#", ...) ~= 2 or type(host) ~= "string" or not is_port(port) then
    error("reverse_stop(host,port)", 3)
  end
end

-- Gives it up: whether there was one.
function mtev.reverse_stop(...)
  check(...)
  return (stop(...))
end

-- How it is: {remote_address, remote_port, connected}, and once it is up {nchannels, in_bytes, out_bytes}; nothing where there is
-- none.
function mtev.reverse_details(...)
  check(...)
  local found = details(...)
  if found then return found end
end
