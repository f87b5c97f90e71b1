-- What ffi.load("mtev") takes beside what it is measured against: `luamtev benchmarks/ffi.lua`.
-- Prints microseconds for the base 64 of 1 MB, and nanoseconds for a look-up of a route and of a key in a table.

local ffi = require("ffi")
local libmtev = ffi.load("mtev")
local RUNS, SIZE, LOOKUPS = 7, 1000000, 1000000
local BLOCKS = { 0x20010000, 0x24000000, 0x26000000, 0x28000000, 0x2a000000, 0x2c000000 } -- of the registries, in IPv6

local function network_order(word) return bit.bswap(word) % 2 ^ 32 end

local function median(measure)
  local all = {}
  for i = 1, RUNS do all[i] = measure() end
  table.sort(all)
  return all[math.ceil(RUNS / 2)]
end

local function timed(count, scale, run)
  return function()
    local before = os.clock()
    run()
    return (os.clock() - before) * scale / count
  end
end

local function base64()
  local data = {}
  for i = 1, SIZE do data[i] = string.char(math.random(0, 255)) end
  data = table.concat(data)
  local room = tonumber(libmtev.mtev_b64_encode_len(SIZE))
  local encoded, decoded = ffi.new("char[?]", room), ffi.new("unsigned char[?]", room)
  print(("mtev_b64_encode, 1 MB    %8.0f us"):format(median(timed(1, 1e6, function()
    assert(libmtev.mtev_b64_encode(data, SIZE, encoded, room) == room)
  end))))
  print(("mtev_b64_decode, 1 MB    %8.0f us"):format(median(timed(1, 1e6, function()
    assert(libmtev.mtev_b64_decode(encoded, room, decoded, room) == SIZE)
  end))))
end

-- As many look-ups of addresses, in any order, in a tree of routes and in a table of the same keys: the address as a
-- number, or, of IPv6, as the string of its bytes.
local function routes(count, name, least, most)
  local tree, address, mask = ffi.new("void *[1]"), ffi.new("uint32_t[4]"), ffi.new("unsigned char[1]")
  local keys, plain = ffi.new("uint32_t[?]", count), {}
  local function name_of(key)
    if name == "ipv4" then return key end
    address[0] = key
    return ffi.string(address, 16)
  end
  local add, find = libmtev["mtev_btrie_add_route_" .. name], libmtev["mtev_btrie_find_bpm_route_" .. name]
  for i = 0, count - 1 do
    local key = math.random(0, 2 ^ 32 - 1)
    if name == "ipv6" then key = network_order(BLOCKS[math.random(#BLOCKS)] + math.random(0, 2 ^ 20 - 1)) end
    keys[i], address[0] = key, key
    plain[name_of(key)] = i + 1
    add(tree, address, math.random(least, most), ffi.cast("void *", i + 1))
  end
  local found, sum = 0, 0
  print(("%6d routes, %s       %8.1f ns"):format(count, name, median(timed(LOOKUPS, 1e9, function()
    local i = 0
    for _ = 1, LOOKUPS do
      address[0] = keys[i]
      if find(tree, address, mask) ~= nil then found = found + 1 end
      i = (i + 7919) % count
    end
  end))))
  assert(found == RUNS * LOOKUPS)
  print(("%6d keys of a table      %8.1f ns"):format(count, median(timed(LOOKUPS, 1e9, function()
    local i = 0
    for _ = 1, LOOKUPS do
      sum = sum + plain[name_of(keys[i])]
      i = (i + 7919) % count
    end
  end))))
  assert(sum > 0)
end

function main()
  math.randomseed(7)
  base64()
  -- Lengths as in the tables of the Internet's routers.
  for _, count in ipairs({ 100, 10000, 100000 }) do routes(count, "ipv4", 16, 24) end
  for _, count in ipairs({ 100, 10000, 100000 }) do routes(count, "ipv6", 29, 48) end
  os.exit(0)
end
