-- mtev.pcre: matchers of Perl compatible regular expressions.  A matcher remembers its subject and how far it came.

local home = ...

local settings = home.settings
local refuse, numeral = home.need("arguments").refuse, home.need("arguments").numeral
local sub, unpack = string.sub, unpack
local type, tostring, error, tonumber = type, tostring, error, tonumber

local engine

local function choose_engine()
  engine = settings.env.LUAMTEV_PCRE ~= "package" and home.need("mtev/pcre_library")() or home.need("mtev/pcre_package")()
  return engine
end

local function limit_of(options, name)
  local value = options[name]
  if value == nil then return nil end
  local limit = numeral(value)
  if not limit or not (limit >= 1) then
    error("bad option '" .. name .. "' of a matcher (number from 1 expected, got " .. tostring(value) .. ")", 4)
  end
  return limit < 2 ^ 32 and limit - limit % 1 or 2 ^ 32 - 1
end

local function limits_of(options)
  if type(options) ~= "table" then
    error("bad argument #2 to a matcher (table of options expected, got " .. type(options) .. ")", 3)
  end
  return limit_of(options, "limit"), limit_of(options, "limit_recurse")
end

local function text_of(subject)
  if type(subject) == "number" then return tostring(subject) end
  error("bad argument #1 to a matcher (string expected, got " .. type(subject) .. ")", 3)
end

local function group(subject, start, spans, i)
  local first = spans[2 * i]
  if first < 0 then return "" end
  return sub(subject, start + tonumber(first) + 1, start + tonumber(spans[2 * i + 1]))
end

-- Few groups are returned without a table in between.
local results = {
  [0] = function(subject, start, spans) return true, group(subject, start, spans, 0) end,
  [1] = function(subject, start, spans)
    return true, group(subject, start, spans, 0), group(subject, start, spans, 1)
  end,
  [2] = function(subject, start, spans)
    return true, group(subject, start, spans, 0), group(subject, start, spans, 1), group(subject, start, spans, 2)
  end,
  [3] = function(subject, start, spans)
    return true, group(subject, start, spans, 0), group(subject, start, spans, 1), group(subject, start, spans, 2),
      group(subject, start, spans, 3)
  end,
}

local function many(subject, start, spans, groups)
  local all = {}
  for i = 0, groups do all[i + 1] = group(subject, start, spans, i) end
  return true, unpack(all, 1, groups + 1)
end

-- What a match gives: all groups up to the last that took part.
local function answer(subject, start, spans, groups)
  while spans[2 * groups] < 0 do groups = groups - 1 end
  local few = results[groups]
  if few then return few(subject, start, spans) end
  return many(subject, start, spans, groups)
end

function mtev.pcre(expression)
  if type(expression) ~= "string" then
    refuse(1, "pcre", "expression", type(expression), 2)
  end
  local code, groups, offset = (engine or choose_engine()).compile(expression)
  if not code then return nil, groups, offset end
  local search = engine.searcher(code, groups)
  local current, at, after_empty = nil, 0, false

  return function(subject, options)
    if subject == nil then
      current, at, after_empty = nil, 0, false
      return false
    end
    if type(subject) ~= "string" then subject = text_of(subject) end
    if subject ~= current then current, at, after_empty = subject, 0, false end
    local limit, depth
    if options ~= nil then limit, depth = limits_of(options) end
    local start = at
    local first, last, spans = search(subject, start, after_empty, limit, depth)
    if not first then return false end
    at, after_empty = start + last, first == last
    return answer(subject, start, spans, groups)
  end
end
