-- mtev.runtime_reload and mtev.runtime_defunct: states that are made anew while the process runs.
--
-- The rest of the process has a new state load its modules, and tells the old one that it is defunct
-- (luamtev.api.runtime).

local home = ...

local sub = string.sub
local getinfo = debug.getinfo
local refuse = home.need("arguments").refuse
local border, kernel = home.border, home.kernel

local select, type, xpcall, ipairs, package = select, type, xpcall, ipairs, package

local M = {}

local defunct, listeners = false, {}

function mtev.runtime_reload() border.runtime_reload() end

-- Whether this state is defunct; *f* is called, as a coroutine, when it becomes that.
function mtev.runtime_defunct(f)
  if f ~= nil then
    if type(f) ~= "function" then
      refuse(1, "runtime_defunct", "function", type(f), 2)
    end
    if defunct then kernel.spawn(f) else listeners[#listeners + 1] = f end
  end
  return defunct
end

function M.retire()
  defunct = true
  for i = 1, #listeners do
    local ok, report = xpcall(listeners[i], home.report)
    if not ok then mtev.log("error/lua", "lua error: %s\n", report) end
  end
  border.runtime_retired()
end

-- Requires modules; *find* looks for a function in the last of them unless its name is empty.
function M.load(find, function_name, ...)
  for i = 1, select("#", ...) do
    local name = select(i, ...)
    local ok, found = xpcall(require, home.report, name)
    if ok and function_name ~= "" then ok, found = xpcall(find, home.report, found, name, function_name) end
    if not ok then return border.runtime_loaded(found) end
  end
  border.runtime_loaded()
end

-- Has files told that `require`, loadfile and dofile read.
function M.watch()
  local function note(name)
    if type(name) == "string" then border.runtime_note(name) end
  end
  for i, loader in ipairs(package.loaders) do
    package.loaders[i] = function(name)
      local chunk, extra = loader(name)
      local source = type(chunk) == "function" and getinfo(chunk, "S").source
      if source and sub(source, 1, 1) == "@" then note(sub(source, 2)) end
      return chunk, extra
    end
  end
  for _, name in ipairs({ "loadfile", "dofile" }) do
    local read = _G[name]
    _G[name] = function(file, ...)
      note(file)
      return read(file, ...)
    end
  end
end

return M
