-- mtev_intern*: one copy of equal bytes, with a count of who holds it.  manual: mtev_intern_pool
--
-- A pool has extents of memory; what lies free in them is kept in lists by size, the n-th of fragments of 2^n bytes and
-- more, and compaction joins neighbours.

local ipairs, type = ipairs, type
local sort = table.sort
local _, arguments = ...

local ffi = require("ffi")
local bit = require("bit")
local rshift = bit.rshift
local declared, source, allocate, pointer = arguments.declared, arguments.source, arguments.allocate, arguments.pointer
local cast, copy = ffi.cast, ffi.copy
local tonumber, error, max, min, floor = tonumber, error, math.max, math.min, math.floor

ffi.cdef [[
typedef struct { uintptr_t opaque1; } luamtev_intern;
typedef struct { size_t extent_size; int estimated_item_count; const char *backing_directory; } luamtev_intern_attr;
typedef struct { uint32_t item_count, extent_count; size_t allocated, internal_memory, available_total, available[32];
  uint32_t fragments_total, fragments[32], staged_count; size_t staged_size; } luamtev_intern_stats;
typedef struct { uint32_t length, block, pool, references; } luamtev_intern_item;
typedef struct luamtev_fragment { struct luamtev_fragment *next; uint32_t size, references; } luamtev_fragment;
typedef struct { uint32_t id; } luamtev_intern_pool;
]]

local EXTENT, LARGEST = 1048576, 2 ^ 30 -- bytes, unless the caller says otherwise, and if he says more
local MOST_BYTES = 2 ^ 23 -- one less is the most an item has
local MOST_POOLS = 256
local CLASSES = 32
local HEADER, LEAST = ffi.sizeof("luamtev_intern_item"), ffi.sizeof("luamtev_fragment")
local TRIES = 8 -- fragments looked at in the list of an item's own size
local SPARE = 1.5 -- times the fragments of last time before a compaction is worth it

local own_type, item_type = ffi.typeof("luamtev_intern"), ffi.typeof("luamtev_intern_item *")
local fragment_type, pool_type = ffi.typeof("luamtev_fragment *"), ffi.typeof("luamtev_intern_pool *")
local stats_type, attr_type = ffi.typeof("luamtev_intern_stats *"), ffi.typeof("luamtev_intern_attr *")
local size_out_type, bytes_type, chars_type =
  ffi.typeof("size_t *"), ffi.typeof("uint8_t *"), ffi.typeof("const char *")

-- The memory of a pool ------------------------------------------------------------------------------------------------

local function class_of(size)
  local class = 0
  while size >= 2 do size, class = rshift(size, 1), class + 1 end
  return class
end

local function add_fragment(pool, place, size)
  local class = class_of(size)
  local fragment = cast(fragment_type, place)
  fragment.next, fragment.size, fragment.references = pool.lists[class], size, 0 -- nobody holds what was an item here
  pool.lists[class] = fragment
  pool.fragments[class] = pool.fragments[class] + 1
  pool.available[class] = pool.available[class] + size
end

-- Takes the fragment after *previous* (nil: the first) out of its list.
local function take(pool, class, previous)
  local fragment = previous and previous.next or pool.lists[class]
  if previous then previous.next = fragment.next else pool.lists[class] = fragment.next end
  pool.fragments[class] = pool.fragments[class] - 1
  pool.available[class] = pool.available[class] - tonumber(fragment.size)
  return fragment
end

local function find_fragment(pool, size)
  local class = class_of(size)
  local previous, fragment = nil, pool.lists[class]
  for _ = 1, TRIES do
    if fragment == nil then break end
    if fragment.size >= size then return take(pool, class, previous) end
    previous, fragment = fragment, fragment.next
  end
  for larger = class + 1, CLASSES - 1 do
    if pool.lists[larger] ~= nil then return take(pool, larger) end
  end
end

