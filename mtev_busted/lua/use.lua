-- Loads parts of the runner by name, each once: it gets this function and the plan.

local own, plan = ... -- the folder of the runner

local loaded = {}
local function use(name)
  if loaded[name] == nil then
    loaded[name] = assert(loadfile(own .. name .. ".lua"))(use, plan) or true
  end
  return loaded[name]
end

return use
