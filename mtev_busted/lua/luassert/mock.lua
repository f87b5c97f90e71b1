-- Mocks: tables whose functions, inner tables included, all are spies or stubs.

local use = ...
local compare = use("luassert/compare")
local spy = use("luassert/spy")
local stub = use("luassert/stub")

local mock = {}

-- Calls visit(table, key, value) for each entry of *object* and of the tables in it.
local function walk(object, visit, seen)
  if type(object) ~= "table" or spy.is_spy(object) or seen[object] then return end
  seen[object] = true
  local entries = {}
  for key, value in pairs(object) do entries[#entries + 1] = { key, value } end
  for _, entry in ipairs(entries) do
    walk(entry[2], visit, seen)
    visit(object, entry[1], entry[2])
  end
end

-- Puts spies on every function of *object*, or stubs (calling *func*, if given) when *dostub*; returns *object*.
function mock.new(object, dostub, func)
  if type(object) ~= "table" and not compare.callable(object) then
    error("mock: a table or function is expected, got " .. type(object), 2)
  end
  if type(object) ~= "table" then return spy.new(dostub and (func or function() end) or object) end
  walk(object, function(holder, key, value)
    if spy.is_spy(value) or not compare.callable(value) then return end
    if dostub then stub.new(holder, key, func) else spy.on(holder, key) end
  end, {})
  return object
end

local function each_spy(object, action)
  if spy.is_spy(object) then action(object) end
  walk(object, function(_, _, value)
    if spy.is_spy(value) then action(value) end
  end, {})
  return object
end

function mock.clear(object)
  return each_spy(object, function(each) each:clear() end)
end

function mock.revert(object)
  return each_spy(object, function(each) each:revert() end)
end

return setmetatable(mock, { __call = function(_, ...) return mock.new(...) end })
