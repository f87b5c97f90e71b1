-- The assert object: a registry of modifiers, assertions and matchers, the chains that use them, parameters, formatters
-- and snapshots.  The assertions themselves are in assertions.lua and friends.

local use = ...
local failure = use("failure")
local say = use("luassert/say")
local chain = use("luassert/chain")
local compare = use("luassert/compare")
local format = use("luassert/format")
local pack, unpack = compare.pack, compare.unpack

local registry = { modifier = {}, assertion = {}, matcher = {} }
local version = 1
local formatters, parameters = {}, {}
local snapshot = nil -- the newest of the snapshots that are not reverted

local assert = {}

-- Registry ------------------------------------------------------------------------------------------------------------

local function space_of(nspace)
  if not registry[nspace] then
    error("luassert: unknown namespace '" .. tostring(nspace) .. "' (modifier, assertion or matcher expected)", 3)
  end
  return registry[nspace]
end

-- callback(state, arguments, level); messages are keys of `say`, or texts.
function assert:register(nspace, name, callback, positive_message, negative_message)
  if type(name) ~= "string" then error("luassert: the name to register must be a string", 2) end
  if not compare.callable(callback) then error("luassert: '" .. name .. "' needs a function to register", 2) end
  space_of(nspace)[name:lower()] = { name = name, kind = nspace, callback = callback, positive = positive_message,
    negative = negative_message }
  version = version + 1
end

function assert:unregister(nspace, name)
  space_of(nspace)[name:lower()] = nil
  version = version + 1
end

-- The entry of a lower-case name, or nil.
function assert.__find(nspace, name) return registry[nspace][name] end

function assert.__version() return version end

-- Failing -------------------------------------------------------------------------------------------------------------

local Level = {}

-- As the last argument of an assertion: blame the n-th caller.
function assert:level(n) return setmetatable({ level = n or 1 }, Level) end

local function take_level(arguments)
  local last = arguments[arguments.n]
  if getmetatable(last) ~= Level then return 0 end
  arguments[arguments.n], arguments.n = nil, arguments.n - 1
  return last.level - 1
end

local function with_reason(state, message)
  local reason = state.failure_message
  if reason == nil then return message end
  if compare.callable(reason) then reason = reason() end
  return tostring(reason) .. "\n" .. message
end

local function message_of(entry, state, arguments)
  local key = entry.negative
  if state.mod then key = entry.positive end
  if key == nil then return "assertion '" .. entry.name .. "' failed" end
  local texts = assert:format(arguments)
  local message = say(key, texts)
  if message == nil then message = say(tostring(key)) or key end
  if arguments.difference then message = message .. "\n" .. arguments.difference end
  return message
end

-- Chains --------------------------------------------------------------------------------------------------------------

local space = { version = assert.__version }

function space.find(name) return registry.assertion[name] or registry.modifier[name] end

function space.unknown(name) failure.raise("error", "luassert: unknown modifier/assertion: '" .. name .. "'") end

local function fresh_state(base)
  local state = { mod = true, tokens = {} }
  if base then for key, value in pairs(base) do state[key] = value end end
  return state
end

local function check(entry, arguments, state, skip)
  local result, returned = entry.callback(state, arguments, 2)
  if (not not result) == state.mod then
    if returned then return unpack(returned) end
    return unpack(arguments)
  end
  failure.raise("failure", with_reason(state, message_of(entry, state, arguments)), skip)
end

function space.run(steps, arguments, base)
  local state = fresh_state(base)
  local skip = take_level(arguments)
  local last = steps[#steps]
  if not last then space.unknown("") end
  for i = 1, #steps do
    local step = steps[i]
    if step.kind == "modifier" then
      step.callback(state, step == last and arguments or { n = 0 }, 2)
    elseif step ~= last then
      space.unknown(table.concat({ step.name, steps[i + 1].name }, "_"))
    end
  end
  if last.kind == "assertion" then return check(last, arguments, state, skip) end
  return chain.new(space, {}, state)
end

-- Snapshots -----------------------------------------------------------------------------------------------------------

local Snapshot = {}
Snapshot.__index = Snapshot

local function copy(list)
  local result = {}
  for key, value in pairs(list) do result[key] = value end
  return result
end

local function refill(list, from)
  for key in pairs(list) do list[key] = nil end
  for key, value in pairs(from) do list[key] = value end
end

-- Undoes what happened to spies, stubs, parameters and formatters since, snapshots taken later included.
function Snapshot:revert()
  if self.reverted then return end
  while not self.reverted do
    local newest = snapshot
    for i = #newest.spies, 1, -1 do newest.spies[i]:revert() end
    refill(parameters, newest.parameters)
    refill(formatters, newest.formatters)
    newest.reverted, snapshot = true, newest.previous
  end
end

function assert:snapshot()
  snapshot = setmetatable({ previous = snapshot, spies = {}, parameters = copy(parameters),
    formatters = copy(formatters), reverted = false }, Snapshot)
  return snapshot
end

-- Has *spy* reverted with the current snapshot, if there is one.
function assert:add_spy(spy)
  if snapshot then snapshot.spies[#snapshot.spies + 1] = spy end
end

-- Parameters and formatters -------------------------------------------------------------------------------------------

function assert:set_parameter(name, value)
  if type(name) ~= "string" then error("luassert: the name of a parameter must be a string", 2) end
  parameters[name] = value
end

function assert:get_parameter(name) return parameters[name] end

-- callback(value[, info]) gives a text, or nil to leave the value to others; the newest is asked first.
function assert:add_formatter(callback)
  if not compare.callable(callback) then error("luassert: a formatter must be a function", 2) end
  table.insert(formatters, 1, callback)
end

function assert:remove_formatter(callback)
  for i = #formatters, 1, -1 do
    if formatters[i] == callback then table.remove(formatters, i) end
  end
end

local function text_of(value, info)
  for i = 1, #formatters do
    local text = formatters[i](value, info)
    if text ~= nil then return tostring(text) end
  end
  local depth = parameters.TableFormatLevel or 3
  return format.value(value, { depth = depth < 0 and math.huge or depth, mark =
    parameters.TableErrorHighlightCharacter or "*" }, info and info.crumbs)
end

-- A list of the texts of *arguments*; those whose place is set in `nofmt` are left as they are.
function assert:format(arguments)
  local nofmt, info = arguments.nofmt or {}, arguments.fmtargs or {}
  local texts = { n = arguments.n or table.maxn(arguments) }
  for i = 1, texts.n do
    texts[i] = nofmt[i] and tostring(arguments[i]) or not nofmt[i] and text_of(arguments[i], info[i]) or nil
  end
  return texts
end

assert:set_parameter("TableFormatLevel", 3)
assert:set_parameter("TableErrorHighlightCharacter", "*")

return setmetatable(assert, {
  __index = function(self, key)
    if type(key) ~= "string" then return nil end
    local words = chain.new(space, {})[key]
    rawset(self, key, words)
    return words
  end,
  __call = function(_, value, message, ...)
    if value then return value, message, ... end
    if message ~= nil and type(message) ~= "string" and type(message) ~= "number" then error(message, 0) end
    failure.raise("failure", message == nil and "assertion failed!" or message)
  end,
})
