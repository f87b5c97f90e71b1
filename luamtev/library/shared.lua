---@meta
-- What Lua states share.

---@param key string|number
---@param value any copied; nil deletes
function mtev.shared_set(key, value) end

---@param key string|number
---@return any
function mtev.shared_get(key) end

---The next number of a sequence, from 0.
---@param name string|number
---@return integer
function mtev.shared_seq(name) end

---@param key string|number
---@param value any
function mtev.shared_notify(key, value) end

---@async
---@param key string|number
---@param timeout? number seconds
---@return any
function mtev.shared_waitfor(key, timeout) end

---@class mtev.semaphore
local semaphore = {}

---@async
---@param timeout? number seconds
---@return boolean
function semaphore:acquire(timeout) end

---@return boolean
function semaphore:try_acquire() end

function semaphore:release() end

---@param name string|number
---@param value? integer counts only when this makes it
---@return mtev.semaphore
function mtev.semaphore(name, value) end
