-- The entry: arg[2] is the plan, a Lua table constructor written by cli.py: the options, resolved, and the spec files,
-- found.

local own = debug.getinfo(1, "S").source:match("^@(.*)start%.lua$")
local plan = assert(loadstring("return " .. arg[2], "=plan"))()

arg[1], arg[2] = "mtev-busted", nil

return assert(loadfile(own .. "use.lua"))(own, plan)("main")
