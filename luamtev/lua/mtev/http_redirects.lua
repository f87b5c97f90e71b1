-- Where a redirect leads, and what is sent there.  RFC 9110, 15.4.
--
-- What is asked is a table: method, target (http_urls.lua), headers, payload, sslconfig; came, the URLs it was redirected
-- from; seen, what was asked on the way.

local home = ...

local sub = string.sub
local urls = home.need("mtev/http_urls")
local pairs, lower = pairs, string.lower

local CODES = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }
local CREDENTIALS = { authorization = true, cookie = true, ["proxy-authorization"] = true }

-- The method that *code* leaves of one; 303 says to look elsewhere, and 301 and 302 are taken so after a POST.
local function method_after(code, method)
  if code == 303 and method ~= "HEAD" or (code == 301 or code == 302) and method == "POST" then return "GET" end
  return method
end

-- The headers of *asked* for another request, whose method may be the *same*: if not, without those of a body.
local function headers_for(asked, same_origin, same_method)
  local kept = {}
  for name, value in pairs(asked.headers) do
    local key = lower(name)
    local is_of_body = sub(key, 1, 8) == "content-" or key == "transfer-encoding"
    local drops = key == "host" and not same_origin or is_of_body and not same_method or CREDENTIALS[key] and not same_origin
    if not drops then kept[name] = value end
  end
  return kept
end

-- Of a client's certificate only who is to be believed goes to another origin.
local function sslconfig_for(asked, target, same_origin)
  local config = asked.sslconfig
  if target.scheme ~= "https" or same_origin then return config end
  local kept = {}
  for name, value in pairs(config or {}) do kept[name] = value end
  for _, name in pairs({ "certificate_file", "certificate", "key_file", "key" }) do kept[name] = nil end
  return kept
end

local M = {}

-- What is asked next after *result*; nil when it redirects nowhere, nil and why when that is not followed.
function M.follow(asked, result, most)
  local location = CODES[result.code] and result.headers["location"]
  local target = location and urls.resolve(asked.target, location)
  if not target then return nil end
  if #asked.came >= most then return nil, "more than " .. most .. " redirects" end
  local method = method_after(result.code, asked.method)
  local seen, came = asked.seen, asked.came
  seen[asked.method .. " " .. urls.text(asked.target)] = true
  came[#came + 1] = urls.text(asked.target)
  if seen[method .. " " .. urls.text(target)] then return nil, "redirected in a circle, to " .. urls.text(target) end
  local same_origin = urls.is_same_origin(asked.target, target)
  local same_method = method == asked.method
  local headers = headers_for(asked, same_origin, same_method)
  if not same_origin then headers.Host = urls.authority(target) end
  return {
    method = method, target = target, headers = headers, payload = same_method and asked.payload or nil, came = came, seen = seen,
    sslconfig = sslconfig_for(asked, target, same_origin),
  }
end

return M
