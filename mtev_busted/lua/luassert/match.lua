-- The `match` object: match._, match.is_string(), match.is_not.near(1, 0.1) and the rest make matchers.

local use = ...
local compare = use("luassert/compare")
local failure = use("failure")
local matcher = use("luassert/matcher")
local namespaces = use("luassert/namespaces")

local match = { is_matcher = matcher.is, is_ref_matcher = matcher.by_reference }

-- A chain of words, which makes a matcher when it is called.
local Chain = {}

local function chain_of(tokens) return setmetatable({ tokens = tokens, mod = true }, Chain) end

function Chain.__index(self, key)
  if type(key) ~= "string" then return nil end
  local tokens = {}
  for i, word in ipairs(rawget(self, "tokens")) do tokens[i] = word end
  return chain_of(namespaces.add_words(tokens, key))
end

function Chain.__call(self, ...)
  local entries, unknown = namespaces.resolve("matcher", self.tokens)
  if not entries then failure.raise("failure", "luassert: unknown modifier/matcher: '" .. unknown .. "'") end
  local state, arguments, last = { mod = true, tokens = {} }, compare.pack(...), nil
  for _, entry in ipairs(entries) do
    if entry.kind == "matcher" then last = entry else entry.callback(state, { n = 0 }, 3) end
  end
  if not last then return self end
  local callback = last.callback(state, arguments, 3)
  if not compare.callable(callback) then
    failure.raise("failure", "matcher '" .. last.name .. "' must give a function")
  end
  return matcher.new(last.name, callback, state.mod, arguments, last.name == "ref")
end

function match.state() return chain_of({}) end

match._ = matcher.new("_", function() return true end, true, nil)

return setmetatable(match, {
  __luassert_opaque = true,
  __index = function(_, key)
    if type(key) ~= "string" then return nil end
    return chain_of(namespaces.add_words({}, key))
  end,
})
