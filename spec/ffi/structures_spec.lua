-- manual: mtev_intern_*; and the tree of routes, the ring of hashes, the growing texts, called as C's functions are

local ffi = require("ffi")
ffi.cdef [[
void *malloc(size_t);
char *strdup(const char *);
void free(void *);
struct in_addr { uint32_t s_addr; };
struct in6_addr { uint8_t s6_addr[16]; };
int inet_pton(int, const char *, void *);
typedef struct btrie_collapsed_node *mtev_btrie;

typedef struct { char *name; void *userdata; void (*userdata_freefunc)(void *); double owned; } mtev_cht_node_t;
typedef struct mtev_cht mtev_cht_t;

typedef struct mtev_str_buff { char *string; char *end; uint32_t buff_len; } mtev_str_buff_t;
typedef struct mtev_prependable_str_buff { char *buff; char *string; unsigned int buff_len; } mtev_prependable_str_buff_t;

typedef struct { uintptr_t opaque1; } mtev_intern_t;
typedef struct mtev_intern_pool mtev_intern_pool_t;
typedef struct { size_t extent_size; int estimated_item_count; const char *backing_directory; } mtev_intern_pool_attr_t;
typedef struct {
  uint32_t item_count; uint32_t extent_count; size_t allocated; size_t internal_memory; size_t available_total;
  size_t available[32]; uint32_t fragments_total; uint32_t fragments[32]; uint32_t staged_count; size_t staged_size;
} mtev_intern_pool_stats_t;
]]
local libmtev = ffi.load("mtev")

local AF = { ipv4 = 2, ipv6 = ffi.os == "OSX" and 30 or 10 }

local function address(version, text)
  local out = ffi.new(version == "ipv4" and "struct in_addr[1]" or "struct in6_addr[1]")
  assert(ffi.C.inet_pton(AF[version], text, out) == 1, text)
  return out
end

local function data(number) return ffi.cast("void *", number) end

local function number(pointer) return tonumber(ffi.cast("uintptr_t", pointer)) end

