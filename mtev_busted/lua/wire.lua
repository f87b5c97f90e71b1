-- How workers tell the reporter what happens: events, a line each, with fields that hold any text.  Between them stands
-- what specs print.

local _, plan = ...

local M = {}

M.MARK = plan.mark

local escapes = { ["\\"] = "\\\\", ["\n"] = "\\n", ["\31"] = "\\s", ["\0"] = "\\z" }
local unescapes = { ["\\\\"] = "\\", ["\\n"] = "\n", ["\\s"] = "\31", ["\\z"] = "\0" }

-- Searches that are compiled, where that for a set is not.
local function needs_escapes(text)
  return text:find("\n", 1, true) or text:find("\\", 1, true) or text:find("\31", 1, true) or text:find("\0", 1, true)
end

-- An event of a kind (a letter) and a list of *n* fields, nil as nothing.
function M.pack(kind, n, fields)
  for i = 1, n do
    local value = fields[i]
    if value == nil then
      fields[i] = ""
    elseif type(value) == "string" then
      if needs_escapes(value) then fields[i] = value:gsub("[\n\\\31%z]", escapes) end
    else
      fields[i] = tostring(value)
    end
  end
  return M.MARK .. kind .. table.concat(fields, "\31", 1, n) .. "\n"
end

-- The kind and the fields, as a list, of an event without its mark and newline.
function M.unpack(line)
  local fields, at = {}, 2
  while true do
    local stop = line:find("\31", at, true)
    local text = line:sub(at, (stop or 0) - 1)
    if text:find("\\", 1, true) then text = text:gsub("\\.", unescapes) end
    fields[#fields + 1] = text
    if not stop then break end
    at = stop + 1
  end
  return line:sub(1, 1), fields
end

return M
