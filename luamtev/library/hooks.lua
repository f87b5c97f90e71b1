---@meta
-- Hooks.

---Whether there is such a hook; with a module and a function's name, has that called.
---@param name string
---@param module? string
---@param function_name? string
---@return boolean
function mtev.hook(name, module, function_name) end
