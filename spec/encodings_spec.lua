-- contract: Encodings, digests, text (base64, base32, crc32)

-- RFC 4648, section 10
local vectors = {
  { "", "", "" },
  { "f", "Zg==", "MY======" },
  { "fo", "Zm8=", "MZXQ====" },
  { "foo", "Zm9v", "MZXW6===" },
  { "foob", "Zm9vYg==", "MZXW6YQ=" },
  { "fooba", "Zm9vYmE=", "MZXW6YTB" },
  { "foobar", "Zm9vYmFy", "MZXW6YTBOI======" },
}

local function bytes(n)
  local list = {}
  for i = 1, n do list[i] = string.char((i * 167 + 13) % 256) end
  return table.concat(list)
end

for name, column in pairs({ base64 = 2, base32 = 3 }) do
  local encode, decode = mtev[name .. "_encode"], mtev[name .. "_decode"]

  describe("mtev." .. name, function()
    it("encodes and decodes the examples of RFC 4648", function()
      for _, vector in ipairs(vectors) do
        assert.equal(vector[column], encode(vector[1]))
        assert.equal(vector[1], decode(vector[column]))
        assert.equal(vector[1], decode((vector[column]:gsub("=", ""))))
      end
    end)

    it("brings any bytes back, however many", function()
      for n = 0, 40 do assert.equal(bytes(n), decode(encode(bytes(n)))) end
      assert.equal(bytes(200001), decode(encode(bytes(200001))))
      assert.is_nil(encode(bytes(1000)):find("[^%w+/=]"))
    end)

    it("gives nothing for what cannot be decoded", function()
      for _, text in ipairs({ "A", "Zg=", "Zg===", "=", "====", "Z g=", "Zm9v!A==", "Zm 9v!A==", "Z\200==", "MY=====", "M" }) do
        assert.equal("", decode(text), text)
      end
    end)

    it("skips white space, wherever it is", function()
      for n = 0, 300, 7 do
        local text = encode(bytes(n))
        assert.equal(bytes(n), decode(text .. "\n"))
        assert.equal(bytes(n), decode(" \t" .. text:gsub(".", "%0\r\n")))
      end
      assert.equal(bytes(100000), decode((encode(bytes(100000)):gsub(("."):rep(76), "%0\n"))))
    end)

    it("gives nothing for what cannot be decoded, however long", function()
      local text = encode(bytes(3000))
      for _, wrong in ipairs({ "!", "\0", "\200", "=", "*" }) do
        assert.equal("", decode(wrong .. text))
        assert.equal("", decode(text:sub(1, 2000) .. wrong .. text:sub(2002)))
      end
    end)

    it("raises when it is not given a string", function()
      assert.error_matches(function() encode() end, "bad argument #1 to '" .. name .. "_encode' %(string expected, got nil%)")
      assert.error_matches(function() decode({}) end, "encodings_spec.lua:%d+: bad argument #1 to '" .. name .. "_decode'")
      assert.equal(encode("12"), encode(12))
    end)
  end)
end

describe("mtev.base64_decode", function()
  it("takes the URL alphabet, mixed with the usual one too", function()
    assert.equal("???>>>", mtev.base64_decode("Pz8_Pj4-"))
    assert.equal(("\251\255\191"):rep(2), mtev.base64_decode("-_-_+/+/"))
    assert.equal(("\251\255\191"):rep(1000), mtev.base64_decode(("-_-_"):rep(1000)))
    assert.equal(("\251\255\191"):rep(1000) .. "a", mtev.base64_decode(("-_-_\n"):rep(1000) .. "YQ"))
  end)
end)

describe("mtev.base32_decode", function()
  it("takes lower case", function() assert.equal("foobar", mtev.base32_decode("mzxw6ytboi")) end)
end)

describe("mtev.crc32", function()
  it("is the checksum of a string", function()
    assert.equal(0, mtev.crc32(""))
    assert.equal(0xcbf43926, mtev.crc32("123456789"))
    assert.equal(0x414fa339, mtev.crc32("The quick brown fox jumps over the lazy dog"))
  end)

  it("goes on from a checksum over any number of strings", function()
    assert.equal(0xcbf43926, mtev.crc32(0, "123456789"))
    assert.equal(0xcbf43926, mtev.crc32(0, "1234", "", "56789"))
    assert.equal(0xcbf43926, mtev.crc32(mtev.crc32("12345678"), "9"))
    assert.equal(0xcbf43926, mtev.crc32(nil, "1234", "56789"))
  end)

  it("raises for other arguments", function()
    assert.error_matches(function() mtev.crc32() end, "bad argument #1 to 'crc32' %(string expected, got nil%)")
    assert.error_matches(function() mtev.crc32("x", "y") end, "bad argument #1 to 'crc32' %(checksum expected, got string%)")
    assert.error_matches(function() mtev.crc32(0, "y", {}) end, "bad argument #3 to 'crc32' %(string expected, got table%)")
  end)
end)
