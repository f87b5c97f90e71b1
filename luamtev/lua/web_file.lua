-- Small parts of files, read at once for a response; larger ones, and what is no such part, are the Python side's.
--
--   read(fd, size, offset)   the text of *size* bytes at *offset* (nil: all from there, or from 0), or nil
--
-- As everywhere, reading a small file is taken not to block.

local tonumber = tonumber
local bit = require("bit")
local band = bit.band
local ffi = require("ffi")

if ffi.os ~= "Linux" then return function() end end -- elsewhere the layout of stat is not one

ffi.cdef [[
typedef struct {
  uint32_t mask, block; uint64_t attributes; uint32_t links, uid, gid; uint16_t mode, pad; uint64_t inode, size;
  uint64_t rest[26];
} luamtev_statx;
int luamtev_web_statx(int fd, const char *path, int flags, unsigned mask, luamtev_statx *found) __asm__("statx");
intptr_t luamtev_web_pread(int fd, void *data, size_t size, int64_t offset) __asm__("pread64");
]]
local C = ffi.C

local MOST = 65536
local EMPTY_PATH, WANTED = 0x1000, 0x201 -- type and size
local REGULAR, TYPE = 0x8000, 0xf000
assert(ffi.sizeof("luamtev_statx") == 256)
local found, data = ffi.new("luamtev_statx"), ffi.new("uint8_t[?]", MOST)

return function(fd, size, offset)
  offset = offset or 0
  if C.luamtev_web_statx(fd, "", EMPTY_PATH, WANTED, found) ~= 0 then return nil end
  if band(found.mode, TYPE) ~= REGULAR then return nil end
  local length = tonumber(found.size)
  local left = size or length - offset
  if left < 0 or left > MOST or offset + left > length then return nil end
  if tonumber(C.luamtev_web_pread(fd, data, left, offset)) ~= left then return nil end
  return ffi.string(data, left)
end
