-- Values as text for failure messages: "(number) 1", "(string) 'x'", tables over several lines with sorted keys and a
-- mark at the entry that differs.

local use = ...
local compare = use("luassert/compare")

local M = {}

local INTEGER = 2 ^ 53

local function number(value)
  if value ~= value then return "nan" end
  if value == math.floor(value) and math.abs(value) < INTEGER then return ("%.0f"):format(value) end
  local short = ("%.14g"):format(value)
  return tonumber(short) == value and short or ("%.17g"):format(value)
end

local function quoted(text)
  return "'" .. text:gsub("[%z\1-\8\11-\31\127]", function(c) return ("\\%d"):format(c:byte()) end) .. "'"
end

local function described(value)
  local ok, text = pcall(tostring, value)
  return ok and type(text) == "string" and text or "<" .. type(value) .. " whose tostring fails>"
end

local function plain(value)
  local kind = type(value)
  if kind == "string" then return quoted(value) end
  if kind == "number" then return number(value) end
  return described(value)
end
M.plain = plain

local rank = { number = 1, string = 2, boolean = 3 }

-- The keys of a table: numbers, strings, then the rest by their text.
function M.keys(value)
  local keys = {}
  for key in next, value do keys[#keys + 1] = key end
  table.sort(keys, function(a, b)
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

local function table_text(value, options, path, level, seen)
  if seen[value] then return "{ ... recursive }" end
  if next(value) == nil then return "{ }" end
  if level > options.depth then return "{ ... more }" end
  seen[value] = true
  local lines, margin = {}, ("  "):rep(level)
  for _, key in ipairs(M.keys(value)) do
    local inner, wanted = value[key], path and level <= #path and compare.equal(path[level], key)
    local mark = wanted and options.mark or " "
    local text
    if type(inner) == "table" and not custom_text(inner) then
      text = table_text(inner, options, wanted and path or nil, level + 1, seen)
    else
      text = type(inner) == "table" and custom_text(inner) or plain(inner)
    end
    local name = type(key) == "string" and key or plain(key)
    lines[#lines + 1] = ("\n%s%s[%s] = %s"):format(margin:sub(1, -2), mark, name, text)
  end
  seen[value] = nil
  return "{" .. table.concat(lines) .. " }"
end

-- One value as a message shows it.  options: depth (levels of tables), mark (before the entry on *path*).
function M.value(value, options, path)
  local kind = type(value)
  if value == nil then return "(nil)" end
  if kind == "table" then
    local own = custom_text(value)
    if own then return "(table) " .. own end
    return "(table) " .. table_text(value, options, path, 1, {})
  end
  if kind == "string" or kind == "number" or kind == "boolean" then return "(" .. kind .. ") " .. plain(value) end
  local text = described(value)
  if text:sub(1, #kind) == kind then return "(" .. text .. ")" end
  return "(" .. kind .. ") " .. text
end

return M
