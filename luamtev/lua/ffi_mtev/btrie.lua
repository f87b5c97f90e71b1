-- mtev_btrie_*: routes by prefix, and the longest that an address has.  The tree is memory of C's, which the caller's
-- pointer points to.
--
-- A node is sixteen ways, one of which four bits of the address choose.  A way is the place of the next node, or, below 0,
-- the route that it ends at: the longest that covers it, so that a look-up goes down and never back.  What each node owns,
-- by which this is computed, is kept apart, and so is what is known of a route.

local _, arguments = ...

local ffi = require("ffi")
local bit = require("bit")
local pointer, optional, allocate = arguments.pointer, arguments.optional, arguments.allocate
local check_callback = arguments.check_callback
local band, lshift, rshift, bswap = bit.band, bit.lshift, bit.rshift, bit.bswap
local cast, C = ffi.cast, ffi.C
local tonumber, tostring, type, error = tonumber, tostring, type, error

ffi.cdef [[
int luamtev_posix_memalign(void **memory, size_t alignment, size_t size) __asm__("posix_memalign");
typedef struct { void *data; uint32_t length; } luamtev_info;
typedef struct { uint32_t routes[30]; } luamtev_own;
typedef struct { int32_t *ways; luamtev_own *owns; luamtev_info *infos; uint32_t node_count, node_room, count, room, free,
  any; } luamtev_trie;
]]

local trie_type, slots_type = ffi.typeof("luamtev_trie *"), ffi.typeof("luamtev_trie **")
local ways_type, infos_type, owns_type =
  ffi.typeof("int32_t *"), ffi.typeof("luamtev_info *"), ffi.typeof("luamtev_own *")
local words_type, masks_type, void_type = ffi.typeof("const int32_t *"), ffi.typeof("uint8_t *"), ffi.typeof("void *")
local little = ffi.abi("le")

local WAYS = 16
local ROOT = 0 -- the node where every look-up begins
local NONE = 0 -- the route of what has none
local LINE = 64 -- bytes of a cache line, which is what the ways of a node take

local M = {}

local function host(word) return little and bswap(word) or word end

-- Nodes ---------------------------------------------------------------------------------------------------------------

local out = ffi.new("void *[1]")

-- The ways of *room* nodes, of which there are *count* at *old*.
local function more_ways(old, count, room)
  if C.luamtev_posix_memalign(out, LINE, room * LINE) ~= 0 then error("out of memory", 0) end
  if count > 0 then ffi.copy(out[0], old, count * LINE) end
  C.luamtev_free(old)
  return cast(ways_type, out[0])
end

local function grown(memory, room, size)
  local larger = C.luamtev_realloc(memory, room * size)
  if larger == nil then error("out of memory", 0) end
  return larger
end

-- What a way is that ends at *route*; and the route that one ends at.
local function ending(route) return -1 - route end
local route_of = ending

-- A node that owns nothing yet; all of its ways end at *route*.
local function new_node(trie, route)
  local index = trie.node_count
  if index == trie.node_room then
    local room = 2 * index
    trie.ways = more_ways(trie.ways, index, room)
    trie.owns = cast(owns_type, grown(trie.owns, room, ffi.sizeof("luamtev_own")))
    trie.node_room = room
  end
  trie.node_count = index + 1
  ffi.fill(trie.owns + index, ffi.sizeof("luamtev_own"))
  for way = 0, WAYS - 1 do trie.ways[WAYS * index + way] = ending(route) end
  return index
end

local function new_route(trie, data, length)
  local index = trie.free
  if index ~= 0 then
    trie.free = trie.infos[index].length
  else
    if trie.count == trie.room then
      trie.room = 2 * trie.room
      trie.infos = cast(infos_type, grown(trie.infos, trie.room, ffi.sizeof("luamtev_info")))
    end
    index = trie.count
    trie.count = index + 1
  end
  trie.infos[index].data, trie.infos[index].length = data, length
  return index
end

local function new_trie()
  local trie = cast(trie_type, allocate(1, ffi.sizeof("luamtev_trie")))
  trie.node_room, trie.room = 2, 4
  trie.ways = more_ways(nil, 0, trie.node_room)
  trie.owns = cast(owns_type, allocate(trie.node_room, ffi.sizeof("luamtev_own")))
  trie.infos = cast(infos_type, allocate(trie.room, ffi.sizeof("luamtev_info")))
  new_route(trie, nil, 0) -- NONE
  new_node(trie, NONE) -- ROOT
  return trie
