---@meta
-- Hooks.

---Whether there is such a hook; with a module and a function's name, has that called.
---@param name string
---@param module? string
---@param function_name? string
---@return boolean
function mtev.hook(name, module, function_name) end

---Prints to the console that a function on the hook mtev_console_dispatch got.
---@param console table
---@param format string
---@param ... any
function mtev.nc_printf(console, format, ...) end
