---@meta
-- Processes.

---@class mtev.process
local process = {}

---@return integer -1 when it could not start
function process:pid() end

---The wait status; nil and an errno.
---@async
---@param timeout? number seconds
---@return integer? status
---@return integer? errno
function process:wait(timeout) end

---@param signal? integer
---@return boolean
---@return integer? errno
function process:kill(signal) end

---@param signal? integer
---@return boolean
---@return integer? errno
function process:pgkill(signal) end

---@param path string
---@param argv? string[]
---@param env? string[] `K=V`
---@return mtev.process
---@return mtev.eventer|integer stdin, or an errno
---@return mtev.eventer? stdout
---@return mtev.eventer? stderr
function mtev.spawn(path, argv, env) end

---@async
---@param path string
---@param argv? string[]
---@param env? string[]|table<string, string>
---@param timeout? number seconds
---@return integer? status
---@return string stdout
---@return string stderr
function mtev.exec(path, argv, env, timeout) end

---@async
---@param command string
---@param timeout? number seconds
---@param shell? string
---@return integer? status
---@return string? stdout
---@return string? stderr
function mtev.sh(command, timeout, shell) end

---@param status integer
---@return boolean
function mtev.WIFEXITED(status) end

---@param status integer
---@return integer
function mtev.WEXITSTATUS(status) end

---@param status integer
---@return boolean
function mtev.WIFSIGNALED(status) end

---@param status integer
---@return integer
function mtev.WTERMSIG(status) end

---@param status integer
---@return boolean
function mtev.WCOREDUMP(status) end

---@param status integer
---@return boolean
function mtev.WIFSTOPPED(status) end

---@param status integer
---@return integer
function mtev.WSTOPSIG(status) end

---@param status integer
---@return boolean
function mtev.WIFCONTINUED(status) end

---@class mtev.Proc.watch
local watch = {}

---The next line that matches; nil when there is none.
---@async
---@param timeout? number seconds
---@return string?
function watch:wait(timeout) end

function watch:stop() end

---@class mtev.Proc.options
---@field path string
---@field argv? string[]
---@field dir? string
---@field env? table<string, string>|string[]
---@field boot_match? string|fun(line: string): any
---@field boot_timeout? number

---@class mtev.Proc
mtev.Proc = {}

---@param options mtev.Proc.options
---@return mtev.Proc
function mtev.Proc:new(options) end

---@return mtev.Proc
---@return string? reason
function mtev.Proc:start() end

---@async
---@return boolean
function mtev.Proc:ready() end

---@return integer
function mtev.Proc:pid() end

---@return boolean
function mtev.Proc:pause() end

---@return boolean
function mtev.Proc:resume() end

---@async
---@param timeout? number seconds
---@return boolean? exited
---@return integer? status
function mtev.Proc:wait(timeout) end

---@async
---@param timeout? number seconds
---@return boolean? ended
---@return integer? status
---@return integer? errno
function mtev.Proc:kill(timeout) end

---@param match string|fun(line: string): any
---@param limit? integer
---@return mtev.Proc.watch
function mtev.Proc:logwatch(match, limit) end

---@param listen fun(line: string)
---@return mtev.Proc
function mtev.Proc:loglisten(listen) end

---@param stream string
---@param prefix? string
---@return mtev.Proc
function mtev.Proc:loglog(stream, prefix) end

---@param file string
---@return mtev.Proc
function mtev.Proc:logwrite(file) end
