-- manual: mtev_b32_*, mtev_b64_*, mtev_url_*, mtev_html_*; called as C's functions are, by what ffi.load("mtev") returns

local ffi = require("ffi")
ffi.cdef [[
struct iovec { void *iov_base; size_t iov_len; };
int mtev_b32_decode(const char *, size_t, unsigned char *, size_t);
int mtev_b32_encode(const unsigned char *, size_t, char *, size_t);
size_t mtev_b32_encode_len(size_t);
size_t mtev_b32_max_decode_len(size_t);
int mtev_b64_decode(const char *, size_t, unsigned char *, size_t);
int mtev_b64_encode(const unsigned char *, size_t, char *, size_t);
int mtev_b64_encodev(const struct iovec *, size_t, char *, size_t);
size_t mtev_b64_encode_len(size_t);
size_t mtev_b64_max_decode_len(size_t);
int mtev_url_decode(const char *, size_t, unsigned char *, size_t);
]]
local libmtev = ffi.load("mtev")

local function bytes(n)
  local list = {}
  for i = 1, n do list[i] = string.char((i * 167 + 13) % 256) end
  return table.concat(list)
end

-- What *name* makes of a text in a buffer of *room* bytes, and the byte behind that, which nobody may touch.
local function run(name, text, room)
  local buffer = ffi.new("char[?]", room + 1)
  buffer[room] = 77
  local n = libmtev[name](text, #text, buffer, room)
  assert.equal(77, buffer[room])
  return n, ffi.string(buffer, n)
end

describe("ffi.load('mtev')", function()
  it("is one object under each of the library's names", function()
    assert.equal(libmtev, ffi.load("libmtev"))
    assert.equal(libmtev, ffi.load("mtev.so"))
    assert.equal(libmtev, ffi.load("libmtev.so.1"))
    assert.equal("library: mtev", tostring(libmtev))
  end)

  it("raises the name of what is not there", function()
    assert.error_matches(function() return libmtev.mtev_b64_frobnicate end, "mtev_b64_frobnicate")
    assert.error_matches(function() return libmtev.nothing end, "'nothing'")
    assert.error_matches(function() return libmtev[1] end, "'1'")
    assert.error_matches(function() libmtev.mtev_new = 2 end, "mtev_new")
    assert.error_matches(function() libmtev.mtev_true = 2 end, "mtev_true")
  end)

  it("leaves other libraries to the system", function()
    assert.error_matches(function() ffi.load("there_is_no_such_library") end, "there_is_no_such_library")
    assert.error(function() ffi.load() end)
    assert.not_equal(libmtev, ffi.load(ffi.os == "OSX" and "z" or "libz.so.1"))
  end)

  it("has the two values of mtev_boolean", function()
    assert.equal(1, libmtev.mtev_true)
    assert.equal(0, libmtev.mtev_false)
  end)
end)

describe("mtev_b64", function()
  it("brings any bytes back", function()
    for n = 1, 200 do
      local text = bytes(n)
      local room = libmtev.mtev_b64_encode_len(n)
      local encoded = ffi.new("char[?]", tonumber(room))
      local size = libmtev.mtev_b64_encode(text, n, encoded, room)
      assert.equal(room, size)
      assert.equal(mtev.base64_encode(text), ffi.string(encoded, size))
      local most = libmtev.mtev_b64_max_decode_len(size)
      local decoded = ffi.new("unsigned char[?]", tonumber(most))
      assert.equal(n, libmtev.mtev_b64_decode(encoded, size, decoded, most))
      assert.equal(text, ffi.string(decoded, n))
    end
  end)

  it("gives lengths as size_t", function()
    assert.is_true(ffi.istype("size_t", libmtev.mtev_b64_encode_len(16)))
    assert.equal(24, tonumber(libmtev.mtev_b64_encode_len(16)))
    assert.equal(0, tonumber(libmtev.mtev_b64_encode_len(0)))
    assert.equal(18, tonumber(libmtev.mtev_b64_max_decode_len(24)))
    assert.equal(3, tonumber(libmtev.mtev_b64_max_decode_len(1)))
  end)

  it("writes nothing where there is no room for the whole", function()
    assert.equal(0, (run("mtev_b64_encode", "This is a string", 23)))
    for encoded, size in pairs({ ["VGhpcyBpcyBhIHN0cmluZw=="] = 16, ["VGhpcyBpcyBhIHN0cmluZy4="] = 17,
      ["VGhpcyBpcyBhIHN0cmluZy4u"] = 18, ["Zg=="] = 1, ["Zm8="] = 2 }) do
      for room = 0, size - 1 do assert.equal(0, (run("mtev_b64_decode", encoded, room))) end
      for room = size, size + 4 do assert.equal(size, (run("mtev_b64_decode", encoded, room))) end
    end
    assert.equal(0, (run("mtev_b64_decode", "", 0)))
    assert.equal(0, (run("mtev_b64_encode", "", 0)))
  end)

  it("decodes up to what is no base 64, and skips white space", function()
    assert.same({ 16, "This is a string" }, { run("mtev_b64_decode", "VGhpcyBpcyBhIHN0cmluZw=a", 18) })
    assert.same({ 3, "foo" }, { run("mtev_b64_decode", "Zm9v!mFy", 9) })
    assert.same({ 6, "foobar" }, { run("mtev_b64_decode", "Zm 9v\r\nYm\tFy\n", 9) })
    assert.same({ 1, "f" }, { run("mtev_b64_decode", "Zg==Zm9v", 9) })
    assert.same({ 3, "\251\255\191" }, { run("mtev_b64_decode", "-_-_", 3) })
    assert.same({ 3, "foo" }, { run("mtev_b64_decode", "Zm9vYm", 9) })
    assert.equal(0, (run("mtev_b64_decode", "====", 9)))
  end)

  it("encodes what lies in pieces as if it were one", function()
    for cut = 0, 9 do
      for second = cut, 9 do
        local text = bytes(9)
        local parts = { text:sub(1, cut), text:sub(cut + 1, second), text:sub(second + 1) }
        local iov, kept = ffi.new("struct iovec[?]", #parts), {}
        for i, part in ipairs(parts) do
          kept[i] = ffi.new("char[?]", #part + 1, part)
          iov[i - 1].iov_base, iov[i - 1].iov_len = kept[i], #part
        end
        local out = ffi.new("char[12]")
        assert.equal(12, libmtev.mtev_b64_encodev(iov, #parts, out, 12))
        assert.equal(mtev.base64_encode(text), ffi.string(out, 12))
        assert.equal(0, libmtev.mtev_b64_encodev(iov, #parts, out, 11))
      end
    end
    assert.equal(0, libmtev.mtev_b64_encodev(ffi.new("struct iovec[1]"), 0, ffi.new("char[4]"), 4))
  end)

  it("refuses NULL, lengths that are none, and more of a string than there is", function()
    local buffer = ffi.new("char[8]")
    assert.error_matches(function() libmtev.mtev_b64_encode(nil, 3, buffer, 8) end, "mtev_b64_encode: the source is NULL")
    assert.error_matches(function() libmtev.mtev_b64_encode("abc", 3, nil, 8) end, "destination is NULL")
    assert.error_matches(function() libmtev.mtev_b64_encode("abc", -1, buffer, 8) end, "src_len is no length: %-1")
    assert.error_matches(function() libmtev.mtev_b64_encode("abc", 3, buffer, 2 ^ 40) end, "dest_len is no length")
    assert.error_matches(function() libmtev.mtev_b64_decode("Zm9v", 5, buffer, 8) end, "length 5 of a string of 4")
    assert.error_matches(function() libmtev.mtev_b64_decode({}, 5, buffer, 8) end, "string or pointer expected, got table")
    assert.error_matches(function() libmtev.mtev_b64_decode("Zm9v", 4, "buffer", 8) end, "buffer expected, got string")
    assert.error_matches(function() libmtev.mtev_b64_encode_len("x") end, "mtev_b64_encode_len")
    assert.equal(0, libmtev.mtev_b64_encode(nil, 0, nil, 0))
  end)
end)

describe("mtev_b32", function()
  it("brings any bytes back", function()
    for n = 1, 100 do
      local text = bytes(n)
      local size, encoded = run("mtev_b32_encode", text, tonumber(libmtev.mtev_b32_encode_len(n)))
      assert.equal(mtev.base32_encode(text), encoded)
      local most = tonumber(libmtev.mtev_b32_max_decode_len(size))
      assert.same({ n, text }, { run("mtev_b32_decode", encoded, most) })
    end
  end)

  it("writes nothing where there is no room for the whole", function()
    assert.equal(0, (run("mtev_b32_encode", "foob", 7)))
    for room = 0, 3 do assert.equal(0, (run("mtev_b32_decode", "MZXW6YQ=", room))) end
    for room = 4, 8 do assert.same({ 4, "foob" }, { run("mtev_b32_decode", "MZXW6YQ=", room) }) end
  end)

  it("decodes small letters, between spaces and hyphens, up to what is none", function()
    assert.same({ 6, "foobar" }, { run("mtev_b32_decode", "mzxw-6ytb\n oi======", 10) })
    assert.same({ 5, "fooba" }, { run("mtev_b32_decode", "MZXW6YTB!ZXW6YTB", 10) })
    assert.same({ 5, "fooba" }, { run("mtev_b32_decode", "MZXW6YTBOI", 10) })
    assert.equal(0, (run("mtev_b32_decode", "========", 10)))
  end)
end)

describe("mtev_url and mtev_html", function()
  it("encode what needs it", function()
    assert.same({ 18, "a%20b%2Fc%FF-._~AZ" }, { run("mtev_url_encode", "a b/c\255-._~AZ", 18) })
    assert.equal(0, (run("mtev_url_encode", "a b/c\255-._~AZ", 17)))
    assert.equal(9, tonumber(libmtev.mtev_url_encode_len(3)))
    local size, text = run("mtev_html_encode", "<a href=\"x\">'&'", 100)
    assert.equal("&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;", text)
    assert.equal(0, (run("mtev_html_encode", "<a href=\"x\">'&'", size - 1)))
    assert.is_true(libmtev.mtev_html_encode_len(1) >= 6)
  end)

  it("decode it again, or nothing at all", function()
    assert.same({ 6, "a b/c\255" }, { run("mtev_url_decode", "a+b%2fc%FF", 6) })
    assert.equal(0, (run("mtev_url_decode", "a+b%2fc%FF", 5)))
    for _, text in ipairs({ "abc%", "abc%2", "abc%2x", "%%%" }) do assert.equal(0, (run("mtev_url_decode", text, 9))) end
    assert.equal(10, tonumber(libmtev.mtev_url_max_decode_len(10)))
  end)
end)