describe("mtev_btrie", function()
  local routes = {
    ipv4 = { { "0.0.0.0", 0, 10 }, { "10.0.0.0", 8, 1918 }, { "192.168.0.0", 16, 1919 }, { "199.15.220.0", 22, 100 },
      { "199.15.221.0", 24, 101 }, { "199.15.222.0", 23, 102 }, { "199.15.222.7", 32, 103 } },
    ipv6 = { { "::1", 48, 127 }, { "2001:db8::", 32, 32 }, { "2001:db8:1::", 48, 48 }, { "2001:db8:1::5", 128, 128 },
      { "2001:db8:1::", 61, 61 } },
  }
  local found = {
    ipv4 = { { "1.2.3.4", 10, 0 }, { "10.10.2.1", 1918, 8 }, { "192.168.12.1", 1919, 16 }, { "199.15.219.123", 10, 0 },
      { "199.15.220.11", 100, 22 }, { "199.15.221.11", 101, 24 }, { "199.15.222.11", 102, 23 }, { "199.15.223.11", 102, 23 },
      { "199.15.222.7", 103, 32 } },
    ipv6 = { { "::1", 127, 48 }, { "2001:db8:2::1", 32, 32 }, { "2001:db8:1:1::1", 61, 61 }, { "2001:db8:1::5", 128, 128 },
      { "2001:db8:1:8::1", 48, 48 }, { "2002::", 0 } },
  }

  for _, version in ipairs({ "ipv4", "ipv6" }) do
    local add, find = "mtev_btrie_add_route_" .. version, "mtev_btrie_find_bpm_route_" .. version
    local del = "mtev_btrie_del_route_" .. version

    it("finds the longest prefix of an address of " .. version, function()
      local tree, mask = ffi.new("mtev_btrie[1]"), ffi.new("unsigned char[1]")
      assert.is_true(libmtev[find](tree, address(version, found[version][1][1]), mask) == nil)
      for _, each in ipairs(routes[version]) do
        libmtev[add](tree, address(version, each[1]), each[2], data(each[3]))
      end
      for _, each in ipairs(found[version]) do
        mask[0] = 255
        assert.equal(each[2], number(libmtev[find](tree, address(version, each[1]), mask)))
        assert.equal(each[3] or 255, mask[0])
        assert.equal(each[2], number(libmtev[find](tree, address(version, each[1]), nil)))
      end
      libmtev.mtev_btrie_drop_tree(tree, nil)
      assert.is_true(tree[0] == nil)
    end)

    it("agrees with a search through all routes of " .. version .. ", as they come and go", function()
      local tree, size = ffi.new("mtev_btrie[1]"), version == "ipv4" and 4 or 16
      local kept, freed = {}, 0
      math.randomseed(42)
      local function key(text, bits)
        local list = {}
        for i = 1, bits do
          list[i] = bit.band(bit.rshift(text:byte(math.floor((i - 1) / 8) + 1), 7 - (i - 1) % 8), 1)
        end
        return table.concat(list)
      end
      local function some()
        local list = {}
        for i = 1, size do list[i] = string.char(math.random(0, 3) * (i % 2 == 0 and 85 or 64)) end
        return table.concat(list)
      end
      local function free(pointer)
        assert.not_equal(0, number(pointer))
        freed = freed + 1
      end
      for step = 1, 1500 do
        local text, bits = some(), math.random(0, size * 8)
        local prefix, where = key(text, bits), ffi.new("uint8_t[16]", { text:byte(1, -1) })
        if math.random(3) == 1 then
          local before = freed
          assert.equal(kept[prefix] and 1 or 0, libmtev[del](tree, where, bits, free))
          assert.equal(before + (kept[prefix] and 1 or 0), freed)
          kept[prefix] = nil
        else
          libmtev[add](tree, where, bits, data(step))
          kept[prefix] = step
        end
        local wanted = some()
        local whole, expected = key(wanted, size * 8), 0
        for n = size * 8, 0, -1 do
          if kept[whole:sub(1, n)] then
            expected = kept[whole:sub(1, n)]
            break
          end
        end
        assert.equal(expected, number(libmtev[find](tree, ffi.new("uint8_t[16]", { wanted:byte(1, -1) }), nil)))
      end
      local left = 0
      for _ in pairs(kept) do left = left + 1 end
      freed = 0
      libmtev.mtev_btrie_drop_tree(tree, free)
      assert.equal(left, freed)
    end)

    it("refuses NULL and prefixes longer than an address of " .. version, function()
      local tree, where = ffi.new("mtev_btrie[1]"), address(version, found[version][1][1])
      assert.error_matches(function() libmtev[add](nil, where, 8, data(1)) end, "tree is NULL")
      assert.error_matches(function() libmtev[add](tree, nil, 8, data(1)) end, "address is NULL")
      assert.error_matches(function() libmtev[add](tree, where, version == "ipv4" and 33 or 129, data(1)) end, "bits, not")
      assert.error_matches(function() libmtev[add](tree, where, 8, 1) end, "pointer expected as data, got number")
      assert.error_matches(function() libmtev[find](nil, where, nil) end, "tree is NULL")
      assert.equal(0, libmtev[del](tree, where, 8, nil))
      libmtev.mtev_btrie_drop_tree(tree, nil)
    end)
  end
end)

