---@meta
-- What a module finds beside the table mtev.

---The table of everything below; also what `require "mtev"` gives.
---@class mtev
mtev = {}

---The script as it was given, then its arguments.
---@type string[]
arg = {}

---The environment.
---@type table<string, string>
ENV = {}

---LuaJIT's ffi; `ffi.load("mtev")` answers the C functions of the original.
---@type ffilib
ffi = require("ffi")

---A hook function's answer: go on.
MTEV_HOOK_CONTINUE = 0
---A hook function's answer: the chain ends here.
MTEV_HOOK_DONE = 1
---A hook function's answer: refuse what was about to happen.
MTEV_HOOK_ABORT = 2

-- Flags of mtev.open and file types of mtev.stat, as the system defines them.
O_RDONLY = 0 ---@type integer
O_WRONLY = 1 ---@type integer
O_RDWR = 2 ---@type integer
O_APPEND = 1024 ---@type integer
O_CREAT = 64 ---@type integer
O_EXCL = 128 ---@type integer
O_TRUNC = 512 ---@type integer
O_SYNC = 1052672 ---@type integer
O_NOFOLLOW = 131072 ---@type integer
O_NONBLOCK = 2048 ---@type integer
S_IFMT = 61440 ---@type integer
S_IFDIR = 16384 ---@type integer
S_IFREG = 32768 ---@type integer
S_IFLNK = 40960 ---@type integer
S_IFIFO = 4096 ---@type integer
S_IFSOCK = 49152 ---@type integer
S_IFCHR = 8192 ---@type integer
S_IFBLK = 24576 ---@type integer

---`print(string.format(...))`
---@param format string
---@param ... any
function printf(format, ...) end

---`error(string.format(...))`, with the position of the caller.
---@param format string
---@param ... any
function errorf(format, ...) end

---Values to bytes; also `string.pack`.
---@param format string letters `z p P a A f d n c b h H i I l L`, each with a count, and `< > =`
---@param ... any
---@return string bytes
function pack(format, ...) end
