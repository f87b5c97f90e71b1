-- What ffi.load("mtev") is given ends where a page does, and behind that is memory that ends the process for who touches it.

local ffi = require("ffi")
ffi.cdef [[
void *mmap(void *address, size_t length, int protection, int flags, int fd, intptr_t offset);
int mprotect(void *address, size_t length, int protection);
int munmap(void *address, size_t length);
]]
local C = ffi.C
local libmtev = ffi.load("mtev")

local PAGE = 65536 -- bytes, a multiple of every system's
local READ_WRITE, NONE, PRIVATE, ANONYMOUS = 3, 0, 2, ffi.os == "OSX" and 0x1000 or 0x20

local function fenced()
  local memory = ffi.cast("uint8_t *", C.mmap(nil, 2 * PAGE, READ_WRITE, PRIVATE + ANONYMOUS, -1, 0))
  assert.equal(0, C.mprotect(memory + PAGE, PAGE, NONE))
  return memory
end

local source_page, target_page

-- *text* so that no byte behind it can be read, and room for *size* bytes with none behind that can be written.
local function source(text)
  local at = source_page + PAGE - #text
  ffi.copy(at, text, #text)
  return at
end
local function target(size)
  ffi.fill(target_page, PAGE, 0x55)
  return target_page + PAGE - size
end

local function untouched(size)
  for at = PAGE - size - 64, PAGE - size - 1 do
    if target_page[at] ~= 0x55 then return false end
  end
  return true
end

local function bytes(n)
  local list = {}
  for i = 1, n do list[i] = string.char((i * 151 + n) % 256) end
  return table.concat(list)
end

describe("at the end of a page", function()
  setup(function() source_page, target_page = fenced(), fenced() end)
  teardown(function()
    C.munmap(source_page, 2 * PAGE)
    C.munmap(target_page, 2 * PAGE)
  end)

  for _, name in ipairs({ "b64", "b32", "url", "html" }) do
    it(name .. " encodes and decodes into exactly the room there is, and never into less", function()
      local encode, decode = libmtev["mtev_" .. name .. "_encode"], name ~= "html" and libmtev["mtev_" .. name .. "_decode"]
      for n = 0, 260 do
        local text = bytes(n)
        local whole = ffi.new("char[?]", 6 * n + 16)
        local size = encode(text, n, whole, 6 * n + 16)
        local encoded = ffi.string(whole, size)
        assert.equal(size, encode(source(text), n, target(size), size))
        assert.equal(encoded, ffi.string(target_page + PAGE - size, size))
        for short = math.max(0, size - 4), size - 1 do
          assert.equal(0, encode(source(text), n, target(short), short))
          assert.is_true(untouched(short))
        end
        if decode and n > 0 then
          assert.equal(n, decode(source(encoded), size, target(n), n))
          assert.equal(text, ffi.string(target_page + PAGE - n, n))
          for short = math.max(0, n - 4), n - 1 do
            assert.equal(0, decode(source(encoded), size, target(short), short))
            assert.is_true(untouched(short))
          end
          for cut = math.max(0, size - 5), size - 1 do -- and what is no whole text
            decode(source(encoded:sub(1, cut)), cut, target(n), n)
            assert.is_true(untouched(n))
          end
        end
      end
    end)
  end

  it("random bytes fill a buffer", function()
    for _, name in ipairs({ "mtev_rand_buf", "mtev_rand_buf_secure", "mtev_rand_buf_trysecure" }) do
      for size = 0, 300 do
        assert.equal(size, tonumber(libmtev[name](target(size), size)))
        assert.is_true(untouched(size))
      end
    end
  end)

  it("texts grow, values are interned and keys are hashed from what is there", function()
    for n = 1, 100 do
      local text = bytes(n)
      local front, back = libmtev.mtev_prepend_str_alloc(), libmtev.mtev_str_buff_alloc()
      libmtev.mtev_prepend_str(front, source(text), n)
      libmtev.mtev_append_str_buff(back, source(text), n)
      assert.equal(text, ffi.string(front.string, libmtev.mtev_prepend_strlen(front)))
      assert.equal(text, ffi.string(back.string, libmtev.mtev_str_buff_len(back)))
      libmtev.mtev_prepend_str_free(front)
      libmtev.mtev_str_buff_free(back)
      local value = libmtev.mtev_intern(source(text), n)
      assert.equal(text, ffi.string(libmtev.mtev_intern_get_ptr(value, nil), n))
      libmtev.mtev_intern_release(value)
      assert.equal(libmtev.mtev_hash__hash(text, n, 7), libmtev.mtev_hash__hash(source(text), n, 7))
    end
  end)

  it("uuids are read from 36 characters and a NUL, and written into as many as they have", function()
    local text = "0123abcd-4567-89ef-0123-456789abcdef"
    assert.equal(0, libmtev.mtev_uuid_parse(source(text .. "\0"), target(16)))
    assert.is_true(untouched(16))
    local uuid = source(ffi.string(target_page + PAGE - 16, 16))
    libmtev.mtev_uuid_unparse_lower(uuid, target(36))
    assert.equal(text, ffi.string(target_page + PAGE - 36, 36))
    assert.is_true(untouched(36))
    for n = 0, 35 do assert.equal(-1, libmtev.mtev_uuid_parse(source(text:sub(1, n) .. "\0"), target(16))) end
  end)

  it("routes are looked up for addresses of four and of sixteen bytes", function()
    for version, size in pairs({ ipv4 = 4, ipv6 = 16 }) do
      local tree, mask = ffi.new("void *[1]"), target(1)
      libmtev["mtev_btrie_add_route_" .. version](tree, source(("\10"):rep(size)), 8 * size, ffi.cast("void *", 5))
      local found = libmtev["mtev_btrie_find_bpm_route_" .. version](tree, source(("\10"):rep(size)), mask)
      assert.equal(5, tonumber(ffi.cast("uintptr_t", found)))
      assert.equal(8 * size, mask[0])
      libmtev.mtev_btrie_drop_tree(tree, nil)
    end
  end)
end)
