-- How workers tell the reporter what happens: events, a line each, with fields that hold any text.  Between them stands
-- what specs print.

local M = {}

M.MARK = "\1\2" -- before an event; no zero byte, which lines() does not read

local escapes = { ["\\"] = "\\\\", ["\n"] = "\\n", ["\31"] = "\\s" }
local unescapes = { ["\\\\"] = "\\", ["\\n"] = "\n", ["\\s"] = "\31" }

local function escaped(value)
  if value == nil then return "" end
  local text = tostring(value)
  if text:find("[\n\\\31]") then text = text:gsub("[\n\\\31]", escapes) end
  return text
end

-- An event of a kind (a letter) and its fields, nil as nothing; *n* is their number.
function M.pack(kind, n, ...)
  local fields = { ... }
  for i = 1, n do fields[i] = escaped(fields[i]) end
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