describe("mtev_cht", function()
  local function nodes(count)
    local size = ffi.sizeof("mtev_cht_node_t")
    local list = ffi.cast("mtev_cht_node_t *", ffi.C.malloc(math.max(count, 1) * size))
    ffi.fill(list, count * size)
    for i = 0, count - 1 do list[i].name = ffi.C.strdup("node" .. i + 1) end
    return list
  end

  local function owners(cht)
    local list, node = {}, ffi.new("mtev_cht_node_t *[1]")
    for i = 1, 500 do
      assert.equal(1, libmtev.mtev_cht_lookup(cht, "key" .. i, node))
      list[i] = ffi.string(node[0].name)
    end
    return list
  end

  it("shares all keys out among the nodes", function()
    local cht = libmtev.mtev_cht_alloc_custom(32, 20)
    for count = 1, 20 do
      local list = nodes(count)
      assert.equal(count, libmtev.mtev_cht_set_nodes(cht, count, list))
      local total = 0
      for i = 0, count - 1 do
        total = total + list[i].owned
        assert.is_true(math.abs(1 / count - list[i].owned) < 1 / count)
      end
      assert.equal(1, total)
    end
    libmtev.mtev_cht_free(cht)
  end)

  it("moves keys to a node that comes, and no others", function()
    local cht = libmtev.mtev_cht_alloc()
    libmtev.mtev_cht_set_nodes(cht, 8, nodes(8))
    local before = owners(cht)
    libmtev.mtev_cht_set_nodes(cht, 9, nodes(9))
    local after, moved = owners(cht), 0
    for i = 1, 500 do
      if before[i] ~= after[i] then
        assert.equal("node9", after[i])
        moved = moved + 1
      end
    end
    assert.is_true(moved > 0)
    libmtev.mtev_cht_free(cht)
  end)

  it("finds several owners, each once, and the first again where there are too few", function()
    local cht, found = libmtev.mtev_cht_alloc(), ffi.new("mtev_cht_node_t *[16]")
    assert.equal(-1, libmtev.mtev_cht_lookup(cht, "key", found))
    libmtev.mtev_cht_set_nodes(cht, 3, nodes(3))
    assert.equal(2, libmtev.mtev_cht_lookup_n(cht, "key", 2, found))
    assert.not_equal(ffi.string(found[0].name), ffi.string(found[1].name))
    assert.equal(4, libmtev.mtev_cht_vlookup_n(cht, "keyring", 3, 9, found))
    assert.equal(ffi.string(found[0].name), ffi.string(found[3].name))
    assert.equal(0, libmtev.mtev_cht_lookup_n(cht, "key", -1, found))
    assert.equal(1, libmtev.mtev_cht_vlookup(cht, ffi.new("char[3]", "key"), 3, found))
    assert.equal(0, libmtev.mtev_cht_set_nodes(cht, 0, nil))
    assert.equal(-1, libmtev.mtev_cht_vlookup(cht, "key", 3, found))
    libmtev.mtev_cht_free(cht)
  end)

  it("leaves an array of the caller's to him, and keeps it alive", function()
    local cht, found = libmtev.mtev_cht_alloc(), ffi.new("mtev_cht_node_t *[1]")
    local names = { ffi.new("char[2]", "a"), ffi.new("char[2]", "b") }
    do
      local list = ffi.new("mtev_cht_node_t[2]")
      list[0].name, list[1].name = names[1], names[2]
      assert.equal(2, libmtev.mtev_cht_set_nodes(cht, 2, list))
    end
    collectgarbage()
    assert.equal(1, libmtev.mtev_cht_lookup(cht, "key", found))
    assert.matches("^[ab]$", ffi.string(found[0].name))
    assert.equal(3, libmtev.mtev_cht_set_nodes(cht, 3, nodes(3)))
    libmtev.mtev_cht_free(cht)
  end)

  it("gives the hashes of XXH64, of which 32 bits are kept", function()
    assert.equal(0x51d8e999, libmtev.mtev_hash__hash("", 0, 0))
    assert.equal(0xad770999, libmtev.mtev_hash__hash("abc", 3, 0))
    local bytes = ffi.new("uint8_t[100]")
    for i = 0, 99 do bytes[i] = i end
    assert.equal(0x32166597, libmtev.mtev_hash__hash(bytes, 100, 0))
    assert.equal(0xd8a52d91, libmtev.mtev_hash__hash(bytes, 100, 20021010))
    assert.error_matches(function() libmtev.mtev_hash__hash(nil, 4, 0) end, "NULL")
  end)

  it("frees what came with the nodes, and refuses NULL", function()
    local freed = 0
    local free = ffi.cast("void (*)(void *)", function() freed = freed + 1 end)
    local cht, list = libmtev.mtev_cht_alloc(), nodes(2)
    list[0].userdata_freefunc = free
    libmtev.mtev_cht_set_nodes(cht, 2, list)
    libmtev.mtev_cht_free(cht)
    assert.equal(1, freed)
    free:free()
    cht = libmtev.mtev_cht_alloc()
    assert.error_matches(function() libmtev.mtev_cht_set_nodes(cht, 1, nil) end, "nodes is NULL")
    assert.error_matches(function() libmtev.mtev_cht_set_nodes(cht, 1, ffi.new("mtev_cht_node_t[1]")) end, "has no name")
    assert.error_matches(function() libmtev.mtev_cht_lookup(nil, "key", nil) end, "NULL")
    assert.error_matches(function() libmtev.mtev_cht_lookup(cht, nil, nil) end, "key is NULL")
    libmtev.mtev_cht_free(cht)
  end)
end)