end

-- Routes --------------------------------------------------------------------------------------------------------------

-- The four bits of the address at this step: words of it are as they lie in memory.
local function nibble(words, step) return band(rshift(host(words[rshift(step, 3)]), 28 - 4 * band(step, 7)), 15) end

-- Where in what a node owns a prefix of *rest* (1 to 4) of four bits is.
local function place(rest, four) return lshift(1, rest) - 2 + rshift(four, 4 - rest) end

-- The longest route of the node's own that covers a way, or *inherited*.
local function best_of(trie, index, way, inherited)
  local own = trie.owns[index].routes
  for rest = 4, 1, -1 do
    local route = own[place(rest, way)]
    if route ~= 0 then return route end
  end
  return inherited
end

-- Lets the ways *first* to *last* of a node end where they have to, anew.
local function spread(trie, index, first, last, inherited)
  for way = first, last do
    local best = best_of(trie, index, way, inherited)
    local next_at = trie.ways[WAYS * index + way]
    if next_at < 0 then
      trie.ways[WAYS * index + way] = ending(best)
    else
      spread(trie, next_at / WAYS, 0, WAYS - 1, best)
    end
  end
end

-- Those that a prefix of *rest* of four bits covers.
local function spread_prefix(trie, index, rest, four, inherited)
  local first = band(four, band(lshift(15, 4 - rest), 15))
  spread(trie, index, first, first + lshift(1, 4 - rest) - 1, inherited)
end

local function check_length(length, most, name)
  local n = tonumber(length)
  if not n or n < 0 or n > most or n % 1 ~= 0 then
    error(name .. ": a prefix has 0 to " .. most .. " bits, not " .. tostring(length), 3)
  end
  return n
end

-- The node that owns prefixes of this length, and the route its ways inherit; nil when there is none and *make* is not
-- set.
local function node_of(trie, words, steps, make)
  local index, inherited = ROOT, trie.any
  for step = 0, steps - 1 do
    local way = nibble(words, step)
    inherited = best_of(trie, index, way, inherited)
    local next_at = trie.ways[WAYS * index + way]
    if next_at < 0 then
      if not make then return nil end
      next_at = WAYS * new_node(trie, inherited) -- may move the ways
      trie.ways[WAYS * index + way] = next_at
    end
    index = next_at / WAYS
  end
  return index, inherited
end

local function add(trie, words, length, data)
  if length == 0 then
    if trie.any ~= NONE then
      trie.infos[trie.any].data = data
    else
      trie.any = new_route(trie, data, 0)
      spread(trie, ROOT, 0, WAYS - 1, trie.any)
    end
    return
  end
  local steps = rshift(length - 1, 2)
  local index, inherited = node_of(trie, words, steps, true)
  local rest, four = length - 4 * steps, nibble(words, steps)
  local at = place(rest, four)
  local known = trie.owns[index].routes[at]
  if known ~= 0 then
    trie.infos[known].data = data
  else
    trie.owns[index].routes[at] = new_route(trie, data, length)
    spread_prefix(trie, index, rest, four, inherited)
  end
end

local function give_back(trie, route)
  local info = trie.infos[route]
  local data = info.data
  info.length = trie.free
  trie.free = route
  return data
end

-- The data of the route that was there and is gone, and whether there was one.
local function remove(trie, words, length)
  if length == 0 then
    local route = trie.any
    if route == NONE then return nil, false end
    trie.any = NONE
    spread(trie, ROOT, 0, WAYS - 1, NONE)
    return give_back(trie, route), true
  end
  local steps = rshift(length - 1, 2)
  local index, inherited = node_of(trie, words, steps, false)
  if not index then return nil, false end
  local rest, four = length - 4 * steps, nibble(words, steps)
  local own, at = trie.owns[index].routes, place(rest, four)
  local route = own[at]
  if route == 0 then return nil, false end
  own[at] = 0
  spread_prefix(trie, index, rest, four, inherited)
  return give_back(trie, route), true
end

-- Look-ups ------------------------------------------------------------------------------------------------------------

