-- Terminal colours, or none: color.red("text").

local _, plan = ...

local M = { codes = { black = 30, red = 31, green = 32, yellow = 33, blue = 34, magenta = 35, cyan = 36, white = 37, bold = 1 } }

-- Text in a colour, wherever it goes.
function M.always(name, text) return ("\27[%dm%s\27[0m"):format(M.codes[name], text) end

for name in pairs(M.codes) do
  M[name] = function(text) return plan.color and M.always(name, text) or text end
end

return M
