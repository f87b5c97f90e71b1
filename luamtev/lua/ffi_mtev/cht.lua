-- mtev_cht_*: a ring of consistent hashes over nodes the caller describes, and mtev_hash__hash.  The same keys go to
-- the same nodes as in every other member that computes the ring.
--
-- Nodes behind a pointer, and their names, are the ring's once it has them, as in C: memory of malloc's, freed with it.
-- An array of ffi.new's stays the caller's, names and all; the ring keeps it alive.

local find = string.find
local sort = table.sort
local _, arguments = ...

local ffi = require("ffi")
local bit = require("bit")
local pointer, allocate, declared, length = arguments.pointer, arguments.allocate, arguments.declared, arguments.length
local rol, rshift, bxor, band = bit.rol, bit.rshift, bit.bxor, bit.band
local cast, C = ffi.cast, ffi.C
local tonumber, tostring, error, ipairs = tonumber, tostring, error, ipairs
local floor, min, max = math.floor, math.min, math.max

ffi.cdef [[
typedef struct { char *name; void *userdata; void (*free)(void *); double owned; } luamtev_cht_node;
typedef struct { uint32_t bits, weight, node_count; luamtev_cht_node *nodes; uint32_t *points; uint16_t *owners;
} luamtev_cht;
]]

local KEY_SEED = 20021010
local MOST_OWNERS = 16 -- of a key
local MOST_NODES = 65535
local POINTS, BITS = 32, 32 -- unless the caller says otherwise

local cht_type, nodes_type = ffi.typeof("luamtev_cht *"), ffi.typeof("luamtev_cht_node *")
local out_type, points_type, owners_type =
  ffi.typeof("luamtev_cht_node **"), ffi.typeof("uint32_t *"), ffi.typeof("uint16_t *")

-- xxHash, 64 bits (xxhash.com: XXH64) ---------------------------------------------------------------------------------

local P1, P2, P3 = 0x9E3779B185EBCA87ULL, 0xC2B2AE3D27D4EB4FULL, 0x165667B19E3779F9ULL
local P4, P5 = 0x85EBCA77C2B2AE63ULL, 0x27D4EB2F165667C5ULL
local wide, narrow = ffi.typeof("const uint64_t *"), ffi.typeof("const uint32_t *")

local function round(held, lane) return rol(held + lane * P2, 31) * P1 end
local function merge(hash, held) return bxor(hash, round(0ULL, held)) * P1 + P4 end

local function xxh64(p, n, seed)
  seed = cast("uint64_t", seed)
  local at, hash = 0, seed + P5
  if n >= 32 then
    local a, b, c, d = seed + P1 + P2, seed + P2, seed, seed - P1
    while at + 32 <= n do
      local lanes = cast(wide, p + at)
      a, b, c, d = round(a, lanes[0]), round(b, lanes[1]), round(c, lanes[2]), round(d, lanes[3])
      at = at + 32
    end
    hash = merge(merge(merge(merge(rol(a, 1) + rol(b, 7) + rol(c, 12) + rol(d, 18), a), b), c), d)
  end
  hash = hash + n
  while at + 8 <= n do
    hash = rol(bxor(hash, round(0ULL, cast(wide, p + at)[0])), 27) * P1 + P4
    at = at + 8
  end
  if at + 4 <= n then
    hash = rol(bxor(hash, cast(narrow, p + at)[0] * P1), 23) * P2 + P3
    at = at + 4
  end
  while at < n do
    hash = rol(bxor(hash, p[at] * P5), 11) * P1
    at = at + 1
  end
  hash = bxor(hash, rshift(hash, 33)) * P2
  hash = bxor(hash, rshift(hash, 29)) * P3
  return bxor(hash, rshift(hash, 32))
end

-- The lower 32 bits of it, as a number.
local function hash32(p, n, seed) return tonumber(band(xxh64(p, n, seed), 0xFFFFFFFFULL)) end

local M = {}

function M.mtev_hash__hash(key, key_length, seed)
  local n = length(key_length, "mtev_hash__hash", "length")
  return hash32(arguments.source(key, n, "mtev_hash__hash"), n, tonumber(seed) or 0)
end

-- The ring ------------------------------------------------------------------------------------------------------------

function M.mtev_cht_alloc_custom(weight, nbits)
  local points = length(weight, "mtev_cht_alloc_custom", "weight")
  local bits = length(nbits, "mtev_cht_alloc_custom", "nbits")
  local cht = cast(cht_type, allocate(1, ffi.sizeof("luamtev_cht")))
  cht.weight = max(points, 1)
  cht.bits = bits == 0 and BITS or max(16, min(bits, 32))
  return cast(declared("mtev_cht_t *", cht_type), cht)
end

function M.mtev_cht_alloc() return M.mtev_cht_alloc_custom(POINTS, BITS) end

local function point(cht, p, n, seed) return hash32(p, n, seed) % 2 ^ cht.bits end

-- Moves equal points apart: the last of some stays, those before step down; from 0 on the later step up.
local function move_apart(points)
  for i = #points - 1, 1, -1 do
    if points[i][1] >= points[i + 1][1] then points[i][1] = points[i + 1][1] - 1 end
  end
  if points[1][1] < 0 then
    local floor_ = 0
    for _, each in ipairs(points) do
      each[1] = max(each[1], floor_)
      floor_ = each[1] + 1
    end
  end
end