-- From the node at *at* on through the eight fours of a word, as far as there are nodes.
local function walk(ways, at, word)
  word = host(word)
  at = ways[at + rshift(word, 28)]
  if at < 0 then return at end
  at = ways[at + band(rshift(word, 24), 15)]
  if at < 0 then return at end
  at = ways[at + band(rshift(word, 20), 15)]
  if at < 0 then return at end
  at = ways[at + band(rshift(word, 16), 15)]
  if at < 0 then return at end
  at = ways[at + band(rshift(word, 12), 15)]
  if at < 0 then return at end
  at = ways[at + band(rshift(word, 8), 15)]
  if at < 0 then return at end
  at = ways[at + band(rshift(word, 4), 15)]
  if at < 0 then return at end
  return ways[at + band(word, 15)]
end

local function find_ipv4(trie, words) return route_of(walk(trie.ways, WAYS * ROOT, words[0])) end

local function find_ipv6(trie, words)
  local ways = trie.ways
  local at = walk(ways, WAYS * ROOT, words[0])
  if at < 0 then return route_of(at) end
  at = walk(ways, at, words[1])
  if at < 0 then return route_of(at) end
  at = walk(ways, at, words[2])
  if at < 0 then return route_of(at) end
  return route_of(walk(ways, at, words[3]))
end

-- What the caller frees his data with may be a callback into Lua, which compiled code must not reach.
local function free_by(freefunc, data) freefunc(data) end
jit.off(free_by)

for version, bits in pairs({ ipv4 = 32, ipv6 = 128 }) do
  local find = bits == 32 and find_ipv4 or find_ipv6
  local add_name, del_name = "mtev_btrie_add_route_" .. version, "mtev_btrie_del_route_" .. version
  local find_name = "mtev_btrie_find_bpm_route_" .. version

  M[add_name] = function(tree, address, length, data)
    local slot = pointer(slots_type, tree, add_name, "tree")
    local words = pointer(words_type, address, add_name, "address")
    local n = check_length(length, bits, add_name)
    if type(data) ~= "cdata" and data ~= nil then
      error(add_name .. ": a pointer expected as data, got " .. type(data), 2)
    end
    if slot[0] == nil then slot[0] = new_trie() end
    add(slot[0], words, n, cast(void_type, data))
  end

  -- 1 when there was such a route, else 0.
  M[del_name] = function(tree, address, length, freefunc)
    local slot = pointer(slots_type, tree, del_name, "tree")
    local words = pointer(words_type, address, del_name, "address")
    local n = check_length(length, bits, del_name)
    check_callback(freefunc, del_name, "the function that frees")
    if slot[0] == nil then return 0 end
    local data, was_there = remove(slot[0], words, n)
    if not was_there then return 0 end
    if freefunc ~= nil then free_by(freefunc, data) end
    return 1
  end

  M[find_name] = function(tree, address, mask_out)
    local slot = pointer(slots_type, tree, find_name, "tree")
    local words = pointer(words_type, address, find_name, "address")
    local told = optional(masks_type, mask_out, find_name, "mask")
    if slot[0] == nil then return cast(void_type, nil) end
    local trie = slot[0]
    local route = find(trie, words)
    local info = trie.infos + route
    if told ~= nil and route ~= NONE then told[0] = info.length end
    return info.data
  end
end

local function free_all(trie, freefunc)
  if trie.any ~= NONE then free_by(freefunc, trie.infos[trie.any].data) end
  for node = 0, trie.node_count - 1 do
    for at = 0, 29 do
      local route = trie.owns[node].routes[at]
      if route ~= 0 then free_by(freefunc, trie.infos[route].data) end
    end
  end
end

function M.mtev_btrie_drop_tree(tree, freefunc)
  local slot = pointer(slots_type, tree, "mtev_btrie_drop_tree", "tree")
  check_callback(freefunc, "mtev_btrie_drop_tree", "the function that frees")
  local trie = slot[0]
  if trie == nil then return end
  slot[0] = nil
  if freefunc ~= nil then free_all(trie, freefunc) end
  C.luamtev_free(trie.ways)
  C.luamtev_free(trie.infos)
  C.luamtev_free(trie.owns)
  C.luamtev_free(trie)
end

return M
