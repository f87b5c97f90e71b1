-- HTTP/1 responses, read off a source of bytes (RFC 9112).  Knows nothing of sockets, requests or encodings.
--
-- A source is a function that returns the next bytes, or nil at the end of the stream.  What a peer can do wrong raises:
-- the faults that have words in the original in those, others as `malformed response: ...`.  Nothing grows without bound,
-- whatever the peer sends.

local home = ...

local gmatch = string.gmatch
local M = {}
local new_inflater = home.need("mtev/gunzip").new_inflater
local find, sub, match, lower, concat = string.find, string.sub, string.match, string.lower, table.concat
local tonumber, error, setmetatable, rawget, type, pcall = tonumber, error, setmetatable, rawget, type, pcall
local min, huge = math.min, math.huge

local LINE = 65536 -- bytes of a line
local CHUNK = 1048576 -- bytes of a chunk that are handed on in one piece
local HEADERS = 1048576 -- bytes of all header lines

local function malformed(what) error("malformed response: " .. what, 0) end

-- Fields by the name they came with, to be had by that name in any case.
local function new_headers()
  local spelled = {} -- lower-case name -> as it came
  local headers = setmetatable({}, {
    __index = function(headers, name)
      local known = type(name) == "string" and spelled[lower(name)]
      if known then return rawget(headers, known) end
    end,
  })
  return headers, spelled
end

local FRAMING = { ["content-length"] = true, ["transfer-encoding"] = true } -- every value counts

-- Enters a field; of several with one name the last counts.
local function enter(headers, spelled, name, value)
  local key = lower(name)
  local known = spelled[key]
  if known then
    if FRAMING[key] then value = headers[known] .. ", " .. value end
    headers[known] = nil
  end
  spelled[key], headers[name] = name, value
end

local Reader = {}
Reader.__index = Reader

-- Makes sure that there are unread bytes; false at the end of the stream.
function Reader:more()
  while self.at > #self.input do
    local data = self.source()
    if not data then return false end
    self.input, self.at = data, 1
    self.raw = self.raw + #data
  end
  return true
end

-- The next line without its end; nil at the end of the stream before any of it.
function Reader:line()
  local pieces, n, length = nil, 0, 0
  while self:more() do
    local stop = find(self.input, "\n", self.at, true)
    local piece = sub(self.input, self.at, stop or -1)
    self.at = self.at + #piece
    length = length + #piece
    if length > LINE then malformed("a line of more than " .. LINE .. " bytes") end
    if stop then
      if n > 0 then piece = concat(pieces, "", 1, n) .. piece end
      return sub(piece, 1, sub(piece, -2, -2) == "\r" and -3 or -2)
    end
    pieces, n = pieces or {}, n + 1
    pieces[n] = piece
  end
  if n > 0 then malformed("the stream ends inside a line") end
end

