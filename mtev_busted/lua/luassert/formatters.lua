-- How values look in messages: "(number) 1", "(string) 'x'", tables over several lines with sorted keys and a mark at
-- the entry that differs.  Each kind is a formatter, which a user's own can come before.

local use, plan = ...
local assert = use("luassert/assert")
local color = use("color")
local format = use("luassert/format")
local matcher = use("luassert/matcher")

-- term.colors' names for what color.lua has.
local function marked(mark, name)
  if name == nil or name == "none" or not color.codes[name] then return mark end
  return color.always(name, mark)
end

local function table_options()
  local depth = assert:get_parameter("TableFormatLevel") or 3
  local mark = assert:get_parameter("TableErrorHighlightCharacter") or ""
  return { depth = depth < 0 and math.huge or depth, width = #mark,
    mark = marked(mark, assert:get_parameter("TableErrorHighlightColor")) }
end

-- The keys to what differs, outermost first.  `crumbs`, as others give them, begin with the innermost.
local function path_of(info)
  if not info then return nil end
  if info.path or not info.crumbs then return info.path end
  local path = {}
  for i = #info.crumbs, 1, -1 do path[#path + 1] = info.crumbs[i] end
  return path
end

local function listed(arguments)
  local texts = assert:format(arguments)
  return "(values list) (" .. table.concat(texts, ", ", 1, texts.n) .. ")"
end

local function matcher_text(value)
  if not value.arguments then return "(matcher) " .. value.name end
  local texts = assert:format(value.arguments)
  return ("(matcher) %s.%s(%s)"):format(value.mod and "is" or "no", value.name, table.concat(texts, ", ", 1, texts.n))
end

local makers = {
  string = function(value) return "(string) " .. format.plain(value) end,
  number = function(value) return "(number) " .. format.plain(value) end,
  boolean = function(value) return "(boolean) " .. tostring(value) end,
  ["nil"] = function() return "(nil)" end,
  ["function"] = function(value) return format.function_text(value) end,
  table = function(value, info)
    if matcher.is(value) then return matcher_text(value) end
    if matcher.is_arglist(value) then return listed(value) end
    return format.table_text(value, table_options(), path_of(info))
  end,
}

assert:add_formatter(function(value, info)
  local maker = makers[type(value)]
  if maker then return maker(value, info) end
  return "(" .. type(value) .. ") '" .. format.described(value) .. "'"
end)

assert:set_parameter("TableFormatLevel", 3)
assert:set_parameter("TableFormatShowRecursion", false)
assert:set_parameter("TableErrorHighlightCharacter", "*")
assert:set_parameter("TableErrorHighlightColor", plan.color and "red" or "none")
