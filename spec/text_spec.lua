-- contract: Encodings, digests, text (utf8tohtml)

describe("mtev.utf8tohtml", function()
  it("makes entities of what is not ASCII, by name where there is one", function()
    assert.equal("caf&eacute; &euro; &alpha;", mtev.utf8tohtml("café € α"))
    assert.equal("&#128512;&#1078;", mtev.utf8tohtml("😀ж"))
    assert.equal("a & b \"c\"", mtev.utf8tohtml("a & b \"c\""))
  end)

  it("escapes tags when asked to", function()
    assert.equal("<b>&uuml;</b>", mtev.utf8tohtml("<b>ü</b>"))
    assert.equal("&lt;b&gt;&uuml;&lt;/b&gt;", mtev.utf8tohtml("<b>ü</b>", true))
  end)

  it("puts a replacement for each byte that is not UTF-8", function()
    for _, case in ipairs({ { "\255x", 1 }, { "\128\128x", 2 }, { "\195x", 1 }, { "\192\128x", 2 }, { "\237\160\128x", 3 },
      { "\244\144\128\128x", 4 }, { "\224\128\128x", 3 } }) do
      assert.equal(("&#65533;"):rep(case[2]) .. "x", mtev.utf8tohtml(case[1]))
    end
    assert.equal("&eacute;&#65533;", mtev.utf8tohtml("é\169"))
  end)

  it("raises when it is not given a string", function()
    assert.error_matches(function() mtev.utf8tohtml() end, "bad argument #1 to 'utf8tohtml' %(string expected, got nil%)")
  end)
end)
