-- Deep comparison and deep copies of Lua values, with cycles and metatables.

local M = {}

local function plain_equal(a, b) return a == b end

local function equal(a, b)
  local ok, same = pcall(plain_equal, a, b) -- comparing cdata of two types may raise
  return ok and same
end
M.equal = equal

local function has_eq(a, b)
  local mt_a, mt_b = debug.getmetatable(a), debug.getmetatable(b)
  return mt_a and mt_a == mt_b and rawget(mt_a, "__eq")
end

local function compare(a, b, by_content, seen, path, decide)
  if decide then
    local verdict = decide(a, b)
    if verdict ~= nil then return verdict end
  end
  if type(a) ~= "table" or type(b) ~= "table" then return equal(a, b) end
  if rawequal(a, b) then return true end
  if not by_content and has_eq(a, b) then return equal(a, b) end
  local met = seen[a]
  if met and met[b] then return true end
  if not met then
    met = {}
    seen[a] = met
  end
  met[b] = true
  local depth = #path + 1
  for key, value in next, a do
    path[depth] = key
    if not compare(value, rawget(b, key), false, seen, path, decide) then return false end
    for i = #path, depth, -1 do path[i] = nil end
  end
  for key in next, b do
    if rawget(a, key) == nil then
      path[depth] = key
      return false
    end
  end
  return true
end

-- Whether two values have the same contents; when not, also the keys that lead to the first difference, outermost
-- first.  by_content: do not ask the two values' own __eq.  decide(a, b), if given, decides a pair by true or false and
-- leaves it open with nil.
function M.same(a, b, by_content, decide)
  local path = {}
  if compare(a, b, by_content, {}, path, decide) then return true end
  return false, path
end

local function copy(value, seen)
  if type(value) ~= "table" then return value end
  if seen[value] then return seen[value] end
  local mt = debug.getmetatable(value)
  if type(mt) == "table" and rawget(mt, "__luassert_opaque") then return value end
  local result = {}
  seen[value] = result
  for key, inner in next, value do rawset(result, copy(key, seen), copy(inner, seen)) end
  debug.setmetatable(result, mt)
  return result
end

-- A copy that later changes of *value* do not reach; spies and matchers inside stay what they are.
function M.deepcopy(value) return copy(value, {}) end

function M.pack(...) return { n = select("#", ...), ... } end

function M.unpack(list, first, last) return unpack(list, first or 1, last or list.n or #list) end

function M.callable(value)
  if type(value) == "function" then return true end
  local mt = debug.getmetatable(value)
  return type(mt) == "table" and M.callable(rawget(mt, "__call"))
end

-- Whether tostring gives a text of the value's own making.
function M.hastostring(value)
  local kind = type(value)
  if kind == "string" or kind == "number" then return true end
  local mt = debug.getmetatable(value)
  return type(mt) == "table" and rawget(mt, "__tostring") ~= nil
end

return M
