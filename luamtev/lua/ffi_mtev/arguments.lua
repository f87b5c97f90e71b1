-- How the functions of ffi.load("mtev") take their arguments and give their results.

local match = string.match
local ffi = require("ffi")
local cast, istype = ffi.cast, ffi.istype
local tonumber, type, tostring, error, pcall = tonumber, type, tostring, error, pcall

ffi.cdef [[
void *luamtev_malloc(size_t size) __asm__("malloc");
void *luamtev_calloc(size_t count, size_t size) __asm__("calloc");
void *luamtev_realloc(void *memory, size_t size) __asm__("realloc");
void luamtev_free(void *memory) __asm__("free");
size_t luamtev_strlen(const char *text) __asm__("strlen");
]]

local C = ffi.C
local MOST = 2 ^ 31 - 1 -- what an int holds
local const_bytes, bytes, chars = ffi.typeof("const uint8_t *"), ffi.typeof("uint8_t *"), ffi.typeof("const char *")

local M = {}

-- A length in bytes, as a number: none that a C int could not tell of.
function M.length(value, name, what)
  local n = tonumber(value)
  if not n or n < 0 or n > MOST or n % 1 ~= 0 then
    error(name .. ": " .. what .. " is no length: " .. tostring(value), 3)
  end
  return n
end

-- The n bytes of a string or at a pointer.
function M.source(value, n, name)
  if type(value) == "string" then
    if n > #value then error(name .. ": length " .. n .. " of a string of " .. #value, 3) end
  elseif type(value) ~= "cdata" and value ~= nil then
    error(name .. ": a string or pointer expected, got " .. type(value), 3)
  elseif value == nil and n > 0 then
    error(name .. ": the source is NULL", 3)
  end
  return cast(const_bytes, value)
end

-- Where n bytes may be written.
function M.target(value, n, name)
  if type(value) ~= "cdata" and value ~= nil then
    error(name .. ": a buffer expected, got " .. type(value), 3)
  end
  if value == nil and n > 0 then error(name .. ": the destination is NULL", 3) end
  return cast(bytes, value)
end

-- Raises for what is no pointer, and for NULL.
function M.check_pointer(value, name, what, level)
  if value == nil then error(name .. ": " .. what .. " is NULL", level) end
  if type(value) ~= "cdata" then error(name .. ": " .. what .. " is no pointer but a " .. type(value), level) end
end

-- A pointer that may not be NULL, as one of *ctype*.
function M.pointer(ctype, value, name, what)
  M.check_pointer(value, name, what, 4)
  return cast(ctype, value)
end

-- The same, but NULL may be given.
function M.optional(ctype, value, name, what)
  if value == nil then return cast(ctype, nil) end
  M.check_pointer(value, name, what, 4)
  return cast(ctype, value)
end

-- Raises for what can be no function of C's, but for NULL.
function M.check_callback(value, name, what)
  if value == nil or type(value) == "function" or type(value) == "cdata" then return end
  error(name .. ": " .. what .. " is no function but a " .. type(value), 3)
end

-- A text that ends in a NUL, as a string.
function M.text(value, name, what)
  if type(value) == "string" then return match(value, "^%Z*") end
  M.check_pointer(value, name, what, 4)
  return ffi.string(cast(chars, value))
end

local found = {}

-- The caller's type of this name, or *own* while he has none.
function M.declared(name, own)
  local known = found[name]
  if known then return known end
  local ok, ctype = pcall(ffi.typeof, name)
  if not ok then return own end
  found[name] = ctype
  return ctype
end

-- An mtev_boolean: of the type the caller declared, be it an enum or bool.
function M.boolean(value)
  local ctype = M.declared("mtev_boolean")
  if not ctype or istype("bool", ctype()) then return value end
  return cast(ctype, value and 1 or 0)
end

-- Memory of C's, zeroed; running out of it raises.
function M.allocate(count, size)
  local memory = C.luamtev_calloc(count, size)
  if memory == nil then error("out of memory", 3) end
  return memory
end

-- *text* as C's malloc has it, with its NUL.
function M.duplicate(text)
  local memory = cast("char *", M.allocate(1, #text + 1))
  ffi.copy(memory, text, #text)
  return memory
end

return M
