-- Files, directories and lock files.  What takes numbers and text goes straight to the system through ffi; what fills a
-- struct whose layout differs from system to system (stat, readdir) is asked of Python.
--
-- Every call returns when the system does: a slow disk, or a pipe opened without O_NONBLOCK, holds up the event loop.  Those
-- of whole files suspend instead: a thread of the job queue `files` does the work.

local home = ...

local close, error_text = home.need("C").close, home.need("C").error_text
local border, kernel, checked, forget = home.border, home.kernel, home.checked, home.reactor.forget
local ffi = require("ffi")
local bit = require("bit")
local band, bor = bit.band, bit.bor
local C, last_errno = ffi.C, ffi.errno
local type, tostring, pcall = type, tostring, pcall
local find, match, gmatch = string.find, string.match, string.gmatch

-- write gives an int here, though it is wider: no call takes 2^31 bytes, and a wider result would be an object, whose
-- creation may run finalizers between the call and the look at errno.
ffi.cdef [[
int luamtev_file_open(const char *path, int flags, ...) __asm__("open");
int luamtev_file_write(int fd, const void *data, size_t length) __asm__("write");
int luamtev_file_chmod(const char *path, unsigned mode) __asm__("chmod");
int luamtev_file_mkdir(const char *path, unsigned mode) __asm__("mkdir");
int luamtev_file_rmdir(const char *path) __asm__("rmdir");
int luamtev_file_unlink(const char *path) __asm__("unlink");
int luamtev_file_access(const char *path, int mode) __asm__("access");
char *luamtev_file_realpath(const char *path, char *resolved) __asm__("realpath");
]]

local int = ffi.typeof("int")
local resolved = ffi.new("char[4096]") -- PATH_MAX is at most that on any system
local ENOENT, EINTR, EEXIST = 2, 4, 17 -- the same on every system
local ANYONE, NO_PROGRAM, PERMISSIONS = 511, 438, 4095 -- octal 777, 666, 7777; of a new file the umask takes away
local LARGEST_FILE = 2 ^ 30 -- bytes that are read unless more are asked for
local CLOEXEC = home.settings.constants.O_CLOEXEC or 0

-- Arguments; these raise at the caller of the function that calls them --------------------------------------------------

local reclaim = home.need("reclaim")
local refuse, numeral = home.need("arguments").refuse, home.need("arguments").numeral

local function check_path(value, name)
  if type(value) == "number" then value = tostring(value) end
  if type(value) ~= "string" then refuse(1, name, "path", type(value), 3) end
  if find(value, "\0", 1, true) then refuse(1, name, "path", "one with a zero byte", 3) end
  return value
end

-- The whole number from *least* that a value is, nil where it is none.
local function integer(value, least)
  local number = numeral(value)
  return number and number % 1 == 0 and number >= least and number < 2 ^ 31 and number or nil
end

local function shown(value) return type(value) == "number" and tostring(value) or type(value) end

local function check_flags(value, name)
  return integer(value, 0) or refuse(2, name, "O_ flags", shown(value), 3)
end

-- Bits beyond the permissions, such as those of stat's mode, are let pass.  No texts: "755" would be a decimal number.
local function check_mode(value, name, position, default)
  if value == nil and default then return default end
  local mode = type(value) == "number" and integer(value, 0)
  return band(mode or refuse(position, name, "file mode", shown(value), 3), PERMISSIONS)
end

local function check_limit(value, name)
  if value == nil then return LARGEST_FILE end
  return integer(value, 0) or refuse(2, name, "number of bytes", shown(value), 3)
end

local function check_fd(value, name)
  return integer(value, -2 ^ 31) or refuse(1, name, "descriptor", shown(value), 3)
end

local function check_data(value, name)
  if type(value) == "number" then return tostring(value) end
  if type(value) ~= "string" then refuse(2, name, "string", type(value), 3) end
  return value
end

local function check_filter(value, name)
  if value ~= nil and type(value) ~= "function" then refuse(2, name, "function", type(value), 3) end
  return value
end

-- Results ---------------------------------------------------------------------------------------------------------------

local function outcome(failed)
  if failed == 0 then return true end
  local number = last_errno()
  return false, number, error_text(number)
end

local function minus_one()
  local number = last_errno()
  return -1, number, error_text(number)
end

-- Files -----------------------------------------------------------------------------------------------------------------

function mtev.open(file, flags, mode)
  file = check_path(file, "open")
  flags = bor(check_flags(flags, "open"), CLOEXEC)
  mode = int(check_mode(mode, "open", 3, NO_PROGRAM))
  local again = false
  while true do
    local fd = C.luamtev_file_open(file, flags, mode)
    if fd >= 0 then return fd end
    local errno = last_errno()
    if errno ~= EINTR then
      if not reclaim(errno, again) then return -1, errno, error_text(errno) end
      again = true
    end
  end
end