local function compute(cht)
  local points = {}
  for node = 0, cht.node_count - 1 do
    local name = cht.nodes[node].name
    local p, n = cast("const uint8_t *", name), tonumber(C.luamtev_strlen(name))
    for seed = 0, cht.weight - 1 do points[#points + 1] = { point(cht, p, n, seed), node, seed } end
    cht.nodes[node].owned = 0
  end
  sort(points, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    if a[2] ~= b[2] then return a[2] < b[2] end
    return a[3] < b[3]
  end)
  move_apart(points)
  local all = 2 ^ cht.bits
  for i, each in ipairs(points) do
    cht.points[i - 1], cht.owners[i - 1] = each[1], each[2]
    local following = points[i + 1] and points[i + 1][1] or points[1][1] + all
    local node = cht.nodes[each[2]]
    node.owned = node.owned + (following - each[1]) / all
  end
end

local arrays = {} -- of callers, by the address of the ring

local function key_of(cht) return tonumber(cast("uintptr_t", cht)) end

local function free_userdata(node) node.free(node.userdata) end
jit.off(free_userdata) -- it may be a callback into Lua

local function drop_nodes(cht)
  for i = 0, cht.node_count - 1 do
    local node = cht.nodes + i
    if not arrays[key_of(cht)] then C.luamtev_free(node.name) end
    if node.free ~= nil then free_userdata(node) end
  end
  if not arrays[key_of(cht)] then C.luamtev_free(cht.nodes) end
  arrays[key_of(cht)] = nil
  C.luamtev_free(cht.points)
  C.luamtev_free(cht.owners)
  cht.node_count, cht.nodes, cht.points, cht.owners = 0, nil, nil, nil
end

-- How many nodes the ring has taken.
function M.mtev_cht_set_nodes(cht, node_cnt, nodes)
  local name = "mtev_cht_set_nodes"
  cht = pointer(cht_type, cht, name, "the ring")
  local count = tonumber(node_cnt)
  if not count or count % 1 ~= 0 then error(name .. ": no number of nodes: " .. tostring(node_cnt), 2) end
  count = max(0, min(count, MOST_NODES, floor(2 ^ cht.bits / cht.weight)))
  local given = count > 0 and pointer(nodes_type, nodes, name, "nodes") or cast(nodes_type, nil)
  for i = 0, count - 1 do
    if given[i].name == nil then error(name .. ": node " .. i .. " has no name", 2) end
  end
  drop_nodes(cht)
  if count == 0 then return 0 end
  cht.nodes, cht.node_count = given, count
  if find(tostring(ffi.typeof(nodes)), "[", 1, true) then arrays[key_of(cht)] = nodes end
  cht.points = cast(points_type, allocate(count * cht.weight, 4))
  cht.owners = cast(owners_type, allocate(count * cht.weight, 2))
  compute(cht)
  return count
end

function M.mtev_cht_free(cht)
  cht = pointer(cht_type, cht, "mtev_cht_free", "the ring")
  drop_nodes(cht)
  C.luamtev_free(cht)
end

-- The place of the last point that is not behind *hash*; the ring has no beginning.
local function search(points, count, hash)
  local low, high = 0, count
  while low < high do
    local middle = rshift(low + high, 1)
    if points[middle] <= hash then low = middle + 1 else high = middle end
  end
  return low == 0 and count - 1 or low - 1
end

local seen = ffi.new("uint16_t[?]", MOST_OWNERS)

local function contains(count, node)
  for i = 0, count - 1 do
    if seen[i] == node then return true end
  end
  return false
end

-- How many of the *wanted* owners of a key there are, -1 on a ring without nodes.  Asked for more than there are, the
-- first comes once more at the end.
local function look_up(cht, key, n, wanted, out)
  if cht.node_count == 0 then return -1 end
  wanted = max(0, min(wanted, MOST_OWNERS))
  local count = cht.node_count * cht.weight
  local start = search(cht.points, count, point(cht, key, n, KEY_SEED))
  local found = 0
  for step = 0, count - 1 do
    if found >= wanted or found == cht.node_count then break end
    local node = cht.owners[(start + step) % count]
    if not contains(found, node) then
      seen[found] = node
      out[found] = cht.nodes + node
      found = found + 1
    end
  end
  if found < wanted then
    out[found] = out[0]
    found = found + 1
  end
  return found
end

local function owners(name, cht, key, key_length, wanted, out)
  local n = length(key_length, name, "keylen")
  local count = tonumber(wanted)
  if not count then error(name .. ": no number of owners: " .. tostring(wanted), 3) end
  return look_up(pointer(cht_type, cht, name, "the ring"), arguments.source(key, n, name), n, count,
    pointer(out_type, out, name, "node"))
end

function M.mtev_cht_vlookup_n(cht, key, keylen, w, nodes)
  return owners("mtev_cht_vlookup_n", cht, key, keylen, w, nodes)
end

function M.mtev_cht_vlookup(cht, key, keylen, node) return owners("mtev_cht_vlookup", cht, key, keylen, 1, node) end

function M.mtev_cht_lookup_n(cht, key, w, nodes)
  key = arguments.text(key, "mtev_cht_lookup_n", "key")
  return owners("mtev_cht_lookup_n", cht, key, #key, w, nodes)
end

function M.mtev_cht_lookup(cht, key, node)
  key = arguments.text(key, "mtev_cht_lookup", "key")
  return owners("mtev_cht_lookup", cht, key, #key, 1, node)
end

return M
