-- The matchers there are: on values, types, texts and errors, and those made of others.

local use = ...
local assert = use("luassert/assert")
local checks = use("luassert/checks")
local compare = use("luassert/compare")
local matcher = use("luassert/matcher")

local function register(names, make, least)
  for _, name in ipairs(names) do
    assert:register("matcher", name, function(_, arguments)
      checks.count(arguments, name, least or 0)
      return make(compare.unpack(arguments))
    end)
  end
end

for _, kind in ipairs({ "boolean", "number", "string", "table", "nil", "userdata", "function", "thread" }) do
  register({ kind }, function() return function(value) return type(value) == kind end end)
end

register({ "true" }, function() return function(value) return value == true end end)
register({ "false" }, function() return function(value) return value == false end end)
register({ "truthy" }, function() return function(value) return value ~= nil and value ~= false end end)
register({ "falsy" }, function() return function(value) return not value end end)

register({ "equals", "equal" }, function(expected)
  return function(value) return compare.equal(expected, value) end
end, 1)

register({ "same" }, function(expected)
  return function(value) return (compare.same(expected, value, true, matcher.decide)) end
end, 1)

register({ "ref" }, function(object)
  local kind = type(object)
  if kind ~= "table" and kind ~= "function" and kind ~= "thread" and kind ~= "userdata" then
    checks.refuse(object, "ref", 1, "object")
  end
  return function(value) return rawequal(value, object) end
end, 1)

register({ "near" }, function(expected, tolerance)
  expected, tolerance = checks.number(expected, "near", 1), checks.tolerance(tolerance, "near", 2)
  return function(value)
    value = tonumber(value)
    return value ~= nil and value >= expected - tolerance and value <= expected + tolerance
  end
end, 2)

register({ "matches", "match" }, function(pattern, init, plain)
  checks.string(pattern, "matches", 1)
  if not plain then checks.pattern(pattern, "matches", 1) end
  if init ~= nil then init = checks.number(init, "matches", 2) end
  return function(value) return compare.hastostring(value) and tostring(value):find(pattern, init, plain) ~= nil end
end, 1)

register({ "unique" }, function(deep)
  return function(list)
    if type(list) ~= "table" then return false end
    for key, value in pairs(list) do
      for other, another in pairs(list) do
        if key ~= other and (compare.equal(value, another) or deep and compare.same(value, another)) then
          return false
        end
      end
    end
    return true
  end
end)

register({ "error", "errors" }, function(expected)
  return function(f)
    if not compare.callable(f) then return false end
    local ok, err = pcall(f)
    if ok or expected == nil then return not ok end
    local text = compare.hastostring(err) and tostring(err)
    return compare.same(expected, err) or text and (text == expected or text:gsub("^.-:%d+: ", "", 1) == expected)
  end
end)

local function composed(name, decide)
  assert:register("matcher", name, function(_, arguments)
    checks.count(arguments, name, 1)
    for i = 1, arguments.n do
      if not matcher.is(arguments[i]) then checks.refuse(arguments[i], name, i, "matcher") end
    end
    return function(value)
      local fitting = 0
      for i = 1, arguments.n do
        if arguments[i](value) then fitting = fitting + 1 end
      end
      return decide(fitting, arguments.n)
    end
  end)
end

composed("all_of", function(fitting, n) return fitting == n end)
composed("any_of", function(fitting) return fitting > 0 end)
composed("none_of", function(fitting) return fitting == 0 end)
