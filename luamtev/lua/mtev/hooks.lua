-- mtev.hook: functions of Lua modules on the hooks of the stack.

local home = ...

local border, checked, check_bytes = home.border, home.checked, home.check_bytes
local exists, register = checked(border.hook_exists), checked(border.hook_register)
local type, tostring, error, require, pcall = type, tostring, error, require, pcall
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

-- Calls hook *number*; what is no result of a hook, and an error, are CONTINUE.
function home.call_hook(number, ...)
  local ok, result = pcall(registered[number], ...)
  if ok and (result == nil or result == CONTINUE or result == DONE or result == ABORT) then return result or CONTINUE end
  border.task_failed(ok and "a hook returned " .. tostring(result) .. ", not a hook result" or tostring(result))
  return CONTINUE
end
