-- Heads of HTTP/1 requests, strictly: what is not surely understood is named and left to the Python side.  RFC 9112.
--
--   parse(bytes, from, size)   bytes is a `const uint8_t *`; looks at the head that begins at `from`
--     -> next, method, target, mark, minor, head     the offset behind it; the request line's parts, `mark` being the
--                                                    length of the path in the target; and what its headers say
--     -> 0                                           the head is not all there
--     -> nil, reason                                 it is none that this parser takes
--
--   remember(bytes, from, to, line)   keeps what a caller found out of the head there; line.raw is the head from then on
--   parse_known(bytes, from, size)    -> that line, and the offset behind the head, if it came before as it is; nil
--   is_same(bytes, from, size, line)  -> the offset behind the head, if it is that of *line*, which is remembered; nil
--
-- What headers say is remembered by their bytes, for most clients send the same ones again and again: head.text, the
-- lines; head.close, a word on the connection: true, false for keep-alive, nil for none; head.length, of the body, 0
-- without one; head.announces, that there is one, if of no bytes; head.expects, that the client waits for a 100;
-- head.trace, the headers of a trace by lower-case name, false without any.

local tonumber = tonumber
local ffi = require("ffi")
local bit = require("bit")
local bxor, rol, tobit = bit.bxor, bit.rol, bit.tobit
local string_of, lower, find, sub, byte = ffi.string, string.lower, string.find, string.sub, string.byte
local char, gmatch, gsub, upper = string.char, string.gmatch, string.gsub, string.upper

ffi.cdef [[
void *luamtev_memmem(const void *in, size_t size, const void *what, size_t length) __asm__("memmem");
int luamtev_memcmp(const void *one, const void *other, size_t size) __asm__("memcmp");
]]
local C = ffi.C

local MOST_KNOWN, MOST_KNOWN_SIZE = 512, 1024 -- heads that are remembered, and how long they may be
local SPACE, TAB, COLON, CR, LF, QUESTION = 32, 9, 58, 13, 10, 63

local METHODS = { GET = true, HEAD = true, POST = true, PUT = true, DELETE = true, PATCH = true, OPTIONS = true }

-- By byte: what it is in lower case in the name of a header, 0 where it cannot be in one.
local name_bytes = ffi.new("uint8_t[256]")
for code in gmatch("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz", ".") do
  name_bytes[byte(code)] = byte(code)
  name_bytes[byte(upper(code))] = byte(code)
end

-- By byte: 1 where it may be in a target.  Fragments, quotes, backslashes and what is no ASCII are for others.
local target_bytes = ffi.new("uint8_t[256]")
for code = 33, 126 do target_bytes[code] = 1 end
for code in gmatch('#"\\', ".") do target_bytes[byte(code)] = 0 end

local function hash_of(name)
  local hash = 0
  for i = 1, #name do hash = bxor(rol(hash, 5), byte(name, i)) end
  return hash
end

-- Names that say something of the framing, and those that make a request unusual.
local HOST, CONNECTION, LENGTH, EXPECT, TRACE = 1, 2, 3, 4, 5
local TELLING = {
  host = HOST, connection = CONNECTION, ["content-length"] = LENGTH, expect = EXPECT,
  ["transfer-encoding"] = "coding", trailer = "coding", te = "coding",
  ["content-encoding"] = "coding",
  ["x-b3-traceid"] = TRACE, ["x-b3-parentspanid"] = TRACE, ["x-b3-sampled"] = TRACE, traceparent = TRACE,
  upgrade = "upgrade", ["http2-settings"] = "upgrade", ["proxy-connection"] = "head", ["keep-alive"] = "head",
}
local telling_hashes = {} -- most names are none of these, and their hash says so
for name in pairs(TELLING) do telling_hashes[hash_of(name)] = true end

local function says(value)
  value = lower(value)
  if value == "keep-alive" then return false end
  if value == "close" then return true end
  return nil, "head"
end

-- Reads the lines of a head, from `from` up to `to`, where the last of them ends.  nil and a reason when it is unusual.
local function read_lines(bytes, from, to)
  local head = { text = string_of(bytes + from, to - from), close = nil, length = 0, announces = false, expects = false,
    trace = false }
  local has_host, has_length = false, false
  local i = from
  while i < to do
    local start, hash = i, 0
    local code = name_bytes[bytes[i]]
    while code ~= 0 do
      hash = bxor(rol(hash, 5), code)
      i = i + 1
      code = name_bytes[bytes[i]]
    end
    if bytes[i] ~= COLON or i == start then return nil, "head" end
    local name_end = i
    i = i + 1
    while bytes[i] == SPACE do i = i + 1 end
    local value_start = i
    code = bytes[i]
    while code >= SPACE and code < 127 or code == TAB do
      i = i + 1
      code = bytes[i]
    end
    if code ~= CR or bytes[i + 1] ~= LF then return nil, "head" end
    local last = bytes[i - 1]
    if i == value_start or last == SPACE or last == TAB or bytes[value_start] == TAB then return nil, "head" end
    if telling_hashes[tobit(hash)] then
      local name = lower(string_of(bytes + start, name_end - start))
      local kind = TELLING[name]
      local value = string_of(bytes + value_start, i - value_start)
      if kind == HOST then
        if has_host then return nil, "head" end
        has_host = true
      elseif kind == CONNECTION then
        if head.close ~= nil then return nil, "head" end
        local close, reason = says(value)
        if reason then return nil, reason end
        head.close = close
      elseif kind == LENGTH then
        if has_length or #value > 15 or find(value, "%D") then return nil, "head" end
        has_length, head.length, head.announces = true, tonumber(value), true
      elseif kind == EXPECT then
        if head.expects or lower(value) ~= "100-continue" then return nil, "head" end
        head.expects = true
      elseif kind == TRACE then
        local trace = head.trace or {}
        trace[name] = trace[name] and trace[name] .. ", " .. value or value
        head.trace = trace
      elseif kind then
        return nil, kind
      end
    end
    i = i + 2
  end
  if not has_host then return nil, "head" end
  return head
