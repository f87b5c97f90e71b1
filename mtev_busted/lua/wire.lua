-- How workers tell the reporter what happens: events, a line each, with fields that hold any text.  Between them stands
-- what specs print.

local _, plan = ...

local buffer = require("string.buffer")

local M = {}

M.MARK = plan.mark

local escapes = { ["\\"] = "\\\\", ["\n"] = "\\n", ["\31"] = "\\s", ["\0"] = "\\z" }
local unescapes = { ["\\\\"] = "\\", ["\\n"] = "\n", ["\\s"] = "\31", ["\\z"] = "\0" }

local event = buffer.new()
local find = string.find

-- Searches that are compiled, where that for a set is not; here and not in a function of their own, for that would be
-- what is compiled first, and alone.
local function put(value)
  if type(value) == "string" then
    if find(value, "\n", 1, true) or find(value, "\\", 1, true) or find(value, "\31", 1, true)
      or find(value, "\0", 1, true) then
      value = value:gsub("[\n\\\31%z]", escapes)
    end
    event:put(value)
  elseif value ~= nil then
    event:put(type(value) == "number" and value or tostring(value))
  end
end

-- An event of a kind (a letter) and fields, nil as nothing, in a buffer that the next one takes: as many fields as are
-- named here, for tests by the thousand.
function M.pack(kind, a, b, c, d, e, f)
  event:reset():put(M.MARK, kind)
  put(a)
  event:put("\31")
  put(b)
  event:put("\31")
  put(c)
  event:put("\31")
  put(d)
  event:put("\31")
  put(e)
  event:put("\31")
  put(f)
  return event:put("\n")
end

-- The same of a list of *n* fields.
function M.pack_list(kind, n, fields)
  event:reset():put(M.MARK, kind)
  for i = 1, n do
    if i > 1 then event:put("\31") end
    put(fields[i])
  end
  return event:put("\n")
end

-- The fields, as a list, of the event whose kind is at *at* in *data*, and whose last byte is at *last*.
function M.unpack(data, at, last)
  local fields, n = {}, 0
  at = at + 1
  while true do
    local stop = data:find("\31", at, true)
    if not stop or stop > last then stop = last + 1 end
    local text = data:sub(at, stop - 1)
    if text:find("\\", 1, true) then text = text:gsub("\\.", unescapes) end
    n = n + 1
    fields[n] = text
    if stop > last then return fields end
    at = stop + 1
  end
end

return M
