-- Spies: callable stand-ins that remember how they were called and what they returned; and the assertions on them.

local use = ...
local assert = use("luassert/assert")
local compare = use("luassert/compare")
local failure = use("failure")
local checks = use("luassert/assertions")
local matcher = use("luassert/matcher")
local pack, unpack = compare.pack, compare.unpack

local spy = {}
local methods = {}

local Spy = {
  __luassert_opaque = true,
  __index = methods,
  __tostring = function(self) return "spy of " .. tostring(self.callback) end,
}

local function remember(list, values)
  list[#list + 1] = { vals = compare.deepcopy(values), refs = values }
end

local function returning(self, ...)
  remember(self.returnvals, pack(...))
  return ...
end

function Spy.__call(self, ...)
  remember(self.calls, pack(...))
  return returning(self, self.callback(...))
end

local function fits_one(expected, record, i)
  local value, reference = record.vals[i], record.refs[i]
  if matcher.is(expected) then
    if matcher.by_reference(expected) then return expected(reference) end
    return expected(value) or expected(reference)
  end
  return compare.same(expected, value, matcher.decide) or compare.equal(expected, reference)
end

local function fits(record, expected)
  if record.vals.n ~= expected.n then return false end
  for i = 1, expected.n do
    if not fits_one(expected[i], record, i) then return false end
  end
  return true
end
spy.fits = fits

local function any(list, expected)
  for _, record in ipairs(list) do
    if fits(record, expected) then return true end
  end
  return false
end

-- Methods -------------------------------------------------------------------------------------------------------------

-- Whether it was called: *times* times exactly, or as compare(count, times) says, or at all; and how often.
function methods:called(times, comparison)
  local count = #self.calls
  if times == nil then return count > 0, count end
  if comparison then return comparison(count, times), count end
  return count == times, count
end

function methods:called_with(...) return any(self.calls, pack(...)) end

function methods:returned_with(...) return any(self.returnvals, pack(...)) end

function methods:clear()
  self.calls, self.returnvals = {}, {}
  return self
end

-- Puts the original back where `spy.on` found it; returns it.
function methods:revert()
  if self.target_table and not self.reverted then self.target_table[self.target_key] = self.original end
  self.reverted = true
  return self.original
end

-- The module ----------------------------------------------------------------------------------------------------------

function spy.is_spy(value) return getmetatable(value) == Spy end

-- A spy around *callback*, nowhere installed.
function spy.new(callback)
  callback = callback == nil and function() end or callback
  if not compare.callable(callback) then
    error("Cannot spy on type '" .. type(callback) .. "', only on functions or callable elements", 2)
  end
  return setmetatable({ calls = {}, returnvals = {}, callback = callback, original = callback }, Spy)
end

-- Puts *instead* (a spy) in the place of holder[key]; reverting it restores what was there.
function spy.install(holder, key, instead)
  instead.target_table, instead.target_key, instead.original = holder, key, holder[key]
  holder[key] = instead
  assert:add_spy(instead)
  return instead
end

-- Replaces the function holder[key] by a spy around it.
function spy.on(holder, key)
  if type(holder) ~= "table" then error("spy.on: a table is expected, got " .. type(holder), 2) end
  if not compare.callable(holder[key]) then
    error("Cannot spy on '" .. tostring(key) .. "' of type '" .. type(holder[key]) ..
      "', only on functions or callable elements", 2)
  end
  return spy.install(holder, key, spy.new(holder[key]))
end
spy.spy_on = spy.on

-- Assertions ----------------------------------------------------------------------------------------------------------

local function set_payload(name)
  return function(state, arguments)
    if arguments.n == 0 then return end
    state.payload = arguments[1]
    if arguments[2] ~= nil then state.failure_message = arguments[2] end
    if not spy.is_spy(state.payload) then
      failure.raise("error", "assert." .. name .. "(x) needs a spy, got " .. type(state.payload))
    end
  end
end

assert:register("modifier", "spy", set_payload("spy"))
assert:register("modifier", "stub", set_payload("stub"))

local function payload(state, name)
  if not spy.is_spy(state.payload) then
    failure.raise("error", "'" .. name .. "' must be chained after assert.spy(aspy)")
  end
  return state.payload
end

local function counts(name, key, fits_count)
  checks.register({ name }, function(state, arguments)
    local count, wanted = #payload(state, name).calls, arguments[1]
    local own = wanted == nil and name == "called"
    if not own then wanted = tonumber(checks.expect(wanted, name, 1, "number")) end
    if arguments[2] ~= nil then state.failure_message = arguments[2] end
    local passed
    if own then passed = count > 0 else passed = fits_count(count, wanted) end
    arguments[1], arguments[2], arguments.n, arguments.nofmt = own and "at least 1" or wanted, count, 2, { true, true }
    if own and not state.mod then arguments[1] = count end
    return passed
  end, key)
end

counts("called", nil, function(count, wanted) return count == wanted end)
counts("called_at_least", nil, function(count, wanted) return count >= wanted end)
counts("called_at_most", nil, function(count, wanted) return count <= wanted end)
counts("called_more_than", nil, function(count, wanted) return count > wanted end)
counts("called_less_than", nil, function(count, wanted) return count < wanted end)

local SHOWN = 5 -- calls in a message

local function listed(values)
  local texts = assert:format(values)
  return "(values list) (" .. table.concat(texts, ", ", 1, texts.n) .. ")"
end

local function all_listed(records)
  local lines = {}
  for i = math.max(1, #records - SHOWN + 1), #records do lines[#lines + 1] = listed(records[i].vals) end
  return #lines == 0 and "(none)" or table.concat(lines, "\n")
end

local function values(name, field)
  checks.register({ name }, function(state, arguments)
    local records = payload(state, name)[field]
    local expected = pack(unpack(arguments))
    local passed = any(records, expected)
    if passed ~= state.mod then
      arguments[1], arguments[2] = all_listed(records), listed(expected)
      arguments.n, arguments.nofmt = 2, { true, true }
    end
    return passed
  end)
end

values("called_with", "calls")
values("returned_with", "returnvals")

return setmetatable(spy, { __call = function(_, ...) return spy.new(...) end })
