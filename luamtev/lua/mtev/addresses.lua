-- What an IP address is, what a host name resolves to, and which address this host is seen by.

local home = ...

local newproxy = newproxy
local border, kernel, checked, check_bytes = home.border, home.kernel, home.checked, home.need("arguments").check_bytes
local refuse = home.need("arguments").refuse
local ffi = require("ffi")
local C, string_of = ffi.C, ffi.string
local find = string.find

ffi.cdef [[
int luamtev_address_parse(int family, const char *text, void *address) __asm__("inet_pton");
const char *luamtev_address_show(int family, const void *address, char *text, unsigned size) __asm__("inet_ntop");
]]

local families = home.need("mtev/sockaddr").family_number
local inet_address, inet6_address = ffi.typeof("uint8_t[4]"), ffi.typeof("uint8_t[16]")
local text_type = ffi.typeof("char[64]")

-- The family of an address and the address in network byte order; nothing when *text* is none.
local function parse(text)
  if find(text, "\0", 1, true) then return end -- where C would stop reading
  local family, address = "inet", inet_address()
  if find(text, ":", 1, true) then family, address = "inet6", inet6_address() end
  if C.luamtev_address_parse(families[family], text, address) == 1 then return family, address end
end

-- An address as inet_pton gives it: a userdata, for whoever looks at the type, with its bytes by number from 0.
local bytes_of = setmetatable({}, { __mode = "k" })
local address_kind = newproxy(true)
local address_meta = getmetatable(address_kind)

function address_meta.__index(address, i) return bytes_of[address][i] end

function address_meta.__len(address) return ffi.sizeof(bytes_of[address]) end

function address_meta.__tostring(address) return string_of(bytes_of[address], #address) end

function mtev.inet_pton(text)
  local family, bytes = parse(check_bytes(text, "inet_pton"))
  if not family then return false end
  local address = newproxy(address_kind)
  bytes_of[address] = bytes
  return true, family, address
end

local route = checked(border.route_source)

-- The local IPv4 address from which packets to *target* go; none is sent.
function mtev.getip_ipv4(target)
  target = target == nil and "8.8.8.8" or check_bytes(target, "getip_ipv4")
  if parse(target) ~= "inet" then
    refuse(1, "getip_ipv4", "IPv4 address", target, 2)
  end
  local address, reason = route(target)
  if address then return address end
  return nil, reason
end

local resolve = checked(border.resolve)

-- Suspends while the system's resolver works in a thread.
function mtev.getaddrinfo(host)
  host = check_bytes(host, "getaddrinfo")
  local family, address = parse(host)
  if family then
    return string_of(C.luamtev_address_show(families[family], address, text_type(), 64)), family
  end
  if find(host, "\0", 1, true) then return false, "getaddrinfo(" .. host .. ") failed: zero byte in the name" end
  kernel.parkable()
  local ticket = kernel.ticket()
  resolve(ticket, host)
  local found, what = kernel.await(ticket)
  if found then return found, what end
  return false, "getaddrinfo(" .. host .. ") failed: " .. what
end