-- At most *most* unread bytes; nil at the end of the stream.
function Reader:some(most)
  if not self:more() then return nil end
  local input, at = self.input, self.at
  local stop = min(#input, at + most - 1)
  self.at = stop + 1
  if at == 1 and stop == #input then return input end
  return sub(input, at, stop)
end

-- Fields up to an empty line, and those of Set-Cookie in order.
function Reader:fields()
  local headers, spelled = new_headers()
  local cookies = {}
  local total, name = 0, nil
  while true do
    local line = self:line()
    if not line then malformed("the stream ends inside the headers") end
    if line == "" then return headers, cookies end
    total = total + #line
    if total > HEADERS then malformed("more than " .. HEADERS .. " bytes of headers") end
    local folded = match(line, "^[ \t]+(.*)$")
    if folded then
      if not name then malformed("a continued line before the first header") end
      if lower(name) == "set-cookie" then
        cookies[#cookies] = cookies[#cookies] .. " " .. folded
      else
        headers[name] = headers[name] .. " " .. folded
      end
    else
      local value
      name, value = match(line, "^([!#$%%&'*+%-.^_`|~%w]+):[ \t]*(.-)[ \t]*$")
      if not name then error("malformed header line", 0) end
      if lower(name) == "set-cookie" then
        cookies[#cookies + 1] = value
      else
        enter(headers, spelled, name, value)
      end
    end
  end
end

-- Status line and headers of the next final response: protocol, code, reason, headers, cookies.
function Reader:head()
  while true do
    local line = self:line()
    if not line then error("no response", 0) end
    local version, code, reason = match(line, "^HTTP/(%d%.%d) (%d%d%d)(.*)$")
    if not version or reason ~= "" and sub(reason, 1, 1) ~= " " then error("malformed HTTP response:\n" .. sub(line, 1, 80), 0) end
    local headers, cookies = self:fields()
    code = tonumber(code)
    if code >= 200 or code == 101 then return version, code, sub(reason, 2), headers, cookies end
  end
end

local function length_of(headers)
  local text = headers["content-length"]
  if not text then return nil end
  local first = match(text, "^%d+")
  for each in gmatch(text .. ",", "%s*([^,]*),") do
    if match(each, "^(%d+)%s*$") ~= first then malformed("Content-Length: " .. sub(text, 1, 80)) end
  end
  local length = tonumber(first)
  if not length or length > 2 ^ 53 then malformed("Content-Length: " .. sub(text, 1, 80)) end
  return length
end

-- How the body of a response ends: "none", "chunked", "close", or its length.
function M.framing(method, code, headers)
  if method == "head" or code == 204 or code == 304 or code == 101 then return "none" end
  local coding = headers["transfer-encoding"]
  if coding then
    if lower(coding) ~= "chunked" then malformed("Transfer-Encoding: " .. sub(coding, 1, 80)) end
    return "chunked"
  end
  return length_of(headers) or "close"
end

-- Hands on *length* bytes; false when *consume* wants no more, else how many came before the stream ended.
local function read_counted(reader, length, consume)
  local rest = length
  while rest > 0 do
    local piece = reader:some(rest)
    if not piece then break end
    rest = rest - #piece
    if consume(piece) == false then return false end
  end
  return length - rest
end

-- The same for a chunk, which is handed on whole unless it is large.
local function read_chunk(reader, size, consume)
  local pieces, n, gathered, wanted = {}, 0, 0, true
  local function hand_on()
    if n > 0 then wanted = consume(concat(pieces, "", 1, n)) end
    n, gathered = 0, 0
    return wanted
  end
  local came = read_counted(reader, size, function(piece)
    n, gathered = n + 1, gathered + #piece
    pieces[n] = piece
    if gathered >= CHUNK then return hand_on() end
  end)
  if came == false then return false end
  if came < size then error("short chunked read", 0) end
  return hand_on()
end

-- The result of a protected call; what is malformed there has *words* of its own.
local function in_words(words, good, result)
  if good then return result end
  error(find(result, "^malformed") and words or result, 0)
end

local function read_chunks(reader, consume)
  while true do
    local line = in_words("bad chunk transfer", pcall(reader.line, reader))
    if not line then error("bad chunk transfer", 0) end
    local digits = match(line, "^(%x+)[ \t]*$") or match(line, "^(%x+)[ \t]*;")
    if not digits or #digits > 13 then error("bad chunk length: " .. sub(line, 1, 80), 0) end
    local size = tonumber(digits, 16)
    if size == 0 then
      return in_words("bad chunk trailers", pcall(reader.fields, reader))
    end
    if read_chunk(reader, size, consume) == false then return false end
    local boundary = in_words("short chunked boundary read", pcall(reader.line, reader))
    if boundary ~= "" then error("short chunked boundary read", 0) end
  end
end

-- Hands the body piece by piece to *consume*, until that returns false; returns false then, else the trailers or nothing.
-- A stream that ends before any of a body of known length gives none: `missing` tells.
function Reader:body(framing, consume)
  self.missing = false
  if framing == "none" then return end
  if framing == "chunked" then return read_chunks(self, consume) end
  if framing ~= "close" then
    local came = read_counted(self, framing, consume)
    if not came then return false end
    if came > 0 and came < framing then malformed("the stream ends after " .. came .. " of " .. framing .. " bytes") end
    self.missing = came < framing
    return
  end
  while true do
    local piece = self:some(huge)
    if not piece then return end
    if consume(piece) == false then return false end
  end
end

-- What was taken from the source and not read yet; it is no longer the reader's.
function Reader:rest()
  local rest = sub(self.input, self.at)
  self.input, self.at = "", 1
  return rest
end

function M.reader(source) return setmetatable({ source = source, input = "", at = 1, raw = 0, missing = false }, Reader) end

local PIECE = 8192 -- compressed bytes inflated at once
local MOST = PIECE * 1100 -- what they can become

local GZIP = { gzip = true, ["x-gzip"] = true, deflate = true }

-- Whether a body in *encoding* is to be inflated; raises for an encoding that is not known.
local function is_compressed(encoding)
  local compressed = false
  for each in gmatch(encoding and lower(encoding) or "", "[^,%s]+") do
    compressed = compressed or GZIP[each]
    if not GZIP[each] and each ~= "identity" then error("unknown content-encoding: " .. encoding, 0) end
  end
  return compressed
end

-- A function that decodes pieces of a body in *encoding* and hands what they become to *consume*, and one to be called at
-- the end of the body.
function M.decoder(encoding, consume)
  if not is_compressed(encoding) then return consume, function() end end
  local inflate, has_ended = new_inflater()
  local came = false
  return function(data)
    came = true
    for from = 1, #data, PIECE do
      local text = inflate(sub(data, from, min(from + PIECE - 1, #data)), MOST)
      if text ~= "" and consume(text) == false then return false end
    end
  end, function()
    if came and not has_ended() then malformed("the body ends inside its " .. encoding .. " stream") end
  end
end

return M