end

-- The beginning of a head: 0 while it may become a good one, nil and a reason once it cannot.
local function begun(bytes, from, size)
  if bytes[from] < 65 or bytes[from] > 90 then return nil, "method" end
  for i = from, size - 1 do
    local code = bytes[i]
    if code == CR then
      if i + 1 < size and bytes[i + 1] ~= LF then return nil, "head" end
    elseif code == LF then
      if bytes[i - 1] ~= CR then return nil, "head" end
    elseif (code < SPACE or code > 126) and code ~= TAB then
      return nil, "head"
    end
  end
  return 0
end

local whole, whole_count = {}, 0

local function parse_known(bytes, from, size)
  local found = C.luamtev_memmem(bytes + from, size - from, "\r\n\r\n", 4)
  if found == nil then return nil end
  local length = tonumber(ffi.cast("const uint8_t *", found) - bytes) + 4 - from
  if length > MOST_KNOWN_SIZE then return nil end
  return whole[string_of(bytes + from, length)], from + length
end

local function remember(bytes, from, to, line)
  if to - from > MOST_KNOWN_SIZE then return end
  if whole_count >= MOST_KNOWN then whole, whole_count = {}, 0 end
  local text = string_of(bytes + from, to - from)
  if not whole[text] then whole_count = whole_count + 1 end
  whole[text], line.raw = line, text
end

-- A head ends with its first empty line: bytes that begin with a whole one begin with no other.
local function is_same(bytes, from, size, line)
  local raw = line.raw
  if #raw > size - from or C.luamtev_memcmp(bytes + from, raw, #raw) ~= 0 then return nil end
  return from + #raw
end

local known, known_count = {}, 0

local function parse(bytes, from, size)
  local found = C.luamtev_memmem(bytes + from, size - from, "\r\n\r\n", 4)
  if found == nil then return begun(bytes, from, size) end
  local to = tonumber(ffi.cast("const uint8_t *", found) - bytes) + 2 -- where the last line ends

  local i = from
  while bytes[i] >= 65 and bytes[i] <= 90 do i = i + 1 end
  local method = string_of(bytes + from, i - from)
  if bytes[i] ~= SPACE or not METHODS[method] then return nil, "method" end
  i = i + 1
  local start, mark = i, -1
  local code = bytes[i]
  if code ~= 47 then return nil, "target" end
  while target_bytes[code] == 1 do
    if code == QUESTION and mark < 0 then mark = i - start end
    i = i + 1
    code = bytes[i]
  end
  if code ~= SPACE then return nil, "target" end
  local target = string_of(bytes + start, i - start)
  if mark < 0 then mark = i - start end
  local version = bytes + i + 1 -- "HTTP/1.1"
  if to - i < 11 or version[0] ~= 72 or version[1] ~= 84 or version[2] ~= 84 or version[3] ~= 80 or version[4] ~= 47
    or version[5] ~= 49 or version[6] ~= 46 or version[8] ~= CR or version[9] ~= LF then
    return nil, "version"
  end
  local minor = version[7] - 48
  if minor ~= 1 and minor ~= 0 then return nil, "version" end
  i = i + 11

  if i >= to then return nil, "head" end
  local text = string_of(bytes + i, to - i)
  local head = known[text]
  if not head then
    local reason
    head, reason = read_lines(bytes, i, to)
    if not head then return nil, reason end
    if to - i <= MOST_KNOWN_SIZE then
      if known_count >= MOST_KNOWN then known, known_count = {}, 0 end
      known[text], known_count = head, known_count + 1
    end
  end
  return to + 2, method, target, mark, minor, head
end

-- The headers in *text* by lower-case name, a table of their own; those that came more than once joined, as of
-- `Request.headers`.
local function fields(text)
  local found = {}
  local at = 1
  while at <= #text do
    local colon = find(text, ":", at, true)
    local ending = find(text, "\r\n", colon, true)
    local start = colon + 1
    while byte(text, start) == SPACE do start = start + 1 end
    local name, value = lower(sub(text, at, colon - 1)), sub(text, start, ending - 1)
    local before = found[name]
    if before then value = before .. (name == "cookie" and "; " or ", ") .. value end
    found[name] = value
    at = ending + 2
  end
  return found
end

local function unescape(digits) return char(tonumber(digits, 16)) end

local function decoded(text)
  if find(text, "+", 1, true) then text = gsub(text, "%+", " ") end
  if find(text, "%", 1, true) then text = gsub(text, "%%(%x%x)", unescape) end
  return text
end

-- The parameters of a query string, decoded; the first of a name counts.
local function parameters(query)
  local found = {}
  for part in gmatch(query, "[^&]+") do
    local at = find(part, "=", 1, true)
    local name = decoded(at and sub(part, 1, at - 1) or part)
    if found[name] == nil then found[name] = at and decoded(sub(part, at + 1)) or "" end
  end
  return found
end

return {
  is_same = is_same, parse = parse, parse_known = parse_known, remember = remember, fields = fields, parameters = parameters,
}
