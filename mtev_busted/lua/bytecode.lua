-- LuaJIT's compiled functions as tables, read from what string.dump gives and written again for load: version 2 of the
-- format (LuaJIT: lj_bcdump.h, lj_bcread.c).  Constants are carried along unread.
--
-- A prototype has flags, params, framesize; upvalues (a list of where each comes from); code (a list of instructions),
-- lines (of each instruction, counted from firstline); names (of upvalues, as written), vars (name, from, to: places in
-- the code, where 1 is the first instruction); parent (nil for the outermost).

local bit = require("bit")
local ffi = require("ffi")

local M = {}

local band = bit.band

local STRIPPED = 2 -- a flag: no lines, no names
local HEADER = "^\27LJ\2"
local CHILD, TABLE, COMPLEX, STRING = 0, 1, 4, 5 -- kinds of constants, between them 64-bit numbers
local INTEGER, NUMBER, TEXT = 3, 4, 5 -- kinds of values in a constant table
local LAST_INTERNAL_NAME = 6 -- variables of loops have a number as their name

-- Reading -------------------------------------------------------------------------------------------------------------

-- A number of 7 bits a byte, least first, and where it ends.
local function uleb(text, at)
  local value, shift = 0, 1
  while true do
    local byte = text:byte(at)
    at = at + 1
    value = value + band(byte, 127) * shift
    if byte < 128 then return value, at end
    shift = shift * 128
  end
end

local function after(text, at, count)
  for _ = 1, count do
    local _
    _, at = uleb(text, at)
  end
  return at
end

local function after_table_value(text, at)
  local kind
  kind, at = uleb(text, at)
  if kind >= TEXT then return at + kind - TEXT end
  return after(text, at, kind == INTEGER and 1 or kind == NUMBER and 2 or 0)
end

-- How many of the *count* constants at *at* are functions.
local function count_children(text, at, count)
  local children = 0
  for _ = 1, count do
    local kind
    kind, at = uleb(text, at)
    if kind >= STRING then
      at = at + kind - STRING
    elseif kind == CHILD then
      children = children + 1
    elseif kind == TABLE then
      local listed, keyed
      listed, at = uleb(text, at)
      keyed, at = uleb(text, at)
      for _ = 1, listed + 2 * keyed do at = after_table_value(text, at) end
    else
      at = after(text, at, kind == COMPLEX and 4 or 2)
    end
  end
  return children
end

local function integers(text, at, count, ctype)
  local list, values = {}, ffi.new(ctype .. "[?]", count)
  local size = count * ffi.sizeof(ctype)
  ffi.copy(values, text:sub(at, at + size - 1), size)
  for i = 1, count do list[i] = values[i - 1] end
  return list, at + size
end

local function line_type(span) return span < 256 and "uint8_t" or span < 65536 and "uint16_t" or "uint32_t" end

local function read_names(text, at, count)
  local first = at
  for _ = 1, count do at = text:find("\0", at, true) + 1 end
  return text:sub(first, at - 1), at
end

local function read_vars(text, at)
  local vars, last = {}, 0
  while text:byte(at) ~= 0 do
    local name = text:sub(at, text:byte(at) <= LAST_INTERNAL_NAME and at or text:find("\0", at, true))
    local from, length
    from, at = uleb(text, at + #name)
    length, at = uleb(text, at)
    last = last + from
    vars[#vars + 1] = { name = name, from = last, to = last + length }
  end
  return vars
end

local function read_proto(text, at, stop)
  local proto = {}
  local upvalues, codes, debug_size
  proto.flags, proto.params, proto.framesize, upvalues = text:byte(at, at + 3)
  proto.objects, at = uleb(text, at + 4)
  proto.numbers, at = uleb(text, at)
  codes, at = uleb(text, at)
  debug_size, at = uleb(text, at)
  proto.firstline, at = uleb(text, at)
  proto.span, at = uleb(text, at)
  proto.code, at = integers(text, at, codes, "uint32_t")
  proto.upvalues, at = integers(text, at, upvalues, "uint16_t")
  proto.children = count_children(text, at, proto.objects)
  proto.constants = text:sub(at, stop - debug_size - 1)
  proto.lines, at = integers(text, stop - debug_size, codes, line_type(proto.span))
  proto.names, at = read_names(text, at, upvalues)
  proto.vars = read_vars(text, at)
  return proto
end

-- The prototypes of a dump, inner ones before those around them, and the head that write() needs; nil when it has no
-- lines or is of another version.
function M.read(text)
  if not text:find(HEADER) then return nil end
  local flags, at = uleb(text, 5)
  if band(flags, STRIPPED) ~= 0 then return nil end
  local length
  length, at = uleb(text, at)
  at = at + length
  local head, protos, open = text:sub(1, at - 1), {}, {}
  while true do
    length, at = uleb(text, at)
    if length == 0 then return protos, head end
    local proto = read_proto(text, at, at + length)
    for _ = 1, proto.children do table.remove(open).parent = proto end
    protos[#protos + 1], open[#open + 1] = proto, proto
    at = at + length
  end
end

-- Writing -------------------------------------------------------------------------------------------------------------

local function as_uleb(value)
  local bytes = {}
  while value >= 128 do
    bytes[#bytes + 1] = string.char(value % 128 + 128)
    value = math.floor(value / 128)
  end
  bytes[#bytes + 1] = string.char(value)
  return table.concat(bytes)
end

local function as_integers(list, ctype)
  local values = ffi.new(ctype .. "[?]", #list)
  for i, value in ipairs(list) do values[i - 1] = value end
  return ffi.string(values, #list * ffi.sizeof(ctype))
end

local function written_vars(vars)
  local parts, last = {}, 0
  for i, var in ipairs(vars) do
    parts[i] = var.name .. as_uleb(var.from - last) .. as_uleb(var.to - var.from)
    last = var.from
  end
  return table.concat(parts) .. "\0"
end

local function written(proto)
  local known = as_integers(proto.lines, line_type(proto.span)) .. proto.names .. written_vars(proto.vars)
  local body = string.char(proto.flags, proto.params, proto.framesize, #proto.upvalues) .. as_uleb(proto.objects)
    .. as_uleb(proto.numbers) .. as_uleb(#proto.code) .. as_uleb(#known) .. as_uleb(proto.firstline)
    .. as_uleb(proto.span) .. as_integers(proto.code, "uint32_t") .. as_integers(proto.upvalues, "uint16_t")
    .. proto.constants .. known
  return as_uleb(#body) .. body
end

-- The dump of what read() gave.
function M.write(protos, head)
  local parts = { head }
  for _, proto in ipairs(protos) do parts[#parts + 1] = written(proto) end
  return table.concat(parts) .. "\0"
end

return M
