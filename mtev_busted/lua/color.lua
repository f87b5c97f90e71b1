-- Terminal colours, or none: color.red("text").

local _, plan = ...

local codes = { red = 31, green = 32, yellow = 33, magenta = 35, cyan = 36, bold = 1 }
local M = {}

for name, code in pairs(codes) do
  M[name] = function(text)
    if not plan.color then return text end
    return ("\27[%dm%s\27[0m"):format(code, text)
  end
end

return M
