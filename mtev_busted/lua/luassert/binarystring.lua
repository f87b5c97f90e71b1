-- A formatter for strings of bytes: assert:add_formatter(require "luassert.formatters.binarystring") shows them as a
-- dump, sixteen bytes a line, in hexadecimal and as characters.

local WIDTH = 16

local function hexadecimal(bytes)
  local texts = {}
  for i = 1, WIDTH do
    local byte = bytes:byte(i)
    texts[i] = byte and ("%2x"):format(byte) or "  "
    if i == WIDTH / 2 then texts[i] = texts[i] .. "  " end
  end
  return table.concat(texts, " ")
end

return function(value)
  if type(value) ~= "string" then return nil end
  local lines = { ("Binary string length; %d bytes"):format(#value) }
  for at = 1, #value, WIDTH do
    local bytes = value:sub(at, at + WIDTH - 1)
    local shown = bytes:gsub("[^\32-\126]", ".")
    lines[#lines + 1] = ("%s  %s %s"):format(hexadecimal(bytes), shown:sub(1, WIDTH / 2), shown:sub(WIDTH / 2 + 1))
  end
  return table.concat(lines, "\n")
end
