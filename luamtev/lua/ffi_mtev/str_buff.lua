-- mtev_str_buff_*, mtev_append_str_buff: a text that grows at its end; mtev_prepend_str*: one that grows at its front.
-- Both end in a NUL that their lengths do not count.

local _, arguments = ...

local ffi = require("ffi")
local bit = require("bit")
local rshift = bit.rshift
local pointer, allocate, declared = arguments.pointer, arguments.allocate, arguments.declared
local length, source = arguments.length, arguments.source
local cast, copy, C = ffi.cast, ffi.copy, ffi.C
local tonumber = tonumber

ffi.cdef [[
typedef struct { char *string, *end; uint32_t buff_len; } luamtev_str_buff;
typedef struct { char *buff, *string; unsigned int buff_len; } luamtev_prepend_buff;
]]

local ROOM = 8 -- bytes a buffer begins with
local append_type, prepend_type = ffi.typeof("luamtev_str_buff *"), ffi.typeof("luamtev_prepend_buff *")
local append_out_type, chars_type = ffi.typeof("luamtev_str_buff **"), ffi.typeof("char *")

local M = {}

-- Bytes a buffer has after it had to grow to hold *needed*.
local function grown(needed) return needed + rshift(needed, 1) + 1 end

local function memory(size) return cast(chars_type, allocate(1, size + 1)) end -- and the NUL

-- At the end ----------------------------------------------------------------------------------------------------------

local function alloc(size)
  local buff = cast(append_type, allocate(1, ffi.sizeof("luamtev_str_buff")))
  buff.string = memory(size)
  buff["end"], buff.buff_len = buff.string, size
  return cast(declared("mtev_str_buff_t *", append_type), buff)
end

function M.mtev_str_buff_alloc() return alloc(ROOM) end

function M.mtev_str_buff_alloc_sized(size)
  return alloc(length(size or ROOM, "mtev_str_buff_alloc_sized", "size"))
end

local function used(buff) return tonumber(buff["end"] - buff.string) end

function M.mtev_append_str_buff(buff, str, str_len)
  local name = "mtev_append_str_buff"
  buff = pointer(append_type, buff, name, "buff")
  local n = length(str_len, name, "str_len")
  local from, held = source(str, n, name), used(buff)
  if held + n > buff.buff_len then
    local size = length(grown(buff.buff_len + n), name, "the text's length")
    local larger = memory(size)
    copy(larger, buff.string, held)
    copy(larger + held, from, n) -- which may lie in the old memory
    C.luamtev_free(buff.string)
    buff.string, buff.buff_len = larger, size
  else
    copy(buff.string + held, from, n)
  end
  buff["end"] = buff.string + held + n
  buff["end"][0] = 0
end

function M.mtev_str_buff_len(buff)
  if buff == nil then return 0 end
  return used(pointer(append_type, buff, "mtev_str_buff_len", "buff"))
end

function M.mtev_str_buff_free(buff)
  if buff == nil then return end
  buff = pointer(append_type, buff, "mtev_str_buff_free", "buff")
  C.luamtev_free(buff.string)
  C.luamtev_free(buff)
end

-- The text, which the caller frees; the buffer is gone.
function M.mtev_str_buff_to_string(slot)
  local buffs = pointer(append_out_type, slot, "mtev_str_buff_to_string", "buff")
  local buff = pointer(append_type, buffs[0], "mtev_str_buff_to_string", "*buff")
  local text = buff.string
  C.luamtev_free(buff)
  buffs[0] = nil
  return text
end

-- At the front --------------------------------------------------------------------------------------------------------

local function prepend_alloc(size)
  local buff = cast(prepend_type, allocate(1, ffi.sizeof("luamtev_prepend_buff")))
  buff.buff = memory(size)
  buff.string, buff.buff_len = buff.buff + size, size
  return cast(declared("mtev_prependable_str_buff_t *", prepend_type), buff)
end

function M.mtev_prepend_str_alloc() return prepend_alloc(ROOM) end

function M.mtev_prepend_str_alloc_sized(size)
  return prepend_alloc(length(size or ROOM, "mtev_prepend_str_alloc_sized", "size"))
end

function M.mtev_prepend_str(buff, str, str_len)
  local name = "mtev_prepend_str"
  buff = pointer(prepend_type, buff, name, "buff")
  local n = length(str_len, name, "str_len")
  local from = source(str, n, name)
  local free = tonumber(buff.string - buff.buff)
  if free < n then
    local size, held = length(grown(buff.buff_len + n), name, "the text's length"), buff.buff_len - free
    local larger = memory(size)
    local text = larger + size - held
    copy(text, buff.string, held)
    copy(text - n, from, n) -- which may lie in the old memory
    C.luamtev_free(buff.buff)
    buff.buff, buff.string, buff.buff_len = larger, text - n, size
  else
    buff.string = buff.string - n
    copy(buff.string, from, n)
  end
end

function M.mtev_prepend_strlen(buff)
  if buff == nil then return 0 end
  buff = pointer(prepend_type, buff, "mtev_prepend_strlen", "buff")
  return tonumber(buff.buff + buff.buff_len - buff.string)
end

function M.mtev_prepend_str_free(buff)
  if buff == nil then return end
  buff = pointer(prepend_type, buff, "mtev_prepend_str_free", "buff")
  C.luamtev_free(buff.buff)
  C.luamtev_free(buff)
end

return M
