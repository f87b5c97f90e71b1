-- contract: Encodings, digests, text (gunzip)

-- "hello hello hello hello\n"
local GZIP = mtev.base64_decode("H4sIAAAAAAACA8tIzcnJV8hAJ7kAAIhZCxgAAAA=")
local ZLIB = mtev.base64_decode("eJzLSM3JyVfIQCe5AHC+CLs=")
local BARE = mtev.base64_decode("y0jNyclXyEAnuQA=")
local TEXT = "hello hello hello hello\n"

describe("mtev.gunzip", function()
  for name, stream in pairs({ gzip = GZIP, zlib = ZLIB, ["bare deflate"] = BARE }) do
    it("inflates " .. name .. " data, whole or byte by byte", function()
      assert.equal(TEXT, mtev.gunzip()(stream))
      local inflate, pieces = mtev.gunzip(), {}
      for i = 1, #stream do pieces[i] = inflate(stream:sub(i, i)) end
      assert.equal(TEXT, table.concat(pieces))
    end)
  end

  it("inflates gzip members one after another", function()
    assert.equal(TEXT .. TEXT, mtev.gunzip()(GZIP .. GZIP))
    local inflate = mtev.gunzip()
    assert.equal(TEXT, inflate(GZIP))
    assert.equal("", inflate(GZIP:sub(1, 1)))
    assert.equal(TEXT, inflate(GZIP:sub(2)))
    assert.equal("", inflate("what follows"))
  end)

  it("raises for corrupt data, at once and ever after", function()
    local inflate = mtev.gunzip()
    assert.error_matches(function() inflate("this is no deflate data") end, "gunzip_spec.lua:%d+: zlib: data error")
    assert.error_matches(function() inflate(GZIP) end, "zlib: data error")
    local broken = GZIP:sub(1, -9) .. "\0\0\0\0" .. GZIP:sub(-4)
    assert.error_matches(function() mtev.gunzip()(broken) end, "zlib: data error")
  end)

  it("raises when a call gives more than its limit", function()
    assert.equal(TEXT, mtev.gunzip()(GZIP, #TEXT))
    assert.error_matches(function() mtev.gunzip()(GZIP, #TEXT - 1) end, "zlib: more than 23 bytes of output")
    assert.error_matches(function() mtev.gunzip()(GZIP, 0) end, "zlib: more than 0 bytes")
  end)

  it("raises for wrong arguments", function()
    assert.error_matches(function() mtev.gunzip()() end, "gunzip_spec.lua:%d+: bad argument #1 to 'gunzip'")
    assert.error_matches(function() mtev.gunzip()("x", "much") end, "bad argument #2 to 'gunzip' %(number of bytes expected, got much%)")
  end)
end)
