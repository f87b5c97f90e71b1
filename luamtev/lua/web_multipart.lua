-- Forms of the type multipart/form-data, as they come: each part is handed to a function that reads it, saves it or lets
-- it be.  RFC 7578, RFC 2046.
--
-- The body is a stream of pieces that may be torn anywhere.  What keeps it from being understood, or read, is kept in the
-- form as `failure`; whoever reads gets nothing more then, and the request is refused unless its handler answers.

local home = ...

local remove = os.remove
local body = home.need("web_body")

local find, sub, match, lower, gsub = string.find, string.sub, string.match, string.lower, string.gsub
local error, type, tostring, setmetatable, concat, min, max = error, type, tostring, setmetatable, table.concat, math.min, math.max

local MOST_PARTS, MOST_HEAD = 1000, 16384 -- parts of a form, and bytes of the headers of one
local WRITE = 1048576 -- bytes of a file that are written at once

local function fail(form, why, status)
  if not form.failure then
    form.failure = "multipart form: " .. why
    form.request.source.refusal = status or 400
  end
  return nil, form.failure
end

-- Makes the form's buffer longer; false at the end, and nil when there is a failure.
local function more(form)
  if form.failure then return nil end
  local piece, why = body.read(form.request, body.PIECE)
  if why then
    form.failure = why -- and the refusal is there
    return nil
  end
  if not piece then return false end
  form.buffer = form.buffer .. piece
  return true
end

