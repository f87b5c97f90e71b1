-- contract: Encodings, digests, text (pcre)

describe("mtev.pcre", function()
  it("gives a matcher: true, the whole match and its groups, or false", function()
    local matcher = mtev.pcre("(\\w+)=(\\d+)")
    assert.same({ true, "key=123", "key", "123" }, { matcher("a key=123;") })
    assert.same({ false }, { matcher("nothing here") })
  end)

  it("returns the groups up to the last that took part, empty those before it that took none", function()
    local function count(...) return select("#", ...) end
    assert.equal(2, count(mtev.pcre("(a)?(b)?")("x")))
    assert.equal(3, count(mtev.pcre("(a)(b)?(c)?")("xa")))
    assert.equal(5, count(mtev.pcre("(a)?(b)?(c)")("c")))
    assert.equal(6, count(mtev.pcre("(a)(b)(c)(d)(e)?(f)?")("abcd")))
    assert.equal(3, count(mtev.pcre("(a*)(b)?")("x")), "a group that matched nothing took part")
    assert.same({ true, "ac", "a", "", "c" }, { mtev.pcre("(a)(b)?(c)")("ac") })
    assert.same({ true, "a", "a" }, { mtev.pcre("(a)|(b)")("a") })
    assert.same({ true, "x" }, { mtev.pcre("x")("axb") })
    assert.same({ true, "x", "x" }, { mtev.pcre("(x)")("axb") })
    assert.same({ true, "abcdefghijkl", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l" },
      { mtev.pcre("(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)")("abcdefghijkl") })
  end)

  it("returns nil, a message and an offset for a bad expression", function()
    local matcher, message, offset = mtev.pcre("a(b")
    assert.is_nil(matcher)
    assert.equal("missing closing parenthesis", message)
    assert.equal(3, offset)
  end)

  it("raises for what is no string", function()
    assert.error_matches(function() mtev.pcre() end, "bad argument #1 to 'pcre' %(expression expected, got nil%)")
    assert.error_matches(function() mtev.pcre({}) end, "pcre_spec.lua:%d+: bad argument #1 to 'pcre'")
  end)
end)

describe("a matcher", function()
  local function all(matcher, subject)
    local found = {}
    for _ = 1, 50 do
      local ok, whole = matcher(subject)
      if not ok then return found end
      found[#found + 1] = whole
    end
    return "without end"
  end

  it("continues after the last match while the subject is the same", function()
    local matcher = mtev.pcre("\\d+")
    assert.same({ "1", "22", "333" }, all(matcher, "1 22 333"))
    assert.is_false(matcher("1 22 333"))
    assert.is_true(matcher("1 2"))
  end)

  it("starts anew with another subject, and after nil", function()
    local matcher = mtev.pcre("\\d")
    assert.same({ true, "1" }, { matcher("12") })
    assert.same({ true, "3" }, { matcher("34") })
    assert.same({ true, "1" }, { matcher("12") })
    assert.same({ true, "2" }, { matcher("12") })
    assert.is_false(matcher(nil))
    assert.same({ true, "1" }, { matcher("12") })
  end)

  it("takes the rest for a subject of its own", function()
    assert.same({ "a ", "b ", "c" }, all(mtev.pcre("^\\w ?"), "a b c"))
  end)

  it("comes to an end of empty matches", function()
    assert.same({ "", "", "" }, all(mtev.pcre("x*"), "ab"))
    assert.same({ "", "xx", "", "" }, all(mtev.pcre("x*"), "axxb"))
    assert.same({ "" }, all(mtev.pcre("^$"), ""))
    assert.same({ "" }, all(mtev.pcre("$"), "ab"))
  end)

  it("is independent of others of the same expression", function()
    local a, b = mtev.pcre("."), mtev.pcre(".")
    assert.same({ true, "1" }, { a("12") })
    assert.same({ true, "1" }, { b("12") })
    assert.same({ true, "2" }, { a("12") })
  end)

  it("sees bytes", function()
    assert.same({ "\195", "\169", "\0" }, all(mtev.pcre("(?s)."), "é\0"))
    assert.same({ true, "x\0y" }, { mtev.pcre("x\\x00y")("ax\0yb") })
  end)

  it("gives up on a catastrophic expression", function()
    local subject = ("a"):rep(60) .. "b"
    assert.is_false(mtev.pcre("(a+)+$")(subject))
    assert.is_false(mtev.pcre("(a+)+$")(subject, { limit = 1000 }))
    assert.is_false(mtev.pcre("(a+)+$")(subject, { limit_recurse = 5 }))
    assert.is_true(mtev.pcre("(a+)+")(subject, { limit = 1000, limit_recurse = 1000 }))
  end)

  it("matches far without running out of stack", function()
    local long = ("ab"):rep(100000)
    assert.is_true(mtev.pcre("^(?:a|b)*$")(long))
  end)

  it("continues across calls with limits", function()
    local matcher = mtev.pcre("\\d")
    assert.same({ true, "1" }, { matcher("123", { limit = 1000 }) })
    assert.same({ true, "2" }, { matcher("123") })
    assert.same({ true, "3" }, { matcher("123", { limit = 1000 }) })
    assert.is_false(matcher("123"))
  end)

  it("raises for arguments it has no use for", function()
    local matcher = mtev.pcre("5")
    assert.same({ true, "5" }, { matcher(15) })
    assert.error_matches(function() matcher({}) end, "pcre_spec.lua:%d+: bad argument #1 to a matcher %(string expected, got table%)")
    assert.error_matches(function() matcher("5", 5) end, "pcre_spec.lua:%d+: bad argument #2 to a matcher")
    assert.error_matches(function() matcher("5", { limit = "x" }) end, "pcre_spec.lua:%d+: bad option 'limit' of a matcher")
  end)
end)
