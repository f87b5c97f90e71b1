-- The tree of elements (suite, files, blocks, tests, hooks), which of them runs, the globals each sees, and the
-- insulation of the process's own globals and loaded modules.
--
-- An element is a table: descriptor, name, run, attributes, trace, env.  Specs run in an environment where a name is
-- looked up in the running element, then in those around it, then among the exported names, then in _G.  A name they
-- assign stays in the element: of a hook, in its block ("unwrap"); of an `expose` block, two levels out ("expose").

local M = {}

local parents, children = {}, {}
local exported = {} -- the names of the runner
local root = { descriptor = "suite", attributes = {}, env = exported }
local current = root
local entered = {} -- the elements that ran when another was pushed
local saved = {} -- for each of those: what to restore at the pop, or false

-- Tree ----------------------------------------------------------------------------------------------------------------

function M.root() return root end
function M.get() return current end
function M.parent(element) return parents[element] end
function M.children(element)
  children[element] = children[element] or {}
  return children[element]
end

-- Adds *element* to the running one.
function M.attach(element)
  parents[element] = current
  local siblings = M.children(current)
  siblings[#siblings + 1] = element
end

-- Forgets every element but the root and its hooks.
function M.clear()
  local hooks = M.children(root)
  parents, children = {}, { [root] = {} }
  for _, element in ipairs(hooks) do
    if element.hook then
      parents[element] = root
      table.insert(children[root], element)
    end
  end
  current, entered, saved = root, {}, {}
end

-- Insulation ----------------------------------------------------------------------------------------------------------

local function copy(source)
  local result = {}
  for key, value in next, source do result[key] = value end
  return result
end

local function refill(target, from)
  for key in next, target do
    if from[key] == nil then rawset(target, key, nil) end
  end
  for key, value in next, from do rawset(target, key, value) end
end

local function save() return { mt = debug.getmetatable(_G), globals = copy(_G), loaded = copy(package.loaded) } end

local function restore(state)
  debug.setmetatable(_G, state.mt)
  refill(_G, state.globals)
  refill(package.loaded, state.loaded)
end

-- How many elements have been pushed and not popped.
function M.depth() return #entered end

-- Makes *element* the running one; pop makes the one before it so again.  Returns the new depth.
function M.push(element)
  entered[#entered + 1] = current
  saved[#saved + 1] = element ~= current and element.attributes.envmode == "insulate" and save() or false
  current = element
  return #entered
end

function M.pop()
  local state, before = table.remove(saved), table.remove(entered)
  if before ~= current then
    if current.attributes.envmode == "expose" and saved[#saved] then saved[#saved] = save() end
    if state then restore(state) end
  end
  current = before
end

-- Environment ---------------------------------------------------------------------------------------------------------

local function target()
  local mode, element = current.attributes.envmode, current
  if mode == "unwrap" then
    element = parents[element] or element
  elseif mode == "expose" then
    element = parents[element] or element
    element = parents[element] or element
  end
  if element == root then return exported end
  element.env = element.env or {}
  return element.env
end

M.environment = setmetatable({}, {
  __index = function(_, key)
    local element = current
    while element do
      local env = element.env
      if env and env[key] ~= nil then return env[key] end
      element = parents[element]
    end
    return _G[key]
  end,
  __newindex = function(_, key, value) target()[key] = value end,
})

-- For helpers: the runner's names can be read, what they assign is global.
M.helper_environment = setmetatable({}, {
  __index = function(_, key)
    local value = exported[key]
    if value ~= nil then return value end
    return _G[key]
  end,
  __newindex = _G,
})

-- Offers *value* to specs under a name.
function M.export(name, value) exported[name] = value end

-- Has a function see the environment; returns it.
function M.wrap(callable)
  if type(callable) == "function" then
    local own = debug.getinfo(callable, "S").what ~= "C" and getfenv(callable)
    if own == _G or own == M.helper_environment then setfenv(callable, M.environment) end
  else
    local mt = debug.getmetatable(callable)
    if type(mt) == "table" and type(mt.__call) == "function" then M.wrap(mt.__call) end
  end
  return callable
end

return M
