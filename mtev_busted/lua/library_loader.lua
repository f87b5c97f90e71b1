-- What loads luamtev's Lua half while lines are counted: its files that .luacov includes count, too, from the first
-- instruction on.  A function of the runner's folder and the plan, which gives what takes the place of that loader.

local own, plan = ...
local assert, error, loadstring = assert, error, loadstring

local use = assert(loadfile(own .. "use.lua"))(own, plan)
local choice, counters = use("choice"), use("counters")
local hits = {} -- path -> its lines, as coverage.lua has them
local usable = pcall(choice.read) -- what is wrong with it is told when the run begins

package.loaded["mtev_busted.library"] = hits

-- Loads the library *name*, whose source source_of(name) gives, and runs it.
return function(source_of)
  return function(name, ...)
    local source = source_of(name)
    if not source then error("no library '" .. name .. "'", 2) end
    local chunk = assert(loadstring(source, "@luamtev/" .. name .. ".lua"))
    local path = plan.library .. "/" .. name .. ".lua"
    if usable and choice.included(path) then
      hits[path] = hits[path] or counters.lines()
      chunk = counters.counted(chunk, hits[path])
    end
    return chunk(...)
  end
end
