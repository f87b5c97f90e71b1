-- The `match` object: match._, match.is_string(), match.is_not.near(1, 0.1) and the rest make matchers.

local use = ...
local assert = use("luassert/assert")
local chain = use("luassert/chain")
local compare = use("luassert/compare")
local failure = use("failure")
local matcher = use("luassert/matcher")

local function raise(message) failure.raise("error", message) end

-- Chains --------------------------------------------------------------------------------------------------------------

local space = { version = assert.__version }

function space.find(name) return assert.__find("matcher", name) or assert.__find("modifier", name) end

function space.unknown(name) raise("luassert: unknown modifier/matcher: '" .. name .. "'") end

function space.run(steps, arguments)
  local state = { mod = true, tokens = {} }
  for i = 1, #steps - 1 do
    if steps[i].kind ~= "modifier" then space.unknown(steps[i].name .. "_" .. steps[i + 1].name) end
    steps[i].callback(state, { n = 0 }, 2)
  end
  local last = steps[#steps]
  if not last then space.unknown("") end
  if last.kind ~= "matcher" then space.unknown(last.name) end
  local callback = last.callback(state, arguments, 2)
  if not compare.callable(callback) then raise("matcher '" .. last.name .. "' must give a function") end
  return matcher.new(last.name, callback, state.mod, arguments)
end

-- Matchers ------------------------------------------------------------------------------------------------------------

local function register(names, make, least)
  for _, name in ipairs(names) do
    assert:register("matcher", name, function(_, arguments)
      if arguments.n < (least or 0) then
        raise(("the '%s' matcher requires a minimum of %d arguments, got: %d"):format(name, least, arguments.n))
      end
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
  return function(value) return (compare.same(expected, value, matcher.decide)) end
end, 1)

register({ "ref" }, function(object)
  if type(object) ~= "table" and type(object) ~= "function" and type(object) ~= "thread"
    and type(object) ~= "userdata" then
    raise("match.is_ref needs a table, function, thread or userdata, got " .. type(object))
  end
  return function(value) return rawequal(value, object) end
end, 1)

register({ "near" }, function(expected, tolerance)
  expected, tolerance = tonumber(expected), tonumber(tolerance)
  if not expected or not tolerance then raise("match.near needs two numbers") end
  return function(value)
    value = tonumber(value)
    return value ~= nil and value >= expected - tolerance and value <= expected + tolerance
  end
end, 2)

register({ "matches", "match" }, function(pattern, init, plain)
  if type(pattern) ~= "string" then raise("match.matches needs a pattern, got " .. type(pattern)) end
  return function(value)
    local mt = debug.getmetatable(value)
    local texty = type(value) == "string" or type(value) == "number" or
      type(value) == "table" and type(mt) == "table" and rawget(mt, "__tostring")
    return texty and tostring(value):find(pattern, init, plain) ~= nil
  end
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

local function error_of(fn)
  if not compare.callable(fn) then return false end
  local ok, err = pcall(fn)
  return not ok, err
end

register({ "error", "errors" }, function(expected)
  return function(fn)
    local failed, err = error_of(fn)
    if not failed or expected == nil then return failed end
    local text = (type(err) == "string" or failure.is(err)) and tostring(err)
    return compare.same(expected, err) or text and (text == expected or text:gsub("^.-:%d+: ", "", 1) == expected)
  end
end)

local function composed(name, decide)
  assert:register("matcher", name, function(_, arguments)
    if arguments.n < 1 then raise("match.is_" .. name .. " needs at least one matcher") end
    for i = 1, arguments.n do
      if not matcher.is(arguments[i]) then
        raise(("match.is_%s: argument %d is no matcher but a %s"):format(name, i, type(arguments[i])))
      end
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

local match = { is_matcher = matcher.is }
match._ = matcher.new("anything", function() return true end, true, { n = 0 })

return setmetatable(match, {
  __index = function(self, key)
    if type(key) ~= "string" then return nil end
    local words = chain.new(space, {})[key]
    rawset(self, key, words)
    return words
  end,
})
