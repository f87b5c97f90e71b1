-- contract: Encodings, digests, text (pack, unpack)

describe("pack", function()
  it("writes numbers in the order asked for", function()
    assert.equal("\1\0\2\0\0\0", pack("<hi", 1, 2))
    assert.equal("\0\1\0\0\0\2", pack(">HI", 1, 2))
    assert.equal("\255\254\255", pack("<ch", -1, -2))
    assert.equal("\0\0\0\0\0\0\0\5", pack(">l", 5))
    assert.equal(("\255"):rep(8), pack("L", -1))
    assert.equal("\63\128\0\0" .. "\63\240\0\0\0\0\0\0", pack(">fd", 1, 1))
    assert.equal(pack("d", 0.1), pack("=n", 0.1))
  end)

  it("writes strings raw, ended, or after their length", function()
    assert.equal("abc", pack("A", "abc"))
    assert.equal("abc\0", pack("z", "abc"))
    assert.equal("\3abc", pack("p", "abc"))
    assert.equal("\3\0abc", pack("<P", "abc"))
    assert.equal("\3\0\0\0abc", pack("<a", "abc"))
    assert.equal("\0\0\0\3abc", pack(">a", "abc"))
  end)

  it("repeats a letter with a count, and ignores blanks and commas", function()
    assert.equal("\1\2\3", pack("b3", 1, 2, 3))
    assert.equal("\1\2\0", pack("b, < h", 1, 2))
    assert.equal("", pack(""))
  end)

  it("raises for what it cannot write", function()
    assert.error_matches(function() pack("x", 1) end, "pack_spec.lua:%d+: bad code 'x' in the format of 'pack'")
    assert.error_matches(function() pack("b", "one") end, "pack_spec.lua:%d+: bad argument #2 to 'pack' %(number expected, got string%)")
    assert.error_matches(function() pack("bb", 1) end, "pack_spec.lua:%d+: bad argument #3 to 'pack'")
    assert.error_matches(function() pack("z", {}) end, "pack_spec.lua:%d+: bad argument #2 to 'pack' %(string expected, got table%)")
    assert.error_matches(function() pack("p", ("x"):rep(256)) end, "at most 255 bytes expected, got 256")
    assert.error_matches(function() pack() end, "bad argument #1 to 'pack'")
  end)

  it("is string.pack", function() assert.equal("\1", string.pack("b", 1)) end)
end)

describe("unpack", function()
  it("brings back what pack wrote", function()
    for _, order in ipairs({ "<", ">", "=" }) do
      local format = order .. "zpPafdncbhHiIlL"
      local values = { "z", "p", "P", "a\0b", 0.5, 0.1, -0.1, -128, 255, -32768, 65535, -2147483648, 4294967295, -2 ^ 52, 2 ^ 52 }
      local bytes = pack(format, unpack(values))
      assert.same({ #bytes + 1, unpack(values) }, { unpack(bytes, format) })
    end
  end)

  it("reads so many bytes with A", function()
    assert.same({ 6, "ab", "cde" }, { unpack("abcde", "A2A3") })
    assert.same({ 1, "" }, { unpack("abc", "A0") })
  end)

  it("stops where the bytes end", function()
    assert.same({ 3, 1, 2 }, { unpack("\1\2", "b3") })
    assert.same({ 1 }, { unpack("\5ab", "p") })
    assert.same({ 1 }, { unpack("abc", "z") })
    assert.same({ 2, 1 }, { unpack("\1", "bA5") })
  end)

  it("begins at a position", function() assert.same({ 3, 2 }, { unpack("\1\2\3", "b", 2) }) end)

  it("still unpacks tables", function()
    assert.same({ 1, 2, 3 }, { unpack({ 1, 2, 3 }) })
    assert.same({ 2, 3 }, { unpack({ 1, 2, 3 }, 2) })
    assert.error_matches(function() unpack(nil) end, "table expected, got nil")
  end)

  it("raises for wrong arguments", function()
    assert.error_matches(function() unpack("x") end, "bad argument #2 to 'unpack'")
    assert.error_matches(function() string.unpack({}, "b") end, "pack_spec.lua:%d+: bad argument #1 to 'unpack'")
    assert.error_matches(function() unpack("x", "y") end, "bad code 'y' in the format of 'unpack'")
    assert.error_matches(function() unpack("x", "b", 0) end, "bad argument #3 to 'unpack'")
  end)
end)