-- The next bytes of the part under way, *most* at most; nil at its end, behind whose delimiter the form is then, or when
-- there is a failure.
local function read_part(form, most)
  local delimiter = form.delimiter
  while true do
    local at = form.at -- where the delimiter begins, if that is known; in front of form.clean + 1 none does
    if not at then
      at = find(form.buffer, delimiter, form.clean + 1, true)
      form.at, form.clean = at, at and at - 1 or max(form.clean, #form.buffer - #delimiter + 1)
    end
    if form.clean > 0 then
      local size = min(most, form.clean)
      local piece = sub(form.buffer, 1, size)
      form.buffer, form.clean = sub(form.buffer, size + 1), form.clean - size
      if at then form.at = at - size end
      return piece
    end
    if at then
      form.buffer, form.at = sub(form.buffer, #delimiter + 1), nil
      return nil
    end
    if not more(form) then return fail(form, "it ends inside a part") end
  end
end

-- A line up to CRLF, of *most* bytes at most.
local function read_line(form, most)
  while true do
    local at = find(form.buffer, "\r\n", 1, true)
    if (at or #form.buffer) > most then return fail(form, "the head of a part is too long") end
    if at then
      local line = sub(form.buffer, 1, at - 1)
      form.buffer = sub(form.buffer, at + 2)
      return line
    end
    if not more(form) then return fail(form, "it ends inside the head of a part") end
  end
end

local ESCAPES = { ["22"] = '"', ["0D"] = "\r", ["0A"] = "\n" }

-- The value that *text* begins with, a token or a quoted string, and what follows it.  Browsers write quotes and line ends
-- as %22, %0D and %0A, others put a backslash before a quote.
local function value_of(text)
  if sub(text, 1, 1) ~= '"' then return match(text, '^([^%s;"]+)(.*)$') end
  local at = 2
  while true do
    at = find(text, '["\\]', at)
    if not at then return nil end
    if sub(text, at, at) == '"' then break end
    at = at + 2
  end
  local quoted = gsub(sub(text, 2, at - 1), '\\(["\\])', "%1")
  return (gsub(quoted, "%%([02][2DA])", ESCAPES)), sub(text, at + 1)
end

-- The first word of a header's value, and its parameters by lower-case name; nil when they cannot be understood, for one
-- that is there twice others may see otherwise.
local function parameters_of(header)
  local word, rest = match(header, "^%s*([^%s;]+)%s*(.*)$")
  if not word then return nil end
  local found = {}
  while not match(rest, "^;?%s*$") do
    local name, text = match(rest, '^;%s*([^%s=;"]+)%s*=%s*(.*)$')
    if not name or found[lower(name)] then return nil end
    local value
    value, rest = value_of(text)
    if not value then return nil end
    found[lower(name)], rest = value, match(rest, "^%s*(.*)$")
  end
  return lower(word), found
end

local part_methods = {}

-- The next piece, of *most* bytes at most; nil at the end of the part; nil and why when it cannot be read on.
function part_methods:read(most)
  if most ~= nil and (type(most) ~= "number" or most < 1) then
    error("bad argument #1 to 'read' (number of bytes expected, got " .. tostring(most) .. ")", 2)
  end
  if self.over then return nil end
  local piece = read_part(self.form, most or body.PIECE)
  if piece then return piece end
  self.over = true
  return nil, self.form.failure
end

-- What was not read yet, whole; nil and why when it cannot be read, or is more than *limit* bytes.
function part_methods:payload(limit)
  local pieces, n, size = {}, 0, 0
  while true do
    local piece = self:read()
    if not piece then break end
    n, size = n + 1, size + #piece
    if limit and size > limit then
      return fail(self.form, "'" .. self.name .. "' has more than " .. limit .. " bytes", 413)
    end
    pieces[n] = piece
  end
  if self.form.failure then return nil, self.form.failure end
  return concat(pieces)
end

-- Writes what was not read yet into a file; its size, or nil and why that cannot be: then there is none.
function part_methods:save(path, mode)
  if type(path) ~= "string" then error("bad argument #1 to 'save' (path expected, got " .. type(path) .. ")", 2) end
  local write, size, pieces, gathered = mtev.writefile, 0, {}, 0
  local piece
  repeat
    piece = self:read()
    if piece then
      pieces[#pieces + 1], gathered, size = piece, gathered + #piece, size + #piece
    end
    if gathered >= WRITE or not piece and not self.form.failure and (gathered > 0 or size == 0) then
      local done, _, why = write(path, concat(pieces), mode)
      if not done then
        if write == mtev.appendfile then remove(path) end
        return nil, why
      end
      write, pieces, gathered = mtev.appendfile, {}, 0
    end
  until not piece
  if not self.form.failure then return size end
  if write == mtev.appendfile then remove(path) end -- it has only a part
  return nil, self.form.failure
end

local Part = { __index = part_methods, __tostring = function() return "mtev.http_part" end }

-- The part whose head is next.
local function read_head(form)
  local headers, room = {}, form.most_head
  while true do
    local line = read_line(form, room)
    if not line then return nil end
    if line == "" then break end
    room = room - #line - 2
    local name, value = match(line, "^([!#$%%&'*+%-.^_`|~%w]+):[ \t]*(.-)[ \t]*$")
    if not name or headers[lower(name)] or find(value, "[%z\r\n]") then return fail(form, "a malformed header") end
    headers[lower(name)] = value
  end
  local kind, given = parameters_of(headers["content-disposition"] or "")
  if kind ~= "form-data" or not given.name then return fail(form, "a part without a name") end
  form.clean, form.at = 0, nil
  return setmetatable({
    form = form, over = false, headers = headers, name = given.name, filename = given.filename,
    content_type = headers["content-type"] or "text/plain",
  }, Part)
end

-- What is behind a delimiter: whether it is another part.
local function goes_on(form)
  while #form.buffer < 2 do
    if not more(form) then return fail(form, "it ends behind a boundary") end
  end
  if sub(form.buffer, 1, 2) == "--" then return false end
  local line = read_line(form, 256)
  if line and not match(line, "^[ \t]*$") then return fail(form, "a malformed boundary") end
  return line ~= nil
end

local function read_form(form, take)
  local count = 0
  while read_part(form, body.PIECE) do end -- what precedes the first part is nobody's
  while not form.failure and goes_on(form) do
    count = count + 1
    if count > form.most_parts then return fail(form, "more than " .. form.most_parts .. " parts", 413) end
    local part = read_head(form)
    if not part then break end
    take(part)
    while part:read() do end
  end
  repeat form.buffer = "" until not more(form) -- what follows the last, too
  if form.failure then return nil, form.failure end
  return count
end

local function number_of(options, name, usual)
  local value = options[name]
  if value == nil then return usual end
  if type(value) ~= "number" or value < 0 then
    error("bad argument #2 to 'multipart' (" .. name .. ": number expected, got " .. tostring(value) .. ")", 3)
  end
  return value
end

-- multipart(take[, options]): hands each part to take(part); returns how many there were, or nil and why not.  *options*:
-- parts, how many there may be; head, bytes that the headers of each may have.
return function(request, take, options)
  local form = {
    request = request, buffer = "\r\n", clean = 0, at = nil, failure = nil,
    most_parts = number_of(options, "parts", MOST_PARTS), most_head = number_of(options, "head", MOST_HEAD),
  }
  local kind, given = parameters_of(request:headers("content-type") or "")
  if kind ~= "multipart/form-data" then return fail(form, "the request has none", 415) end
  local boundary = given.boundary
  if not boundary or #boundary > 70 or not match(boundary, "^[%w'()+_,%-./:=? ]*[%w'()+_,%-./:=?]$") then
    return fail(form, "the request has no boundary for it")
  end
  form.delimiter = "\r\n--" .. boundary
  return read_form(form, take)
end
