-- The assert object: registering, chains of words that end in an assertion, what a failure says.  The assertions
-- themselves are in assertions.lua and friends.

local use = ...
local failure = use("failure")
local say = use("luassert/say")
local compare = use("luassert/compare")
local namespaces = use("luassert/namespaces")
local state = use("luassert/state")
local pack, unpack = compare.pack, compare.unpack

local assert = { _VERSION = "1.9.0" } -- of the interface

local CALLBACK_LEVEL = 3 -- for error() in a callback: whoever called the assertion

-- Registry ------------------------------------------------------------------------------------------------------------

-- callback(state, arguments, level) says whether the assertion holds; messages are keys of `say`, or texts.
function assert:register(kind, name, callback, positive_message, negative_message)
  if type(name) ~= "string" then error("luassert: the name to register must be a string", 2) end
  if not compare.callable(callback) then error("luassert: '" .. name .. "' needs a function to register", 2) end
  if not namespaces.spaces[kind] then
    error("luassert: unknown namespace '" .. tostring(kind) .. "' (modifier, assertion or matcher expected)", 2)
  end
  namespaces.register(kind, name, callback, positive_message, negative_message)
end

function assert:unregister(kind, name) namespaces.unregister(kind, name) end

-- Failing -------------------------------------------------------------------------------------------------------------

local Level = {}

-- As the last argument of an assertion: blame the n-th caller.
function assert:level(n) return setmetatable({ level = n or 1 }, Level) end

-- The n of assert:level(n), or nil.
function assert:get_level(value) return getmetatable(value) == Level and value.level or nil end

local function take_level(arguments)
  local level = assert:get_level(arguments[arguments.n])
  if not level then return 0 end
  arguments[arguments.n], arguments.n = nil, arguments.n - 1
  return level - 1
end

local function text_of(value)
  if type(value) == "string" then return value end
  if type(value) ~= "number" and compare.hastostring(value) then return tostring(value) end
  return assert:format({ value, n = 1 })[1]
end

local function message_of(entry, chain, arguments)
  local key = arguments.message_key or (chain.mod and entry.positive_message or entry.negative_message)
  if key == nil then key = "assertion '" .. entry.name .. "' failed" end
  local message = say(key, assert:format(arguments))
  if message == nil then message = tostring(key) end
  if arguments.difference then message = message .. "\n" .. arguments.difference end
  if chain.failure_message == nil then return message end
  return text_of(chain.failure_message) .. "\n" .. message
end

-- Chains --------------------------------------------------------------------------------------------------------------

-- A chain is a table of words (tokens) with what modifiers have set so far: mod (false after `not`), failure_message,
-- payload.  Using one never changes it: callbacks get a copy, which a chain of modifiers alone gives back.
local Chain = {}

local resolved = setmetatable({}, { __mode = "k" }) -- chain -> { version, entries, the last assertion }

local function resolve(chain)
  local known = resolved[chain]
  if known and known.version == namespaces.version() then return known end
  local entries, unknown = namespaces.resolve("assertion", chain.tokens)
  if not entries then failure.raise("failure", "luassert: unknown modifier/assertion: '" .. unknown .. "'") end
  known = { version = namespaces.version(), entries = entries, assertion = nil }
  for _, entry in ipairs(entries) do
    if entry.kind == "assertion" then known.assertion = entry end
  end
  resolved[chain] = known
  return known
end

local function derive(chain, tokens)
  local copy = { mod = true }
  for name, value in next, chain do copy[name] = value end
  copy.tokens = tokens
  return copy
end

function Chain.__index(self, key)
  if type(key) ~= "string" then return nil end
  local tokens = {}
  for i, word in ipairs(rawget(self, "tokens") or {}) do tokens[i] = word end
  return setmetatable(derive(self, namespaces.add_words(tokens, key)), Chain)
end

local nothing = { n = 0 }

function Chain.__call(self, ...)
  local known = resolve(self)
  local chain, arguments = derive(self, {}), pack(...)
  local entries, assertion = known.entries, known.assertion
  local last = not assertion and entries[#entries]
  for i = 1, #entries do
    local entry = entries[i]
    if entry.kind == "modifier" then entry.callback(chain, entry == last and arguments or nothing, CALLBACK_LEVEL) end
  end
  if not assertion then return setmetatable(chain, Chain) end
  local skip = take_level(arguments)
  local holds, returned = assertion.callback(chain, arguments, CALLBACK_LEVEL)
  if (not not holds) ~= chain.mod then failure.raise("failure", message_of(assertion, chain, arguments), skip) end
  if returned then return unpack(returned) end
  return ...
end

local first = setmetatable({ mod = true, tokens = {} }, Chain)

-- A chain without words.
function assert.state() return setmetatable(derive(first, {}), Chain) end

-- Snapshots, parameters, formatters -----------------------------------------------------------------------------------

-- Begins a level of formatters, parameters and spies; its :revert() undoes what happened since.
function assert:snapshot() return state.snapshot() end

function assert:add_spy(spy) state.add_spy(spy) end

function assert:set_parameter(name, value)
  if type(name) ~= "string" then error("luassert: the name of a parameter must be a string", 2) end
  state.set_parameter(name, value)
end

function assert:get_parameter(name) return state.get_parameter(name) end

-- callback(value[, info]) gives a text, or nil to leave the value to others; the newest is asked first.
function assert:add_formatter(callback)
  if not compare.callable(callback) then error("luassert: a formatter must be a function", 2) end
  state.add_formatter(callback)
end

function assert:remove_formatter(callback) state.remove_formatter(callback) end

-- A list of the texts of *arguments*; those whose place is set in `nofmt` are left as they are.
function assert:format(arguments)
  local nofmt, info = arguments.nofmt or {}, arguments.fmtargs or {}
  local texts = { n = arguments.n }
  for i = 1, arguments.n or #arguments do
    texts[i] = arguments[i]
    if not nofmt[i] then texts[i] = state.format_argument(arguments[i], nil, info[i]) end
  end
  return texts
end

local chains = {} -- key -> the chain of its words, for what was asked of `assert` itself

return setmetatable(assert, {
  __luassert_opaque = true,
  __index = function(_, key)
    local chain = chains[key]
    if not chain and type(key) == "string" then
      chain = first[key]
      chains[key] = chain
    end
    return chain
  end,
  __call = function(self, value, message, level, ...)
    if value then return value, message, level, ... end
    if message ~= nil and type(message) ~= "string" and type(message) ~= "number" then failure.raise_value(message) end
    failure.raise("failure", message == nil and "assertion failed!" or message,
      (self:get_level(level) or 1) - 1)
  end,
})
