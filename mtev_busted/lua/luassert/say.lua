-- Messages by key in namespaces (languages), with a fallback namespace: say(key, {values}) gives the text.

local say = {}

local registry = { en = {} }
local current, fallback = "en", "en"

local function namespace(name)
  if type(name) ~= "string" then error("say: namespace must be a string, got " .. type(name), 3) end
  registry[name] = registry[name] or {}
  return name
end

function say:set_namespace(name) current = namespace(name) end

function say:set_fallback(name) fallback = namespace(name) end

function say:set(key, message)
  if type(key) ~= "string" then error("say: key must be a string, got " .. type(key), 2) end
  registry[current][key] = message
end

local function fill(message, values)
  local n, i = values.n or table.maxn(values), 0
  return (message:gsub("%%(.)", function(directive)
    if directive == "%" then return "%" end
    if directive ~= "s" and directive ~= "d" then return nil end
    i = i + 1
    return i <= n and tostring(values[i]) or "nil"
  end))
end

-- The message of *key* with its %s filled from a table of values or from the arguments; nil when nobody set it.
return setmetatable(say, {
  __call = function(_, key, first, ...)
    local values = type(first) == "table" and first or { n = select("#", first, ...), first, ... }
    local message = registry[current][key]
    if message == nil then message = registry[fallback][key] end
    if type(message) == "function" then return message(values) end
    if type(message) ~= "string" then return message end
    return fill(message, values)
  end,
})
