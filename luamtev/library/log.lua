---@meta
-- Logs and print.

---Logs `string.format(format, ...)`.
---@param stream string
---@param format string
---@param ... any
function mtev.log(stream, format, ...) end

---@param stream string
---@return boolean
function mtev.log_enabled(stream) end

---@param stream string
---@param on? boolean
function mtev.enable_log(stream, on) end

---The global `print`.
---@param ... any
function mtev.print(...) end

---Sends `print` to another log stream.
---@param stream string
function mtev.printto(stream) end
