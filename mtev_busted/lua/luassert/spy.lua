-- Spies: callable stand-ins that remember how they were called and what they returned; and the assertions on them.

local use = ...
local assert = use("luassert/assert")
local compare = use("luassert/compare")
local failure = use("failure")
local checks = use("luassert/checks")
local matcher = use("luassert/matcher")

local spy = {}
local methods = {}

local Spy = {
  __luassert_opaque = true,
  __index = methods,
  __tostring = function(self) return "spy of " .. tostring(self.callback) end,
}

local function returning(self, ...)
  table.insert(self.returnvals, matcher.record(...))
  return ...
end

function Spy.__call(self, ...)
  table.insert(self.calls, matcher.record(...))
  return returning(self, self.callback(...))
end

-- Methods -------------------------------------------------------------------------------------------------------------

-- Whether it was called: *times* times exactly, or as compare(count, times) says, or at all; and how often.
function methods:called(times, comparison)
  local count = #self.calls
  if comparison then return comparison(count, times), count end
  if times == nil then return count > 0, count end
  return count == times, count
end

-- Whether a record fits the arguments; and those of the newest that does, or of the newest.
local function met(records, expected)
  local found = matcher.newest_fit(records, expected)
  if found then return true, found.vals end
  local last = records[#records]
  return false, last and last.vals
end

-- Whether a call had the arguments of a list; and those of the last that had, or of the last.
function methods:called_with(arguments)
  return met(self.calls, setmetatable({ n = arguments.n or #arguments }, { __index = arguments }))
end

-- Likewise for what was returned.
function methods:returned_with(arguments)
  return met(self.returnvals, setmetatable({ n = arguments.n or #arguments }, { __index = arguments }))
end

function methods:clear()
  self.calls, self.returnvals = {}, {}
  return self
end

-- Puts the original back where the spy is; returns it.
function methods:revert()
  if self.target_table and not self.reverted then self.target_table[self.target_key] = self.original end
  self.reverted = true
  return self.original
end

-- The module ----------------------------------------------------------------------------------------------------------

function spy.is_spy(value) return getmetatable(value) == Spy end

-- A spy around *callback*, nowhere installed.
function spy.new(callback)
  if callback == nil then callback = function() end end
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
  if key == nil then error("spy.on: a key of the table is expected, got nil", 2) end
  local callback = holder[key]
  if callback ~= nil and not compare.callable(callback) then
    error("Cannot spy on '" .. tostring(key) .. "' of type '" .. type(callback) ..
      "', only on functions or callable elements", 2)
  end
  return spy.install(holder, key, spy.new(callback))
end
spy.spy_on = spy.on

-- Assertions ----------------------------------------------------------------------------------------------------------

local function set_payload(state, arguments)
  if arguments.n == 0 then return end
  state.payload = arguments[1]
  checks.message(state, arguments, 2)
end

assert:register("modifier", "spy", set_payload)
assert:register("modifier", "stub", set_payload)

local function payload(state, name)
  if not spy.is_spy(state.payload) then
    failure.raise("failure", "'" .. name .. "' must be chained after 'spy(aspy)'")
  end
  return state.payload
end

local function counts(name, fits)
  checks.register({ name }, function(state, arguments)
    local count, wanted = #payload(state, name).calls, arguments[1]
    if type(wanted) == "number" or wanted ~= nil and name == "called" then checks.times(wanted, name, 1) end
    checks.message(state, arguments, 2)
    local passed, count_shown = fits(count, wanted), tostring(wanted)
    if wanted == nil and name == "called" then
      count_shown = state.mod and ">0" or "0"
      arguments.message_key = "assertion.called.positive"
    end
    if passed ~= state.mod then
      arguments[1], arguments[2], arguments.n, arguments.nofmt = count_shown, tostring(count), 2, { true, true }
    end
    return passed
  end)
end

counts("called", function(count, wanted)
  if wanted == nil then return count > 0 end
  return count == wanted
end)
counts("called_at_least", function(count, wanted) return count >= wanted end)
counts("called_at_most", function(count, wanted) return count <= wanted end)
counts("called_more_than", function(count, wanted) return count > wanted end)
counts("called_less_than", function(count, wanted) return count < wanted end)

local function values(name)
  checks.register({ name }, function(state, arguments)
    local expected = matcher.arglist(compare.unpack(arguments))
    local passed, seen = methods[name](payload(state, name), expected)
    if passed ~= state.mod then
      for i = 1, arguments.n do arguments[i] = nil end
      arguments[1], arguments[2], arguments.n = seen, expected, 2
    end
    return passed
  end)
end

values("called_with")
values("returned_with")

local function place(n, name)
  if type(n) ~= "number" or n % 1 ~= 0 or n == 0 then checks.refuse_number(n, name, 1, "whole number other than 0") end
  return n
end

-- The n-th call, or return, had these arguments; the last one if *last*.
local function nth(name, field, last)
  checks.register({ name }, function(state, arguments)
    local records = payload(state, name)[field]
    local n = last and #records or place(arguments[1], name)
    local expected = matcher.arglist(compare.unpack(arguments, last and 1 or 2))
    local record = records[n < 0 and #records + 1 + n or n]
    local passed = record ~= nil and matcher.fits(record, expected)
    if passed ~= state.mod then
      for i = 1, arguments.n do arguments[i] = nil end
      arguments[1], arguments[2], arguments[3], arguments[4] = tostring(n), tostring(#records), record and record.vals,
        expected
      arguments.n, arguments.nofmt = 4, { true, true }
    end
    return passed
  end, "nth_" .. field)
end

nth("nth_called_with", "calls")
nth("last_called_with", "calls", true)
nth("nth_returned_with", "returnvals")
nth("last_returned_with", "returnvals", true)

return setmetatable(spy, { __call = function(_, ...) return spy.new(...) end })
