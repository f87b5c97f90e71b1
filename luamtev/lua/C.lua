-- System calls that several libraries make, declared once.

local tonumber = tonumber
local ffi = require("ffi")

ffi.cdef [[
intptr_t luamtev_write(int fd, const void *data, size_t length) __asm__("write");
int luamtev_close(int fd) __asm__("close");
int luamtev_fflush(void *file) __asm__("fflush");
char *luamtev_strerror(int number) __asm__("strerror");
]]
local C = ffi.C

local M = {}

-- What the error *number* means, as a text.
function M.error_text(number) return ffi.string(C.luamtev_strerror(number)) end

-- 0, or -1 and errno.
function M.close(fd) return C.luamtev_close(fd) end

-- Bytes taken of the *length* at *data*, or -1 and errno.
function M.write(fd, data, length) return tonumber(C.luamtev_write(fd, data, length)) end

-- Has written what *file*, one of `io`, keeps.
function M.flush(file) C.luamtev_fflush(file) end

return M
