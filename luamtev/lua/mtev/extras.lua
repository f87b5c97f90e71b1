-- mtev.extras: small helpers for text, addresses, certificates, forms and cookies.

local home = ...

local huge = math.huge
local time, date = os.time, os.date
local concat = table.concat
local check_bytes, breathe = home.need("arguments").check_bytes, home.kernel.breathe
local refuse = home.need("arguments").refuse
local type, tostring, tonumber, error, select, pcall, pairs, loadstring
  = type, tostring, tonumber, error, select, pcall, pairs, loadstring
local ipairs = ipairs
local sub, find, gsub, format, lower = string.sub, string.find, string.gsub, string.format, string.lower
local gmatch, match, byte, char = string.gmatch, string.match, string.byte, string.char

local extras = {}

-- The pieces of *text* between matches of *pattern*, at most *max* of them split off; an empty last piece is left out.
function extras.split(text, pattern, max)
  text, pattern = check_bytes(text, "split"), check_bytes(pattern, "split", 2)
  local most = max == nil and huge or tonumber(max)
  if not most then refuse(3, "split", "number of splits", type(max), 2) end
  if most < 1 then most = huge end
  local pieces, start, search = {}, 1, 1
  while #pieces < most do
    local first, last = find(text, pattern, search)
    if not first or first > #text then break end
    if last < first then -- nothing matched: the next piece takes a byte at least
      if first > start then
        pieces[#pieces + 1] = sub(text, start, first - 1)
        start = first
      end
      search = first + 1
    else
      pieces[#pieces + 1] = sub(text, start, first - 1)
      start, search = last + 1, last + 1
    end
  end
  if start <= #text then pieces[#pieces + 1] = sub(text, start) end
  return pieces
end

-- 1.2.3.4 as a number: its bytes, the first the most significant.
function extras.iptonumber(address)
  local number = 0
  for part in gmatch(check_bytes(address, "iptonumber"), "%d+") do number = number * 256 + tonumber(part) end
  return number
end

-- Whether a name of a certificate, perhaps with `*` within a label, stands for *host*.
local function names_host(name, host)
  name = gsub(lower(name), "^dns:", "")
  if name == host then return true end
  if not find(name, "*", 1, true) then return false end
  local pattern = gsub(gsub(name, "[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0"), "%*", "[^.]*")
  return find(host, "^" .. pattern .. "$") ~= nil
end

function extras.check_host_header_against_certificate(host, subject, san_list)
  host = lower(check_bytes(host, "check_host_header_against_certificate"))
  for name in gmatch(san_list or "", "[^,%s]+") do
    if names_host(name, host) then return nil end
  end
  local cn = match(subject or "", "CN%s*=%s*([^/,\n]+)")
  if cn and names_host(cn, host) then return nil end
  return "host header does not match CN or SANs in certificate"
end

local function escape(character) return format("%%%02x", byte(character)) end

-- Two digits in any case -> the byte: a table is looked up without a call.
local unescaped = {}
for code = 0, 255 do
  local small, large = format("%02x", code), format("%02X", code)
  for _, first in ipairs({ sub(small, 1, 1), sub(large, 1, 1) }) do
    for _, second in ipairs({ sub(small, 2), sub(large, 2) }) do unescaped[first .. second] = char(code) end
  end
end

local function url_decode(text)
  if not find(text, "%", 1, true) then return text end
  return (gsub(text, "%%(%x%x)", unescaped))
end

function extras.url_encode(text) return (gsub(check_bytes(text, "url_encode"), "[^-_.~%w]", escape)) end

function extras.url_decode(text) return url_decode(check_bytes(text, "url_decode")) end

-- Items of `key=value`; a key alone is true.  Of many, others have their turns in between.
local function decode_items(text, item_pattern, decode)
  local items = {}
  for item in gmatch(text, item_pattern) do
    local at = find(item, "=", 1, true)
    if at then items[decode(sub(item, 1, at - 1))] = decode(sub(item, at + 1)) else items[decode(item)] = true end
    breathe()
  end
  return items
end

local function form_decode(text)
  if find(text, "+", 1, true) then text = gsub(text, "%+", " ") end
  return url_decode(text)
end

-- The fields of a urlencoded body, or one of them; nil for a body of another type.
function extras.decode_form(request, key)
  if not find(lower(request:headers("content-type") or ""), "application/x-www-form-urlencoded", 1, true) then
    return nil
  end
  local form = decode_items(request:payload() or "", "[^&]+", form_decode)
  if key ~= nil then return form[key] end
  return form
end

function extras.decode_cookie(request, key)
  local jar = decode_items(request:headers("cookie") or "", "[^;%s][^;]*", url_decode)
  if key ~= nil then return jar[key] end
  return jar
end

local function cookie_token(text)
  return (gsub(text, "[^-%w]", escape))
end

local function cookie_attribute(name, value)
  value = tostring(value)
  if find(value, "[%c;]") then error("set_cookie: " .. name .. " holds a ';' or a control character", 4) end
  return "; " .. name .. "=" .. value
end

-- Adds a Set-Cookie header to *context*; attrs: expires (seconds from now), domain, path, secure, httponly, samesite.
function extras.set_cookie(context, key, value, attrs)
  local given = {}
  for name, each in pairs(attrs or {}) do given[lower(tostring(name))] = each end
  local header = cookie_token(check_bytes(key, "set_cookie", 2)) .. "="
    .. cookie_token(check_bytes(value, "set_cookie", 3))
  if given.expires then
    local seconds = tonumber(given.expires)
    if not seconds then error("set_cookie: expires is a number of seconds, got " .. tostring(given.expires), 2) end
    header = header .. date("!; Expires=%a, %d-%b-%Y %H:%M:%S GMT", time() + seconds)
  end
  local function add(name, attribute) if attribute then header = header .. cookie_attribute(name, attribute) end end
  add("Domain", given.domain)
  add("Path", given.path)
  add("SameSite", given.samesite)
  if given.secure then header = header .. "; Secure" end
  if given.httponly then header = header .. "; HttpOnly" end
  context:header("Set-Cookie", header)
end

local function emit_results(emit, ok, ...)
  local n = select("#", ...)
  if n > 0 then
    local texts = { ... }
    for i = 1, n do texts[i] = tostring(texts[i]) end
    emit(concat(texts, "\t", 1, n) .. "\n")
  end
  return ok
end

-- Runs Lua code, or evaluates an expression, and hands what comes of it to emit(text), errors too; returns whether
-- it went well.
function extras.repl_eval(code, emit)
  code = gsub(check_bytes(code, "repl_eval"), "^%s*=", "")
  if type(emit) ~= "function" then
    refuse(2, "repl_eval", "function", type(emit), 2)
  end
  local chunk, message = loadstring("return " .. code, "=repl")
  if not chunk then chunk, message = loadstring(code, "=repl") end
  if not chunk then return emit_results(emit, false, message) end
  return emit_results(emit, pcall(chunk))
end

mtev.extras = extras

return extras
