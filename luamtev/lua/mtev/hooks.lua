-- mtev.hook: functions of Lua modules on the hooks of the stack.

local home = ...

local class = home.need("mtev/object")
local border, checked, check_bytes = home.border, home.checked, home.need("arguments").check_bytes
local exists, register = checked(border.hook_exists), checked(border.hook_register)
local type, tostring, error, require, pcall, setmetatable = type, tostring, error, require, pcall, setmetatable
local extras, lower = mtev.extras, string.lower
local CONTINUE, DONE, ABORT = 0, 1, 2

local registered = {} -- number -> function

-- hook(name): whether there is such a hook.
-- hook(name, module, function): has the module's function called by it; false when there is no such hook.
-- The function gets what the hook is invoked with and returns MTEV_HOOK_CONTINUE (or nothing), DONE or ABORT.  It cannot
-- suspend.
function mtev.hook(name, module_name, function_name)
  name = check_bytes(name, "hook")
  if module_name == nil and function_name == nil then return (exists(name)) end
  module_name, function_name = check_bytes(module_name, "hook", 2), check_bytes(function_name, "hook", 3)
  local loaded = require(module_name)
  local module = type(loaded) == "table" and loaded or package.loaded[module_name]
  local f = type(module) == "table" and module[function_name]
  if type(f) ~= "function" then
    error("hook: module '" .. module_name .. "' has no function '" .. function_name .. "'", 2)
  end
  local number = #registered + 1
  registered[number] = f
  return (register(name, number, module_name .. "." .. function_name))
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
    for item in (self.known.querystring or ""):gmatch("[^&]+") do
      local key, value = item:match("^([^=]*)=?(.*)$")
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

-- Calls hook *number*; what is no result of a hook, and an error, are CONTINUE.
local function call(number, ...)
  local ok, result = pcall(registered[number], as_given(...))
  if ok and (result == nil or result == CONTINUE or result == DONE or result == ABORT) then return result or CONTINUE end
  border.task_failed(ok and "a hook returned " .. tostring(result) .. ", not a hook result" or tostring(result))
  return CONTINUE
end

return { call = call }