local function add_extent(pool, size)
  local room = max(pool.extent_size, size)
  local memory = cast(bytes_type, allocate(1, room))
  pool.extents[#pool.extents + 1] = memory
  pool.allocated = pool.allocated + room
  add_fragment(pool, memory, room)
end

-- A block of at least *size* bytes, and how large it is.
local function allocate_block(pool, size)
  local fragment = find_fragment(pool, size)
  if not fragment then
    add_extent(pool, size)
    fragment = find_fragment(pool, size)
  end
  local room = tonumber(fragment.size)
  if room - size < LEAST then return fragment, room end
  add_fragment(pool, cast(bytes_type, fragment) + size, room - size)
  return fragment, size
end

local function fragment_count(pool)
  local total = 0
  for class = 0, CLASSES - 1 do total = total + pool.fragments[class] end
  return total
end

-- How many fragments were joined to the one before them.
local function compact(pool)
  local free = {}
  for class = 0, CLASSES - 1 do
    local fragment = pool.lists[class]
    while fragment ~= nil do
      free[#free + 1] = { tonumber(cast("uintptr_t", fragment)), tonumber(fragment.size) }
      fragment = fragment.next
    end
    pool.lists[class], pool.fragments[class], pool.available[class] = nil, 0, 0
  end
  sort(free, function(a, b) return a[1] < b[1] end)
  local starts = {} -- extents are never joined, even where malloc has put one behind the other
  for _, extent in ipairs(pool.extents) do starts[tonumber(cast("uintptr_t", extent))] = true end
  local joined, open = 0, nil
  for _, each in ipairs(free) do
    if open and open[1] + open[2] == each[1] and not starts[each[1]] then
      open[2] = open[2] + each[2]
      joined = joined + 1
    else
      if open then add_fragment(pool, cast("uintptr_t", open[1]), open[2]) end
      open = each
    end
  end
  if open then add_fragment(pool, cast("uintptr_t", open[1]), open[2]) end
  pool.fragments_after = fragment_count(pool)
  return joined
end

-- Pools ---------------------------------------------------------------------------------------------------------------

local pools, pool_count = {}, 0

local function new_pool(extent_size)
  if pool_count == MOST_POOLS then error("mtev_intern_pool_new: there are " .. MOST_POOLS .. " pools", 3) end
  local pool = { id = pool_count, extent_size = extent_size, extents = {}, allocated = 0, items = {}, count = 0,
    lists = ffi.new("luamtev_fragment *[?]", CLASSES), fragments = {}, available = {}, fragments_after = 0 }
  for class = 0, CLASSES - 1 do pool.fragments[class], pool.available[class] = 0, 0 end
  pool.handle = cast(pool_type, allocate(1, ffi.sizeof("luamtev_intern_pool")))
  pool.handle.id = pool.id
  pools[pool.id], pool_count = pool, pool_count + 1
  return pool
end

local default = new_pool(EXTENT)

local function pool_of(handle, name)
  if handle == nil then return default end
  local pool = pools[pointer(pool_type, handle, name, "the pool").id]
  if not pool then error(name .. ": there is no such pool", 3) end
  return pool
end

local function handle_of(pool) return cast(declared("mtev_intern_pool_t *", pool_type), pool.handle) end

local M = {}

function M.mtev_intern_pool_new(attr)
  local size = attr ~= nil and tonumber(pointer(attr_type, attr, "mtev_intern_pool_new", "attr").extent_size) or 0
  return handle_of(new_pool(size > 0 and max(4096, min(LARGEST, 8 * floor((size + 7) / 8))) or EXTENT))
end

-- NULL where there is none of this id.
function M.mtev_intern_pool_by_id(id)
  local pool = pools[tonumber(id)]
  return pool and handle_of(pool) or cast(declared("mtev_intern_pool_t *", pool_type), nil)
end

function M.mtev_intern_pool_item_count(handle) return pool_of(handle, "mtev_intern_pool_item_count").count end

-- Fragments joined; without *force* only where there are many more than after the last time.
function M.mtev_intern_pool_compact(handle, force)
  local pool = pool_of(handle, "mtev_intern_pool_compact")
  local forced = force == nil or force == true or (force ~= false and tonumber(force) ~= 0)
  if not forced and fragment_count(pool) < SPARE * pool.fragments_after then return 0 end
  return compact(pool)
end

function M.mtev_intern_pool_stats(handle, stats)
  local pool = pool_of(handle, "mtev_intern_pool_stats")
  local to = pointer(stats_type, stats, "mtev_intern_pool_stats", "stats")
  ffi.fill(to, ffi.sizeof("luamtev_intern_stats"))
  to.item_count, to.extent_count, to.allocated = pool.count, #pool.extents, pool.allocated
  to.internal_memory = ffi.sizeof("luamtev_intern_pool") + ffi.sizeof(pool.lists)
  for class = 0, CLASSES - 1 do
    to.fragments[class], to.available[class] = pool.fragments[class], pool.available[class]
    to.fragments_total = to.fragments_total + pool.fragments[class]
    to.available_total = to.available_total + pool.available[class]
  end
end

-- Items ---------------------------------------------------------------------------------------------------------------

local function value_of(address)
  local value = declared("mtev_intern_t", own_type)()
  value.opaque1 = address
  return value
end

local function intern(pool, bytes)
  local known = pool.items[bytes]
  if known then
    local item = cast(item_type, cast("uintptr_t", known))
    item.references = item.references + 1
    return value_of(known)
  end
  local block, room = allocate_block(pool, 8 * floor((HEADER + #bytes + 1 + 7) / 8))
  local item = cast(item_type, block)
  item.references, item.length, item.block, item.pool = 1, #bytes, room, pool.id
  copy(cast(bytes_type, block) + HEADER, bytes, #bytes + 1)
  local address = tonumber(cast("uintptr_t", block))
  pool.items[bytes], pool.count = address, pool.count + 1
  return value_of(address)
end

local function check_size(n, name)
  if n >= MOST_BYTES then error(name .. ": " .. n .. " bytes, of which " .. MOST_BYTES - 1 .. " are the most", 4) end
end

local function intern_bytes(name, pool, buff, len)
  local n = arguments.length(len, name, "len")
  if n == 0 then error(name .. ": nothing to intern: len is 0", 3) end
  check_size(n, name)
  return intern(pool, ffi.string(source(buff, n, name), n))
end

local function intern_text(name, pool, buff, len)
  local n = arguments.length(len, name, "len")
  local bytes
  if n == 0 then bytes = arguments.text(buff, name, "buff") else bytes = ffi.string(source(buff, n, name), n) end
  check_size(#bytes, name)
  return intern(pool, bytes)
end

function M.mtev_intern(buff, len) return intern_bytes("mtev_intern", default, buff, len) end
function M.mtev_intern_str(buff, len) return intern_text("mtev_intern_str", default, buff, len) end

function M.mtev_intern_pool(pool, buff, len)
  return intern_bytes("mtev_intern_pool", pool_of(pool, "mtev_intern_pool"), buff, len)
end

function M.mtev_intern_pool_str(pool, buff, len)
  return intern_text("mtev_intern_pool_str", pool_of(pool, "mtev_intern_pool_str"), buff, len)
end

local function item_of(iv, name)
  if type(iv) ~= "cdata" or iv.opaque1 == 0 then error(name .. ": no interned value", 3) end
  local item = cast(item_type, cast("uintptr_t", iv.opaque1))
  if item.references == 0 then error(name .. ": the interned value was released", 3) end
  return item
end

local function bytes_of(item) return cast(bytes_type, item) + HEADER end

function M.mtev_intern_copy(iv)
  local item = item_of(iv, "mtev_intern_copy")
  item.references = item.references + 1
  return value_of(iv.opaque1)
end

function M.mtev_intern_get_refcnt(iv) return item_of(iv, "mtev_intern_get_refcnt").references end

local function getter(name, ctype)
  return function(iv, len)
    local item = item_of(iv, name)
    local told = arguments.optional(size_out_type, len, name, "len")
    if told ~= nil then told[0] = item.length end
    return cast(ctype, bytes_of(item))
  end
end

M.mtev_intern_get_cstr = getter("mtev_intern_get_cstr", chars_type)
M.mtev_intern_get_str = getter("mtev_intern_get_str", chars_type) -- as the header calls it
M.mtev_intern_get_ptr = getter("mtev_intern_get_ptr", ffi.typeof("const void *"))

-- Whoever asks for these bytes next gets an item of their own.
local function remove(pool, item)
  local bytes = ffi.string(bytes_of(item), item.length)
  if pool.items[bytes] ~= tonumber(cast("uintptr_t", item)) then return end
  pool.items[bytes], pool.count = nil, pool.count - 1
end

function M.mtev_intern_remove(iv)
  local item = item_of(iv, "mtev_intern_remove")
  remove(pools[item.pool], item)
end

local function release(item)
  item.references = item.references - 1
  if item.references > 0 then return end
  local pool = pools[item.pool]
  remove(pool, item)
  local room = item.block
  ffi.fill(item, HEADER)
  add_fragment(pool, item, room)
end

function M.mtev_intern_release(iv) release(item_of(iv, "mtev_intern_release")) end

function M.mtev_intern_release_pool(handle, iv)
  local pool, item = pool_of(handle, "mtev_intern_release_pool"), item_of(iv, "mtev_intern_release_pool")
  if item.pool ~= pool.id then error("mtev_intern_release_pool: the value is of another pool", 2) end
  release(item)
end

return M
