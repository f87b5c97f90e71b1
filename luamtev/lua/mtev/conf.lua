-- mtev.conf_*: typed values of the configuration by XPath; with a second argument the getters set.

local home = ...

local format = string.format
local huge = math.huge
local refuse = home.need("arguments").refuse
local border, checked = home.border, home.checked
local get, set, replace, list = checked(border.conf_get), checked(border.conf_set), checked(border.conf_replace),
  checked(border.conf_get_string_list)
local select, type, tostring, tonumber, error = select, type, tostring, tonumber, error

local function check_path(path, name)
  if type(path) ~= "string" then
    refuse(1, name, "XPath", type(path), 3)
  end
end

local convert = {}

function convert.string(value)
  if type(value) == "string" then return value end
  if type(value) == "number" then return tostring(value) end
end

function convert.integer(value)
  local number = tonumber(value)
  if number and number % 1 == 0 and number >= -2 ^ 63 and number < 2 ^ 63 then return format("%.0f", number) end
end

function convert.number(value)
  local number = tonumber(value)
  if number and number == number and number ~= huge and number ~= -huge then
    return format("%.17g", number)
  end
end

function convert.boolean(value)
  if type(value) == "boolean" then return tostring(value) end
end

local function to_text(kind, value, name)
  local text = convert[kind](value)
  if not text then refuse(2, name, kind, tostring(value), 3) end
  return text
end

local aliases = {
  string = { "conf_get_string", "conf_string", "conf_get", "conf" },
  integer = { "conf_get_integer", "conf_integer" },
  boolean = { "conf_get_boolean", "conf_boolean" },
  number = { "conf_get_number", "conf_number", "conf_get_float" },
}
for kind, names in pairs(aliases) do
  for _, name in ipairs(names) do
    mtev[name] = function(path, ...)
      check_path(path, name)
      if select("#", ...) == 0 then return (get(kind, path)) end
      return (set(path, to_text(kind, (...), name)))
    end
  end
end

function mtev.conf_get_string_list(...)
  if select("#", ...) ~= 2 then error("conf_get_string_list takes a base and a child path", 2) end
  local base, child = ...
  check_path(base, "conf_get_string_list")
  if type(child) ~= "string" then
    refuse(2, "conf_get_string_list", "path", type(child), 2)
  end
  return (list(base, child))
end

for _, kind in ipairs({ "string", "integer", "boolean", "number" }) do
  local name = "conf_replace_" .. kind
  mtev[name] = function(path, value)
    check_path(path, name)
    return (replace(path, to_text(kind, value, name)))
  end
end
mtev.conf_replace_value = mtev.conf_replace_string

-- Writes what changed to the files it belongs to; false, with the reason in the log error/conf, when that fails.
local save, mark_changed = checked(border.conf_save), checked(border.conf_mark_changed)
function mtev.conf_save() return (save()) end

-- Has all of the configuration count as changed.
function mtev.conf_mark_changed() mark_changed() end
