-- Loads parts of the runner by name, each once: it gets this function and the plan.  Their chunks have short names, by
-- which tracebacks know them: these show no more than the end of a long path.

local own, plan = ... -- the folder of the runner

local assert, loadstring, open = assert, loadstring, io.open -- specs may put stubs in their places
local loaded = {}
local function use(name)
  if loaded[name] == nil then
    local file = assert(open(own .. name .. ".lua", "rb"))
    local source = file:read("*a")
    file:close()
    loaded[name] = assert(loadstring(source, "@mtev_busted/" .. name .. ".lua"))(use, plan) or true
  end
  return loaded[name]
end

return use
