-- Words chained by dots or underscores (`is_not.nil`, `is.Not.Nil`) and what they name: modifiers and, at most once,
-- a check.  Chains are values: using one never changes it.

local compare = (...)("luassert/compare")
local pack = compare.pack

local M = {}

local function words(tokens, key)
  local result = {}
  for i = 1, #tokens do result[i] = tokens[i] end
  for word in key:lower():gmatch("[^_]+") do result[#result + 1] = word end
  return result
end

-- The longest run of words from *first* that `find` knows.
local function longest(tokens, first, find)
  for last = #tokens, first, -1 do
    local found = find(table.concat(tokens, "_", first, last))
    if found then return found, last end
  end
end

local function resolve(self)
  local space = self.space
  if self.steps and self.version == space.version() then return self.steps end
  local steps, at = {}, 1
  while at <= #self.tokens do
    local found, last = longest(self.tokens, at, space.find)
    if not found then
      local unknown = table.concat(self.tokens, "_", at)
      space.unknown(unknown)
    end
    steps[#steps + 1] = found
    at = last + 1
  end
  self.steps, self.version = steps, space.version()
  return steps
end

local Chain = {}

function Chain.__index(self, key)
  if type(key) ~= "string" then return nil end
  local child = M.new(rawget(self, "space"), words(rawget(self, "tokens"), key), rawget(self, "state"))
  rawset(self, key, child)
  return child
end

function Chain.__call(self, ...)
  return rawget(self, "space").run(resolve(self), pack(...), rawget(self, "state"))
end

function Chain.__tostring(self) return table.concat(rawget(self, "tokens"), ".") end

-- space: find(name) → step, unknown(name), version(), run(steps, arguments, state).
function M.new(space, tokens, state)
  return setmetatable({ space = space, tokens = tokens, state = state or false, steps = false, version = 0 }, Chain)
end

return M