function mtev.write(fd, data)
  fd, data = check_fd(fd, "write"), check_data(data, "write")
  while true do
    local n = C.luamtev_file_write(fd, data, #data)
    if n >= 0 then return n, nil end
    if last_errno() ~= EINTR then return minus_one() end
  end
end

function mtev.close(fd)
  fd = check_fd(fd, "close")
  forget(fd) -- else the next descriptor of this number would be taken for it
  if close(fd) == 0 then return 0 end
  return minus_one()
end

function mtev.chmod(file, mode)
  if C.luamtev_file_chmod(check_path(file, "chmod"), check_mode(mode, "chmod", 2)) == 0 then return 0, nil end
  return -1, last_errno()
end

function mtev.unlink(path) return outcome(C.luamtev_file_unlink(check_path(path, "unlink"))) end

local status = checked(border.file_status)

local function described(dev, ino, mode, nlink, uid, gid, rdev, size)
  if not dev then return nil, ino, mode end -- an error's number and text
  return { dev = dev, ino = ino, mode = mode, nlink = nlink, uid = uid, gid = gid, rdev = rdev, size = size }
end

function mtev.stat(file)
  if file == nil then return nil end
  return described(status(type(file) == "number" and check_fd(file, "stat") or check_path(file, "stat")))
end

-- Whole files, which suspend; where the caller cannot, as while a module is loaded, everything waits.

local read, read_later = checked(border.file_read), checked(border.file_read_later)
local put, put_later = checked(border.file_put), checked(border.file_put_later)

local function work(at_once, later, ...)
  if not pcall(kernel.parkable) then return at_once(...) end
  local ticket = kernel.ticket()
  later(ticket, ...)
  return kernel.await(ticket)
end

-- All that is in a file; nil, errno, text when it cannot be read, EFBIG where it has more than *limit* bytes.
function mtev.readfile(path, limit)
  path, limit = check_path(path, "readfile"), check_limit(limit, "readfile")
  return work(read, read_later, path, limit)
end

local function written(path, data, mode, name, flags)
  return work(put, put_later, check_path(path, name), check_data(data, name),
    check_mode(mode, name, 3, NO_PROGRAM), flags)
end

function mtev.writefile(path, data, mode) return written(path, data, mode, "writefile", "replace") end

function mtev.appendfile(path, data, mode) return written(path, data, mode, "appendfile", "append") end

-- Directories -----------------------------------------------------------------------------------------------------------

function mtev.mkdir(path, mode)
  return outcome(C.luamtev_file_mkdir(check_path(path, "mkdir"), check_mode(mode, "mkdir", 2, ANYONE)))
end

function mtev.rmdir(path) return outcome(C.luamtev_file_rmdir(check_path(path, "rmdir"))) end

-- Makes the directories that *file* is to be in: upwards until one can be made or is there, then down again.
function mtev.mkdir_for_file(file, mode)
  file, mode = check_path(file, "mkdir_for_file"), check_mode(mode, "mkdir_for_file", 2, ANYONE)
  if file == "" then return false, ENOENT, error_text(ENOENT) end
  local missing = {}
  local directory = match(file, "^(.*[^/])/+[^/]*$")
  while directory do
    if C.luamtev_file_mkdir(directory, mode) == 0 then break end
    local number = last_errno()
    if number == EEXIST then -- as a directory?
      if C.luamtev_file_access(directory .. "/.", 0) ~= 0 then return outcome(-1) end
      break
    end
    local parent = match(directory, "^(.*[^/])/+[^/]*$")
    if number ~= ENOENT or not parent then return false, number, error_text(number) end
    missing[#missing + 1] = directory
    directory = parent
  end
  for i = #missing, 1, -1 do
    if C.luamtev_file_mkdir(missing[i], mode) ~= 0 and last_errno() ~= EEXIST then return outcome(-1) end
  end
  return true
end

local list = checked(border.directory_list)

-- The names in a directory, or those for which *filter* returns true.
function mtev.readdir(path, filter)
  path, filter = check_path(path, "readdir"), check_filter(filter, "readdir")
  local packed = list(path)
  if not packed then return nil end
  local names, n = {}, 0
  for name in gmatch(packed, "%Z+") do
    if not filter or filter(name) then
      n = n + 1
      names[n] = name
    end
  end
  return names
end

function mtev.realpath(path)
  if C.luamtev_file_realpath(check_path(path, "realpath"), resolved) == nil then return nil end
  return ffi.string(resolved)
end

local current_directory = checked(border.current_directory)

-- nil when the directory was removed.
function mtev.getcwd() return (current_directory()) end

-- Lock files ------------------------------------------------------------------------------------------------------------

local acquire, release = checked(border.lockfile_acquire), checked(border.lockfile_release)

function mtev.lockfile_acquire(path) return (acquire(check_path(path, "lockfile_acquire"))) end

function mtev.lockfile_release(fd) return (release(check_fd(fd, "lockfile_release"))) end
