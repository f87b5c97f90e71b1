-- URLs of http and https as clients need them: taken apart, and references resolved against them.  RFC 3986.
--
-- A URL is a table: scheme, host (an IPv6 address without its brackets), port, path (with the query string, never empty),
-- userinfo or nil.

local concat = table.concat
local M = {}

local find, sub, match, lower, gsub, format, gmatch
  = string.find, string.sub, string.match, string.lower, string.gsub, string.format, string.gmatch
local tonumber, char = tonumber, string.char

local PORTS = { http = 80, https = 443 }

local function unescape(text)
  return (gsub(text, "%%(%x%x)", function(digits) return char(tonumber(digits, 16)) end))
end
M.unescape = unescape

-- The URL in *text*; nil when it is none of http or https.
function M.parse(text)
  if find(text, "[%s%c]") then return nil end
  local scheme, authority, path = match(text, "^(%a[%w+.-]*)://([^/?#]*)([^#]*)")
  scheme = scheme and lower(scheme)
  if not PORTS[scheme] then return nil end
  local userinfo, place = match(authority, "^(.*)@([^@]*)$")
  place = place or authority
  local host, port = match(place, "^%[([%x:.]+)%]:?(%d*)$")
  if not host then host, port = match(place, "^([^:%[%]]+):?(%d*)$") end
  if not host then return nil end
  port = port ~= "" and tonumber(port) or PORTS[scheme]
  if port < 1 or port > 65535 then return nil end
  if sub(path, 1, 1) ~= "/" then path = "/" .. path end
  return { scheme = scheme, host = lower(host), port = port, path = path, userinfo = userinfo }
end

-- The host of a URL as it stands in one, with its port unless that goes without saying.
function M.authority(url)
  local host = find(url.host, ":", 1, true) and "[" .. url.host .. "]" or url.host
  return url.port == PORTS[url.scheme] and host or host .. ":" .. url.port
end

function M.text(url) return format("%s://%s%s", url.scheme, M.authority(url), url.path) end

function M.is_same_origin(one, other)
  return one.scheme == other.scheme and lower(one.host) == lower(other.host) and one.port == other.port
end

-- RFC 3986, 5.2.4.
local function without_dots(path)
  local found, n = {}, 0
  local last
  for segment in gmatch(path, "/([^/]*)") do
    last = segment
    if segment == ".." then
      if n > 0 then
        found[n] = nil
        n = n - 1
      end
    elseif segment ~= "." then
      n = n + 1
      found[n] = segment
    end
  end
  if last == "." or last == ".." then
    n = n + 1
    found[n] = ""
  end
  return "/" .. concat(found, "/", 1, n)
end

-- What *reference* means on the page at *base*; nil when that is no URL of http or https.
function M.resolve(base, reference)
  reference = match(reference, "^%s*(.-)%s*$")
  if find(reference, "[%s%c]") then return nil end
  reference = match(reference, "^[^#]*")
  if match(reference, "^%a[%w+.-]*:") then return M.parse(reference) end
  if sub(reference, 1, 2) == "//" then return M.parse(base.scheme .. ":" .. reference) end
  local base_path = match(base.path, "^[^?]*")
  local path, query = match(reference, "^([^?]*)(.*)$")
  if path == "" then
    path = base_path
    if query == "" then query = match(base.path, "%?.*$") or "" end
  else
    if sub(path, 1, 1) ~= "/" then path = match(base_path, "^.*/") .. path end
    path = without_dots(path)
  end
  return { scheme = base.scheme, host = base.host, port = base.port, path = path .. query }
end

return M
