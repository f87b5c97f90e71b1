---@meta
-- Trace points.

mtev.trace = {}

---@class mtev.trace_point
---@field name string
---@field arguments string[]

---All trace points, with the names of their arguments.
---@return mtev.trace_point[]
function mtev.trace.points() end

---@class mtev.trace_subscription
local subscription = {}

---Has the function called no more.
function subscription:cancel() end

---How many events it did not get since too many waited.
---@return integer
function subscription:lost() end

---Has the function called, a moment later and in a coroutine, with the arguments of the point each time that is passed.
---@param name string
---@param f fun(...: string|number|nil)
---@return mtev.trace_subscription
function mtev.trace.subscribe(name, f) end
