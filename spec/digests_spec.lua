-- contract: Encodings, digests, text (md5, sha1, sha256, hmac_*)

local hex = {
  md5 = "900150983cd24fb0d6963f7d28e17f72",
  sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d",
  sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
}

for name, digest in pairs(hex) do
  describe("mtev." .. name, function()
    it("gives the digest of bytes, and its hexadecimal form", function()
      assert.equal(digest, mtev[name .. "_hex"]("abc"))
      local bytes = digest:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)
      assert.equal(bytes, mtev[name]("abc"))
      assert.not_equal(mtev[name]("a"), mtev[name]("a\0"))
    end)

    it("raises when it is not given a string", function()
      assert.error_matches(function() mtev[name]() end, "bad argument #1 to '" .. name .. "' %(string expected, got nil%)")
      assert.error_matches(function() mtev[name .. "_hex"]({}) end, "bad argument #1 to '" .. name .. "_hex'")
    end)
  end)
end

describe("mtev.sha256_hash", function()
  it("is sha256_hex", function() assert.equal(hex.sha256, mtev.sha256_hash("abc")) end)
end)

describe("an HMAC", function()
  -- RFC 2202 and RFC 4231, test case 2
  it("is given in base 64", function()
    assert.equal("7/zfauXrL6LSdBbV8YTfnCWafHk=", mtev.hmac_sha1_encode("what do ya want for nothing?", "Jefe"))
    assert.equal("W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=",
      mtev.hmac_sha256_encode("what do ya want for nothing?", "Jefe"))
  end)

  it("raises without a key", function()
    assert.error_matches(function() mtev.hmac_sha1_encode("x") end, "bad argument #2 to 'hmac_sha1_encode' %(string expected, got nil%)")
    assert.error_matches(function() mtev.hmac_sha256_encode(nil, "k") end, "bad argument #1 to 'hmac_sha256_encode'")
  end)
end)
