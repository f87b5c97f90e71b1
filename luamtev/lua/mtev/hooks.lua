-- mtev.hook: functions of Lua modules on the hooks of the stack.

local home = ...

local class = home.need("mtev/object")
local border, checked, check_bytes = home.border, home.checked, home.need("arguments").check_bytes
local exists, register = checked(border.hook_exists), checked(border.hook_register)
local print_to = checked(border.console_print)
local type, tostring, error, require, pcall, setmetatable, package
  = type, tostring, error, require, pcall, setmetatable, package
local select, getinfo = select, debug.getinfo
local extras, lower = mtev.extras, string.lower
local format, gmatch, match = string.format, string.gmatch, string.match
local CONTINUE, DONE, ABORT = 0, 1, 2

local USAGE = 'mtev.hook(name,["func_name"])'

-- Hooks of the original that nobody invokes here: modules that register there go on, and are never called.
local NEVER = { dso_post_init = true, eventer_started = true, http_post_request = true, mtev_stacktrace_frame = true }

local taken = {} -- what was registered, as one text

-- The function *name* of a module as it is now; the module is required if it is not there.
local function find(module_name, name)
  local module = package.loaded[module_name]
  if type(module) ~= "table" then
    module = require(module_name)
    if type(module) ~= "table" then module = package.loaded[module_name] end
  end
  local f = type(module) == "table" and module[name]
  if type(f) == "function" then return f end
  error("hook: module '" .. module_name .. "' has no function '" .. name .. "'", 0)
end

-- Whether a file is being loaded further up: what it defines may come later.
local function is_loading()
  local level = 3
  local frame = getinfo(level, "S")
  while frame and frame.what ~= "main" do
    level = level + 1
    frame = getinfo(level, "S")
  end
  return frame ~= nil
end

-- hook(name): whether there is such a hook.
-- hook(name, module, function): has the module's function called by it, the one that has the name then.
-- The function gets what the hook is invoked with and returns MTEV_HOOK_CONTINUE (or nothing), DONE or ABORT.  It cannot
-- suspend.
function mtev.hook(...)
  local name, module_name, function_name = ...
  local n = select("#", ...)
  if n ~= 1 and n ~= 3 then error(USAGE, 2) end
  name = check_bytes(name, "hook")
  if n == 1 then return (exists(name)) end
  module_name, function_name = check_bytes(module_name, "hook", 2), check_bytes(function_name, "hook", 3)
  if NEVER[name] then return false end
  if not exists(name) then error("hook not valid", 2) end
  local key = name .. "\0" .. module_name .. "\0" .. function_name
  if taken[key] then return true end
  local ok, why = pcall(find, module_name, function_name)
  if not ok and not is_loading() then error(why, 2) end
  taken[key] = true
  register(name, module_name, function_name)
  return true
end

-- A request as a hook gets it is a table of what is known of it, and has the method request() of a handler's context: an
-- object with the methods that read a request.
local new_request = class("mtev.http_request", {
  method = function(self) return self.known.method end,
  uri = function(self) return self.known.uri end,
  headers = function(self, name)
    if name == nil then return self.known.headers end
    return self.known.headers[lower(check_bytes(name, "headers"))]
  end,
  querystring = function(self, name)
    local parameters = {}
    for item in gmatch(self.known.querystring or "", "[^&]+") do
      local key, value = match(item, "^([^=]*)=?(.*)$")
      key = extras.url_decode(key)
      parameters[key] = parameters[key] or extras.url_decode(value)
    end
    if name == nil then return parameters end
    return parameters[check_bytes(name, "querystring")]
  end,
  cookie = function(self, name) return extras.decode_cookie(self, name) end,
})

local of_requests = { __index = { request = function(known) return new_request({ known = known }) end } }

local function as_given(first, ...)
  if type(first) == "table" and first.headers and first.method then setmetatable(first, of_requests) end
  return first, ...
end

local function complain(what) mtev.log("error/lua", "lua error: %s\n", what) end

local missing = {} -- functions that are not here, told once

-- Calls the function of a module; what is no result of a hook, and an error, are CONTINUE.
local function call(module_name, name, ...)
  local ok, f = pcall(find, module_name, name)
  if not ok then
    local key = module_name .. "\0" .. name
    if not missing[key] then complain(f) end
    missing[key] = true
    return CONTINUE
  end
  local result
  ok, result = pcall(f, as_given(...))
  if ok and (result == nil or result == CONTINUE or result == DONE or result == ABORT) then return result or CONTINUE end
  complain(ok and "a hook returned " .. tostring(result) .. ", not a hook result" or result)
  return CONTINUE
end

-- Prints to the console that a hook of consoles got.
function mtev.nc_printf(console, ...)
  local id = type(console) == "table" and console.console
  if type(id) ~= "number" or select("#", ...) == 0 then error("mtev.nc_printf(console, format, ...)", 2) end
  print_to(id, format(...))
end

return { call = call }
