---@meta
-- Files, directories and lock files.

---All that is in a file; nil, errno, text when it cannot be read.
---@async
---@param path string
---@param limit? integer bytes
---@return string? text
---@return integer? errno
---@return string? reason
function mtev.readfile(path, limit) end

---@async
---@param path string
---@param text string|number
---@param mode? integer of a new file
---@return boolean
---@return integer? errno
---@return string? reason
function mtev.writefile(path, text, mode) end

---@async
---@param path string
---@param text string|number
---@param mode? integer of a new file
---@return boolean
---@return integer? errno
---@return string? reason
function mtev.appendfile(path, text, mode) end

---@param file string
---@param flags integer a sum of O_*
---@param mode? integer
---@return integer fd -1 when it cannot be opened
---@return integer? errno
---@return string? reason
function mtev.open(file, flags, mode) end

---@param fd integer
---@param text string|number
---@return integer bytes
---@return integer? errno
---@return string? reason
function mtev.write(fd, text) end

---@param fd integer
---@return integer
---@return integer? errno
---@return string? reason
function mtev.close(fd) end

---@class mtev.status
---@field dev integer
---@field ino integer
---@field mode integer
---@field nlink integer
---@field uid integer
---@field gid integer
---@field rdev integer
---@field size integer bytes

---@param file string|integer|nil a path, links not followed, or a descriptor
---@return mtev.status?
---@return integer? errno
---@return string? reason
function mtev.stat(file) end

---@param file string
---@param mode integer
---@return integer
---@return integer? errno
function mtev.chmod(file, mode) end

---@param path string
---@return boolean
---@return integer? errno
---@return string? reason
function mtev.unlink(path) end

---@param path string
---@param mode? integer
---@return boolean
---@return integer? errno
---@return string? reason
function mtev.mkdir(path, mode) end

---@param path string
---@return boolean
---@return integer? errno
---@return string? reason
function mtev.rmdir(path) end

---Makes the directories that are missing for a file.
---@param path string
---@param mode? integer
---@return boolean
---@return integer? errno
---@return string? reason
function mtev.mkdir_for_file(path, mode) end

---@param path string
---@param filter? fun(name: string): boolean
---@return string[]?
function mtev.readdir(path, filter) end

---@param path string
---@return string?
function mtev.realpath(path) end

---@return string?
function mtev.getcwd() end

---@param path string
---@return integer fd -1 when it is locked
function mtev.lockfile_acquire(path) end

---@param fd integer
---@return integer
function mtev.lockfile_release(fd) end