describe("mtev_str_buff", function()
  it("grows at its end", function()
    local buff = libmtev.mtev_str_buff_alloc()
    assert.equal(8, buff.buff_len)
    assert.equal(0, libmtev.mtev_str_buff_len(buff))
    assert.equal("", ffi.string(buff.string))
    libmtev.mtev_append_str_buff(buff, "Hello ", 6)
    assert.equal("Hello ", ffi.string(buff.string))
    local before = buff.buff_len
    libmtev.mtev_append_str_buff(buff, ffi.new("char[5]", "World"), 5)
    local grown = buff.buff_len
    assert.is_true(grown > before)
    libmtev.mtev_append_str_buff(buff, "!", 1)
    assert.equal("Hello World!", ffi.string(buff.string))
    assert.equal(grown, buff.buff_len)
    assert.equal(12, libmtev.mtev_str_buff_len(buff))
    libmtev.mtev_append_str_buff(buff, buff.string, 12) -- its own text
    assert.equal(("Hello World!"):rep(2), ffi.string(buff.string))
    libmtev.mtev_str_buff_free(buff)
  end)

  it("becomes a text of the caller's", function()
    local buff = ffi.new("mtev_str_buff_t *[1]")
    for _, size in ipairs({ 0, 64 }) do
      if buff[0] ~= nil then libmtev.mtev_str_buff_free(buff[0]) end
      buff[0] = libmtev.mtev_str_buff_alloc_sized(size)
      assert.equal(size, buff[0].buff_len)
      assert.equal("", ffi.string(buff[0].string))
    end
    libmtev.mtev_append_str_buff(buff[0], "text", 4)
    local text = libmtev.mtev_str_buff_to_string(buff)
    assert.is_true(buff[0] == nil)
    assert.equal("text", ffi.string(text))
    ffi.C.free(text)
    assert.error_matches(function() libmtev.mtev_str_buff_to_string(buff) end, "NULL")
    assert.error_matches(function() libmtev.mtev_append_str_buff(nil, "x", 1) end, "buff is NULL")
    assert.equal(0, libmtev.mtev_str_buff_len(nil))
  end)
end)

describe("mtev_prepend_str", function()
  it("grows at its front", function()
    local buff = ffi.new("mtev_prependable_str_buff_t *[1]")
    buff[0] = libmtev.mtev_prepend_str_alloc()
    assert.equal(8, buff[0].buff_len)
    assert.equal(0, libmtev.mtev_prepend_strlen(buff[0]))
    libmtev.mtev_prepend_str(buff[0], "World", 5)
    assert.equal("World", ffi.string(buff[0].string))
    assert.equal(8, buff[0].buff_len)
    libmtev.mtev_prepend_str(buff[0], "Hello ", 6)
    assert.equal("Hello World", ffi.string(buff[0].string))
    assert.equal(22, buff[0].buff_len)
    libmtev.mtev_prepend_str(buff[0], "!", 1)
    assert.equal("!Hello World", ffi.string(buff[0].string))
    assert.equal(22, buff[0].buff_len)
    assert.equal(12, libmtev.mtev_prepend_strlen(buff[0]))
    libmtev.mtev_prepend_str(buff[0], buff[0].string, 12) -- its own text
    assert.equal(("!Hello World"):rep(2), ffi.string(buff[0].string))
    libmtev.mtev_prepend_str_free(buff[0])
    for _, size in ipairs({ 0, 1, 64 }) do
      buff[0] = libmtev.mtev_prepend_str_alloc_sized(size)
      assert.equal(size, buff[0].buff_len)
      libmtev.mtev_prepend_str(buff[0], "text", 4)
      assert.equal("text", ffi.string(buff[0].string))
      libmtev.mtev_prepend_str_free(buff[0])
    end
    assert.error_matches(function() libmtev.mtev_prepend_str(nil, "x", 1) end, "buff is NULL")
  end)
end)

