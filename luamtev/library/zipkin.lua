---@meta
-- Traces.

mtev.zipkin = {}

---The span of the request that this coroutine works for.
---@return mtev.zipkin_span?
function mtev.zipkin.active() end

---@class mtev.zipkin_span
local span = {}

---Something happened, now or then.
---@param text string
---@param when? mtev.timeval
function span:annotate(text, when) end

---The same.
---@param text string
---@param when? mtev.timeval
function span:log(text, when) end

---Something is so.
---@param key string
---@param value string|number
function span:bannotate(key, value) end

---The same.
---@param key string
---@param value string|number
function span:tag(key, value) end

---The ids of trace, span and parent, in hexadecimal.
---@return string, string, string?
function span:ids() end
