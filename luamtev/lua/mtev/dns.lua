-- mtev.dns: names looked up over UDP, and over TCP when the answer is too large for that.  Manual: mtev.dns:*.
--
-- A question goes to each name server in turn, some rounds of it, until one answers.  Each has a socket of its own that is
-- connected, so that the system drops what others send.

local home = ...

local byte, sub, match, lower, char = string.byte, string.sub, string.match, string.lower, string.char
local insert = table.insert
local class = home.need("mtev/object")
local receive_datagram = home.need("mtev/socket").receive_datagram
local bit = require("bit")
local band, rshift = bit.band, bit.rshift
local kernel, border, checked = home.kernel, home.border, home.checked
local arguments = home.need("arguments")
local check_bytes, refuse, port_of = arguments.check_bytes, arguments.refuse, arguments.port
local sockaddr = home.need("mtev/sockaddr")
local query, reply, settings, hosts =
  checked(border.dns_query), checked(border.dns_reply), checked(border.dns_settings), checked(border.dns_hosts)
local type, error, unpack, ipairs = type, error, unpack, ipairs
local upper, gsub, select = string.upper, string.gsub, select
local monotonic, min, huge = kernel.monotonic, math.min, math.huge

local LARGEST = 65535 -- bytes of a message

-- What one server says ----------------------------------------------------------------------------------------------------

-- A question: {id=, wire=, name=, rtype=, rclass=}.
local function read_reply(question, wire)
  return reply(wire, question.id, question.name, question.rtype, question.rclass)
end

local function ask_udp(socket, server, question, deadline)
  if socket:connect(server.address, server.port) ~= 0 or socket:send(question.wire) < 0 then return "failed" end
  while true do
    local n, wire = receive_datagram(socket, LARGEST, deadline)
    if n < 0 then return wire == "timeout" and "timeout" or "failed" end
    local what, records = read_reply(question, wire)
    if what ~= "ignored" then return what, records end
  end
end

local function ask_tcp(socket, server, question, deadline)
  local size = #question.wire
  if socket:connect(server.address, server.port, deadline - monotonic()) ~= 0 then return "failed" end
  socket:write(char(rshift(size, 8), band(size, 255)) .. question.wire)
  local head = socket:read(2, nil, deadline - monotonic())
  if not head or #head < 2 then return "failed" end
  size = byte(head, 1) * 256 + byte(head, 2)
  local wire = size > 0 and socket:read(size, nil, deadline - monotonic())
  if not wire or #wire < size then return "failed" end
  return read_reply(question, wire)
end

local function ask(ask_by, kind, server, question, timeout)
  local socket = mtev.socket(server.address, kind)
  if not socket then return "failed" end
  local what, records = ask_by(socket, server, question, monotonic() + timeout)
  socket:close()
  return what, records
end

-- The records of an answer; nothing, and whether the name is known not to exist.
local function ask_all(servers, question, how, deadline)
  for _ = 1, how.attempts do
    for _, server in ipairs(servers) do
      local timeout = min(how.timeout, deadline - monotonic())
      if timeout <= 0 then return end
      local what, records = ask(ask_udp, "udp", server, question, timeout)
      if what == "truncated" then what, records = ask(ask_tcp, "tcp", server, question, timeout) end
      if what == "answer" then return records end
      if what == "no name" then return nil, true end
    end
  end
end

-- Objects -----------------------------------------------------------------------------------------------------------------

-- The names to try for *name*: itself, and within the domains of the search list.
local function candidates(name, how)
  if sub(name, -1) == "." then return { name } end
  local names = {}
  for _, domain in ipairs(how.search) do names[#names + 1] = name .. "." .. domain end
  local dots = select(2, gsub(name, "%.", ""))
  insert(names, dots >= how.ndots and 1 or #names + 1, name)
  return names
end

local function servers_of(dns, how)
  local servers = {}
  for i, server in ipairs(dns.server and { dns.server } or how.servers) do
    servers[i] = { address = server.address or server, port = server.port or how.port }
  end
  return servers
end

local function look_up(dns, name, rtype, rclass, deadline)
  local how = settings()
  local servers = servers_of(dns, how)
  for _, each in ipairs(candidates(name, how)) do
    local id, wire = query(each, rtype, rclass)
    if not id then
      if wire == "dns: bad rr type" then return nil, wire end
    else
      local records = ask_all(servers, { id = id, wire = wire, name = each, rtype = rtype, rclass = rclass }, how, deadline)
      if records and records[1] then return records end
    end
  end
end

local methods = {}

-- lookup(name[, type="A"[, class="IN"]]): a table for each record; nothing when there is none, nil for nil.
function methods:lookup(...)
  local name, rtype, rclass = ...
  if name == nil and select("#", ...) > 0 then return nil end
  name = check_bytes(name, "lookup")
  rtype = rtype == nil and "A" or upper(check_bytes(rtype, "lookup", 2))
  rclass = rclass == nil and "IN" or upper(check_bytes(rclass, "lookup", 3))
  kernel.parkable()
  local records, why = look_up(self, name, rtype, rclass, huge)
  if records then return unpack(records) end
  if why then error(why, 2) end
end

local new_dns = class("mtev.dns", methods)

-- Whether a text is an IP address, and the number of its family; called with a dot or a colon.
local function is_valid_ip(...)
  local text = select(select("#", ...) > 1 and 2 or 1, ...)
  if type(text) ~= "string" then return false, nil end
  local valid, family = mtev.inet_pton(text)
  if not valid then return false, nil end
  return true, sockaddr.family_number[family]
end

-- "ADDRESS", whose port the options say, "ADDRESS:PORT" or "[ADDRESS]:PORT"
local function parse_server(text)
  if mtev.inet_pton(text) then return { address = text } end
  local address, port = match(text, "^%[(.*)%]:(%d+)$")
  if not address then address, port = match(text, "^([^:]*):(%d+)$") end
  port = port_of(port, 1)
  if not port or not mtev.inet_pton(address) then
    error("bad argument #1 to 'dns' (address of a name server expected, got '" .. text .. "')", 3)
  end
  return { address = address, port = port }
end

-- dns([nameserver]): an object to look up names with, at one name server or at those of /etc/resolv.conf.
function mtev.dns(nameserver)
  if nameserver ~= nil and type(nameserver) ~= "string" then
    refuse(1, "dns", "address of a name server", type(nameserver), 2)
  end
  return new_dns({ server = nameserver and parse_server(nameserver) or false, is_valid_ip = is_valid_ip })
end

-- For the rest of the library: the addresses of *host*, which may be one itself; nothing and why when there are none, or
-- none was to be had before the *deadline*.
local function resolve(host, deadline)
  if mtev.inet_pton(host) then return { host } end
  local found = hosts(host)
  if found[1] then return found end
  if host == "localhost" then return { "127.0.0.1", "::1" } end
  local dns = mtev.dns()
  for _, rtype in ipairs({ "A", "AAAA" }) do
    for _, record in ipairs(look_up(dns, host, rtype, "IN", deadline or huge) or {}) do
      found[#found + 1] = record[lower(rtype)]
    end
    if found[1] then break end
  end
  if found[1] then return found end
  return nil, "cannot resolve '" .. host .. "'"
end

return { resolve = resolve }