describe("mtev_intern", function()
  local function stats(pool)
    local out = ffi.new("mtev_intern_pool_stats_t")
    libmtev.mtev_intern_pool_stats(pool, out)
    return out
  end

  it("gives equal texts one value, and counts who holds it", function()
    local one, two = libmtev.mtev_intern_str("this", 0), libmtev.mtev_intern_str(ffi.new("char[5]", "this"), 4)
    assert.is_true(ffi.istype("mtev_intern_t", one))
    assert.equal(one.opaque1, two.opaque1)
    assert.equal(2, libmtev.mtev_intern_get_refcnt(one))
    local other = libmtev.mtev_intern_str("something else", 0)
    assert.not_equal(one.opaque1, other.opaque1)
    local copy, size = libmtev.mtev_intern_copy(one), ffi.new("size_t[1]")
    assert.equal(3, libmtev.mtev_intern_get_refcnt(copy))
    assert.equal("this", ffi.string(libmtev.mtev_intern_get_cstr(one, size)))
    assert.equal(4, tonumber(size[0]))
    assert.equal("something else", ffi.string(libmtev.mtev_intern_get_ptr(other, size), size[0]))
    for _, each in ipairs({ one, two, copy, other }) do libmtev.mtev_intern_release(each) end
    assert.equal(0, libmtev.mtev_intern_pool_item_count(nil))
    assert.error_matches(function() libmtev.mtev_intern_release(one) end, "was released")
  end)

  it("holds bytes of a length the manual allows", function()
    local value = libmtev.mtev_intern("a\0b", 3)
    local size = ffi.new("size_t[1]")
    assert.equal("a\0b", ffi.string(libmtev.mtev_intern_get_ptr(value, size), 3))
    libmtev.mtev_intern_release(value)
    assert.error_matches(function() libmtev.mtev_intern("", 0) end, "len is 0")
    local much = ("x"):rep(2 ^ 23)
    assert.error_matches(function() libmtev.mtev_intern(much, #much) end, "8388607 are the most")
    libmtev.mtev_intern_release(libmtev.mtev_intern(much, #much - 1))
    assert.error_matches(function() libmtev.mtev_intern(nil, 1) end, "NULL")
    assert.error_matches(function() libmtev.mtev_intern_get_cstr(ffi.new("mtev_intern_t"), nil) end, "no interned value")
  end)

  it("forgets what is removed, and keeps it for those who hold it", function()
    local one = libmtev.mtev_intern_str("word", 0)
    libmtev.mtev_intern_remove(one)
    assert.equal(0, libmtev.mtev_intern_pool_item_count(nil))
    local other = libmtev.mtev_intern_str("word", 0)
    assert.not_equal(one.opaque1, other.opaque1)
    assert.equal("word", ffi.string(libmtev.mtev_intern_get_cstr(one, nil)))
    libmtev.mtev_intern_release(one)
    assert.equal(1, libmtev.mtev_intern_pool_item_count(nil))
    libmtev.mtev_intern_remove(other)
    libmtev.mtev_intern_remove(other)
    libmtev.mtev_intern_release(other)
    assert.equal(0, libmtev.mtev_intern_pool_item_count(nil))
  end)

  it("keeps pools apart", function()
    local attr = ffi.new("mtev_intern_pool_attr_t[1]")
    attr[0].extent_size = 65536
    local pool = libmtev.mtev_intern_pool_new(attr)
    local here, there = libmtev.mtev_intern_pool_str(pool, "word", 0), libmtev.mtev_intern_str("word", 0)
    assert.not_equal(here.opaque1, there.opaque1)
    assert.equal(1, libmtev.mtev_intern_pool_item_count(pool))
    assert.equal(65536, tonumber(stats(pool).allocated))
    assert.error_matches(function() libmtev.mtev_intern_release_pool(pool, there) end, "another pool")
    libmtev.mtev_intern_release_pool(pool, here)
    libmtev.mtev_intern_release_pool(nil, there)
    assert.equal(0, libmtev.mtev_intern_pool_item_count(pool))
    assert.is_true(libmtev.mtev_intern_pool_by_id(200) == nil)
    assert.equal(0, libmtev.mtev_intern_pool_item_count(libmtev.mtev_intern_pool_by_id(0)))
  end)

  it("has all memory back when everything is released, and joins it on compaction", function()
    local pool, values = libmtev.mtev_intern_pool_new(nil), {}
    for round = 1, 2 do
      for i = 1, 5000 do
        local value = libmtev.mtev_intern_pool_str(pool, mtev.sha256_hex(tostring(i)), 0)
        if round == 1 then values[i] = value end
      end
    end
    assert.equal(5000, libmtev.mtev_intern_pool_item_count(pool))
    assert.is_true(stats(pool).allocated ~= stats(pool).available_total)
    for i = 1, 5000 do
      for _ = 1, 2 do libmtev.mtev_intern_release_pool(pool, values[i]) end
    end
    local before = stats(pool)
    assert.equal(0, before.item_count)
    assert.is_true(before.allocated == before.available_total)
    local joined = libmtev.mtev_intern_pool_compact(pool, true)
    assert.is_true(joined > 0)
    local after = stats(pool)
    assert.is_true(after.allocated == after.available_total)
    for i = 0, 31 do
      assert.is_true(after.available[i] == after.available_total or after.available[i] == 0)
    end
    assert.equal(after.extent_count, after.fragments_total)
    assert.equal(before.fragments_total - joined, after.fragments_total)
    assert.equal(0, libmtev.mtev_intern_pool_compact(pool, false))
  end)
end)
