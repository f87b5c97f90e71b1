-- Which files count, as luacov's configuration says: its include and exclude are patterns for paths without ".lua".
-- Plain Lua, for it is also used before there is anything else.

local _, plan = ...

local M = {}

local settings = {}

local function check_patterns(path, name)
  local list = settings[name] or {}
  if type(list) ~= "table" then error(("coverage: %s: %s: a list of patterns is expected"):format(path, name), 0) end
  for _, pattern in ipairs(list) do
    local ok, message = pcall(string.find, "", pattern)
    if not ok then error(("coverage: %s: %s: '%s': %s"):format(path, name, tostring(pattern), message), 0) end
  end
end

-- Reads the configuration; there need not be one unless the plan names it.
function M.read()
  local needed = plan.coverage_config ~= ""
  local path = needed and plan.coverage_config or ".luacov"
  local chunk, message = loadfile(path)
  if not chunk then
    if needed or not message:find("cannot open", 1, true) then error("coverage: " .. message, 0) end
    return
  end
  local env = setmetatable({}, { __index = _G })
  local ok, result = pcall(setfenv(chunk, env))
  if not ok then error("coverage: " .. tostring(result), 0) end
  settings = type(result) == "table" and result or env
  check_patterns(path, "include")
  check_patterns(path, "exclude")
end

local function matches(list, ...)
  for _, pattern in ipairs(list or {}) do
    for i = 1, select("#", ...) do
      if (select(i, ...)):find(pattern) then return true end
    end
  end
  return false
end

-- Whether *path*, whose chunk has the name *source*, counts: patterns are for either of them.
function M.wanted(path, source)
  local name, given = path:gsub("%.lua$", ""), source:gsub("^@", ""):gsub("%.lua$", "")
  if name:find("_spec$") or name:find("^%.") or name:find("/%.") then return false end
  if matches(settings.exclude, name, given) then return false end
  return not (settings.include and settings.include[1]) or matches(settings.include, name, given)
end

-- Whether the file *path* of luamtev itself does: when it is included by its name.
function M.included(path)
  return settings.include and settings.include[1] and M.wanted(path, path) or false
end

return M
