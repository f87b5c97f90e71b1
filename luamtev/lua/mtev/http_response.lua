-- HTTP/1 responses, read off a source of bytes (RFC 9112).  Knows nothing of sockets, requests or encodings.
--
-- A source is a function that returns the next bytes, or nil at the end of the stream.  What a peer can do wrong raises
-- `malformed response: ...`; nothing grows without bound, whatever it sends.

local home = ...

local find, sub, match, lower, concat = string.find, string.sub, string.match, string.lower, table.concat
local tonumber, error, setmetatable, rawget, type = tonumber, error, setmetatable, rawget, type
local min, huge = math.min, math.huge

local LINE = 65536 -- bytes of a line
local HEADERS = 1048576 -- bytes of all header lines

local function malformed(what) error("malformed response: " .. what, 0) end

local header_meta = {
  __index = function(headers, name) return type(name) == "string" and rawget(headers, lower(name)) or nil end,
}

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

-- Fields up to an empty line, by lower-case name, and those of Set-Cookie in order.
function Reader:fields()
  local headers, cookies = setmetatable({}, header_meta), {}
  local total, name = 0, nil
  while true do
    local line = self:line()
    if not line then malformed("the stream ends inside the headers") end
    if line == "" then return headers, cookies end
    total = total + #line
    if total > HEADERS then malformed("more than " .. HEADERS .. " bytes of headers") end
    local folded = match(line, "^[ \t]+(.*)$")
    local value
    if folded then
      if not name then malformed("a continued line before the first header") end
      if name == "set-cookie" then
        cookies[#cookies] = cookies[#cookies] .. " " .. folded
      else
        headers[name] = rawget(headers, name) .. " " .. folded
      end
    else
      name, value = match(line, "^([!#$%%&'*+%-.^_`|~%w]+):[ \t]*(.-)[ \t]*$")
      if not name then malformed("no header: '" .. sub(line, 1, 80) .. "'") end
      name = lower(name)
      if name == "set-cookie" then
        cookies[#cookies + 1] = value
      elseif rawget(headers, name) then
        headers[name] = headers[name] .. ", " .. value
      else
        headers[name] = value
      end
    end
  end
end

-- Status line and headers of the next final response: protocol, code, reason, headers, cookies.
-- nil when the stream ends before it begins.
function Reader:head()
  while true do
    local line = self:line()
    if not line then return nil end
    local version, code, reason = match(line, "^HTTP/(%d%.%d) (%d%d%d) ?(.*)$")
    if not version then malformed("no status line: '" .. sub(line, 1, 80) .. "'") end
    local headers, cookies = self:fields()
    code = tonumber(code)
    if code >= 200 or code == 101 then return "HTTP/" .. version, code, reason, headers, cookies end
  end
end

local function length_of(headers)
  local text = headers["content-length"]
  if not text then return nil end
  local first = match(text, "^%d+")
  for each in (text .. ","):gmatch("%s*([^,]*),") do
    if each:match("^(%d+)%s*$") ~= first then malformed("Content-Length: " .. sub(text, 1, 80)) end
  end
  local length = tonumber(first)
  if not length or length > 2 ^ 53 then malformed("Content-Length: " .. sub(text, 1, 80)) end
  return length
end

-- How the body of a response ends: "none", "chunked", "close", or its length.
function home.http_framing(method, code, headers)
  if method == "HEAD" or code == 204 or code == 304 or code == 101 then return "none" end
  local coding = headers["transfer-encoding"]
  if coding then
    if lower(coding) ~= "chunked" then malformed("Transfer-Encoding: " .. sub(coding, 1, 80)) end
    return "chunked"
  end
  return length_of(headers) or "close"
end

local function read_counted(reader, length, consume)
  local rest = length
  while rest > 0 do
    local piece = reader:some(rest)
    if not piece then malformed("the stream ends after " .. length - rest .. " of " .. length .. " bytes") end
    rest = rest - #piece
    if consume(piece) == false then return false end
  end
end

local function read_chunks(reader, consume)
  while true do
    local line = reader:line()
    local digits = line and match(line, "^(%x+)[ \t]*$") or line and match(line, "^(%x+)[ \t]*;")
    if not digits or #digits > 13 then
      malformed("no size of a chunk: '" .. sub(line or "", 1, 80) .. "'")
    end
    local size = tonumber(digits, 16)
    if size == 0 then return reader:fields() end
    if read_counted(reader, size, consume) == false then return false end
    if reader:line() ~= "" then malformed("a chunk longer than its size") end
  end
end

-- Hands the body piece by piece to *consume*, until that returns false; returns false then, else the trailers or nothing.
function Reader:body(framing, consume)
  if framing == "none" then return end
  if framing == "chunked" then return read_chunks(self, consume) end
  if framing ~= "close" then return read_counted(self, framing, consume) end
  while true do
    local piece = self:some(huge)
    if not piece then return end
    if consume(piece) == false then return false end
  end
end

function home.http_reader(source) return setmetatable({ source = source, input = "", at = 1, raw = 0 }, Reader) end

local PIECE = 8192 -- compressed bytes inflated at once
local MOST = PIECE * 1100 -- what they can become

-- A function that decodes pieces of a body in *encoding* and hands what they become to *consume*; nil if it is unknown.
function home.http_decoder(encoding, consume)
  encoding = encoding and lower(encoding) or "identity"
  if encoding == "identity" or encoding == "" then return consume end
  if encoding ~= "gzip" and encoding ~= "x-gzip" and encoding ~= "deflate" then return nil end
  local inflate = mtev.gunzip()
  return function(data)
    for from = 1, #data, PIECE do
      local text = inflate(sub(data, from, min(from + PIECE - 1, #data)), MOST)
      if text ~= "" and consume(text) == false then return false end
    end
  end
end
