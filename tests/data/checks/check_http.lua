-- A check of a web page, in the manner of monitoring products: redirects, digest authentication, TLS details, body matching.
module(..., package.seeall)

local mtev = require 'mtev'
local HttpClient = require 'mtev.HttpClient'

local function split_url(url)
  local schema, host, port, uri = url:match("^(https?)://([^:/]+):?(%d*)(/?.*)$")
  if not schema then error("malformed url: " .. url) end
  if port == "" then port = schema == "https" and 443 or 80 end
  if uri == "" then uri = "/" end
  return schema, host, tonumber(port), uri
end

local function resolve(host)
  if mtev.dns():is_valid_ip(host) then return host end
  local address = mtev.getaddrinfo(host)
  return address
end

local function once(check, url, auth)
  local schema, host, port, uri = split_url(url)
  local output, connected = {}, false
  local hooks = {
    connected = function() connected = true end,
    consume = function(str) if str then output[#output + 1] = str end end,
    headers = function(hdrs, setcookies) check.seen_headers, check.setcookies = hdrs, setcookies end,
  }
  if check.ca_chain then hooks.cachain = function() return check.ca_chain end end
  local client = HttpClient:new(hooks)
  client:set_timeout(check.timeout or 10)
  local rv, err = client:connect(resolve(host), port, schema == "https", host)
  if rv ~= 0 then return nil, "unable to connect: " .. (err or "?") end
  if not connected then return nil, "no hook" end
  local headers = { Host = host .. ":" .. port }
  if auth then headers.Authorization = auth end
  client:do_request(check.method or "GET", uri, headers, check.payload)
  local ok, why = pcall(client.get_response, client, check.read_limit or 1048576)
  if not ok then return nil, why end
  if schema == "https" then
    local ssl = client:ssl_ctx()
    check.ssl = ssl and { error = ssl.error, subject = ssl.subject, san = ssl.san_list, left = ssl.end_time - os.time(),
      bits = ssl.peer_certificate.bits, method = ssl.method, cipher = ssl.current_cipher,
      mismatch = mtev.extras.check_host_header_against_certificate(host, ssl.subject, ssl.san_list) }
  end
  return client, table.concat(output)
end

function run(check)
  local url, redirects, auth = check.url, check.redirects or 0, nil
  while true do
    local client, body = once(check, url, auth)
    if not client then return { state = "bad", message = body } end
    if client.code == 401 and check.user and not auth then
      local challenge = client.headers["www-authenticate"]:gsub("^Digest%s+", "")
      local _, _, _, uri = split_url(url)
      auth = "Digest " .. client:auth_digest(check.method or "GET", uri, check.user, check.password, challenge)
    elseif client.code >= 301 and client.code <= 308 and redirects > 0 then
      local target = client.headers.location
      url = target:match("^https?://") and target or url:match("^(https?://[^/]+)") .. target
      redirects = redirects - 1
    else
      local result = { state = "good", code = client.code, bytes = #body, body = body, truncated = client.truncated,
        protocol = client.protocol, ssl = check.ssl }
      if check.extract then
        local expression = mtev.pcre(check.extract)
        result.matches = {}
        while true do
          local found, whole, key, value = expression(body)
          if not found then break end
          result.matches[#result.matches + 1] = (key or whole) .. "=" .. (value or "")
        end
      end
      return result
    end
  end
end
