---@meta
-- The process and its threads.

---@return integer
function mtev.getpid() end

---@return integer
function mtev.getppid() end

---@return integer
function mtev.getuid() end

---@return integer
function mtev.geteuid() end

---@return integer
function mtev.getgid() end

---@return integer
function mtev.getegid() end

---@return { sysname: string, nodename: string, release: string, version: string, machine: string }
function mtev.uname() end

---@return integer tid of the system
---@return integer index in its pool
---@return string name
function mtev.thread_self() end

---@return integer
function mtev.eventer_loop_concurrency() end

---@return integer
function mtev.watchdog_child_heartbeat() end

---Seconds that this thread may be silent; nil when no watchdog watches.
---@return number?
function mtev.watchdog_timeout() end

---A random UUID (version 4).
---@return string
function mtev.uuid() end
