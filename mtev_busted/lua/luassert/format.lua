-- Values as text: numbers without loss, strings without control characters, tables over several lines.

local use = ...
local compare = use("luassert/compare")

local M = {}

local INTEGER = 2 ^ 63

local function number(value)
  if value ~= value then return "NaN" end
  if value == math.huge then return "Inf" end
  if value == -math.huge then return "-Inf" end
  if value == math.floor(value) and math.abs(value) < INTEGER then return ("%.0f"):format(value) end
  return ("%.20g"):format(value)
end

local function quoted(text)
  return "'" .. text:gsub("[%z\1-\8\11-\31\127]", function(c) return ("\\%d"):format(c:byte()) end) .. "'"
end

-- tostring, for values that may refuse.
function M.described(value)
  local ok, text = pcall(tostring, value)
  return ok and type(text) == "string" and text or "<" .. type(value) .. " whose tostring fails>"
end
local described = M.described

-- A value without its type, on one line.
function M.plain(value)
  local kind = type(value)
  if kind == "string" then return quoted(value) end
  if kind == "number" then return number(value) end
  return described(value)
end
local plain = M.plain

-- A function with the place of its definition.
function M.function_text(value)
  local info = debug.getinfo(value, "S")
  if info.what == "C" then return tostring(value) end
  return ("%s @ line %d in %s"):format(tostring(value), info.linedefined, info.source)
end

local rank = { number = 1, string = 2, boolean = 3 }

-- The keys of a table: those of its sequence, other numbers, strings, then the rest by their text.
function M.keys(value)
  local keys, length = {}, 0
  while rawget(value, length + 1) ~= nil do length = length + 1 end
  local function in_sequence(key) return type(key) == "number" and key >= 1 and key <= length and key % 1 == 0 end
  for key in next, value do keys[#keys + 1] = key end
  table.sort(keys, function(a, b)
    if in_sequence(a) ~= in_sequence(b) then return in_sequence(a) end
    local kind_a, kind_b = rank[type(a)] or 4, rank[type(b)] or 4
    if kind_a ~= kind_b then return kind_a < kind_b end
    if kind_a < 3 then return a < b end
    return described(a) < described(b)
  end)
  return keys
end

local function custom_text(value)
  local mt = debug.getmetatable(value)
  return type(mt) == "table" and rawget(mt, "__tostring") and described(value)
end

local function contents(value, options, path, level, seen)
  if seen[value] then return "{ ... recursive }" end
  if next(value) == nil then return "{ }" end
  if level > options.depth then return "{ ... more }" end
  seen[value] = true
  local lines, margin = {}, ("  "):rep(level)
  for _, key in ipairs(M.keys(value)) do
    local inner, wanted = value[key], path and level <= #path and compare.equal(path[level], key)
    local text
    if type(inner) == "table" and not custom_text(inner) then
      text = contents(inner, options, wanted and path or nil, level + 1, seen)
    else
      text = type(inner) == "table" and custom_text(inner) or plain(inner)
    end
    local before = wanted and margin:sub(1, -options.width - 1) .. options.mark or margin
    lines[#lines + 1] = ("\n%s[%s] = %s"):format(before, type(key) == "string" and key or plain(key), text)
  end
  seen[value] = nil
  return "{" .. table.concat(lines) .. " }"
end

-- A table with its address.  options: depth (levels of tables), mark (before the entries on *path*, a list of keys from
-- the outermost) and its width.
function M.table_text(value, options, path)
  local own = custom_text(value)
  local head = ("(table: %p) "):format(value)
  return head .. (own or contents(value, options, path, 1, {}))
end

-- A table's contents, without its address.
function M.structure(value)
  if next(value) == nil then return "{\n}" end
  return contents(value, { depth = math.huge, mark = "", width = 0 }, nil, 1, {})
end

return M
