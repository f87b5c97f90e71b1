-- Every assertion, as it passes and as it fails, in the dotted and the underscored spelling.

local function raises() error("boom") end
local function quiet() end
local thread = coroutine.create(quiet)

-- name, arguments that pass, arguments that fail
local cases = {
  { "true", { true }, { 1 } },
  { "false", { false }, { nil } },
  { "truthy", { 0 }, { false } },
  { "falsy", { false }, { 0 } },
  { "boolean", { false }, { nil } },
  { "number", { 1 }, { "1" } },
  { "string", { "" }, { 1 } },
  { "table", { {} }, { "" } },
  { "nil", { nil }, { false } },
  { "userdata", { io.stdout }, { {} } },
  { "function", { quiet }, { thread } },
  { "thread", { thread }, { quiet } },
  { "equal", { "a", "a" }, { {}, {} } },
  { "equals", { 1, 1 }, { 1, "1" } },
  { "same", { { 1, { x = 2 } }, { 1, { x = 2 } } }, { { 1 }, { 2 } } },
  { "near", { 10, 10.5, 0.5 }, { 10, 11, 0.5 } },
  { "unique", { { 1, 2, 3 } }, { { 1, 2, 1 } } },
  { "matches", { "^a.c$", "abc" }, { "^a.c$", "abcd" } },
  { "error", { raises }, { quiet } },
  { "errors", { raises, "boom" }, { raises, "bang" } },
  { "error_matches", { raises, "^bo+m$" }, { raises, "bang" } },
  { "returned_arguments", { 2, "a", nil }, { 1 } },
}

-- assert[word][word]… for a dotted spelling.
local function dotted(spelling)
  local check = assert
  for word in spelling:gmatch("[^.]+") do check = check[word] end
  return check
end

local function capital(name) return name:sub(1, 1):upper() .. name:sub(2) end

describe("assert", function()
  for _, case in ipairs(cases) do
    local name, good, bad = case[1], case[2], case[3]
    good.n, bad.n = math.max(table.maxn(good), 1), math.max(table.maxn(bad), 1)
    if name == "returned_arguments" then good.n = 3 end

    local function passes(spelling, arguments) dotted(spelling)(unpack(arguments, 1, arguments.n)) end
    local function fails(spelling, arguments)
      local ok, err = pcall(dotted(spelling), unpack(arguments, 1, arguments.n))
      assert(not ok, "assert." .. spelling .. " should have failed")
      assert.matches("Expected", err)
    end

    it("." .. name .. " passes and fails", function()
      for _, form in ipairs({ "%s", "is_%s", "is.%s", "are_%s", "was.%s", "has_%s", "does.%s" }) do
        passes(form:format(name), good)
        fails(form:format(name), bad)
        passes(form:format(capital(name)), good)
      end
    end)

    it("." .. name .. " can be negated", function()
      for _, form in ipairs({ "not_%s", "Not.%s", "is_not_%s", "is_not.%s", "is.Not.%s", "is.no.%s", "has_no.%s" }) do
        fails(form:format(name), good)
        passes(form:format(name), bad)
        fails(form:format(capital(name)), good)
      end
    end)

    it("." .. name .. " negated twice is itself", function()
      passes("is_not_not_" .. name, good)
      fails("is_not.no." .. name, bad)
    end)
  end

  it("is the plain assert, too", function()
    assert.same({ 1, nil, 3, n = 3 }, { n = select("#", assert(1, nil, 3)), assert(1, nil, 3) })
    assert.has_error(function() assert(false, "why") end, "why")
    assert.has_error(function() assert(nil) end, "assertion failed!")
    local reason = {}
    local _, err = pcall(assert, false, reason)
    assert.equal(reason, err)
  end)

  it("gives back its arguments", function()
    local a, b = assert.equal(1, 1)
    assert.equal(1, a)
    assert.equal(1, b)
    assert.equal("x", assert.is_string("x"))
  end)

  it("gives back the error, and what a pattern captured", function()
    assert.equal("boom", assert.has_error(raises))
    local key, value = assert.matches("(%w+)=(%w+)", "a=b")
    assert.same({ "a", "b" }, { key, value })
  end)

  it("chains are values", function()
    local is = assert.is
    is.True(true)
    is.False(false)
    local is_not = assert.is_not
    is_not.True(false)
    is_not.True(false)
  end)

  it("knows an unknown word", function()
    assert.has_error(function() assert.is_trve(true) end, "luassert: unknown modifier/assertion: 'is_trve'")
    assert.error_matches(function() assert.True.False_Hood(true) end, "unknown modifier/assertion: 'true_false_hood'", 1, true)
  end)

  it("says when arguments are missing or of a wrong type", function()
    assert.error_matches(function() assert.equal(1) end, "'equals' function requires a minimum of 2 arguments, got: 1")
    assert.error_matches(function() assert.is_true() end, "Passed in:\n(nil)\nExpected:\n(boolean) true", 1, true)
    assert.error_matches(function() assert.equal(1) end, "'equals' function requires a minimum of 2 arguments, got: 1")
    assert.error_matches(function() assert.near(1, "x", 1) end, "bad argument #2 to 'near'", 1, true)
    assert.error_matches(function() assert.has_error("no function") end, "function or callable object expected, got string")
  end)

  it("takes a message of one's own, last or as a modifier", function()
    assert.error_matches(function() assert.is_true(false, "my reason") end, "my reason\nExpected objects to be the same")
    assert.error_matches(function() assert.equal(1, 2, "my reason") end, "my reason")
    assert.error_matches(function() assert.message("my reason").equal(1, 2) end, "my reason")
    assert.error_matches(function() assert.message("my reason").is_not.equal(1, 1) end, "my reason")
    assert.error_matches(function() assert.has_error(function() end, nil, "my reason") end, "my reason")
    assert.error_matches(function() assert.matches("a", "b", "my reason") end, "my reason")
  end)

  it("finds holes in arrays", function()
    assert.array({ 1, 2, 3 }).has.no.holes()
    assert.array({ 1, nil, 3 }).has.holes()
    assert.array({ 1, 2 }).has.holes(3)
    assert.array({ 1, 2 }).has_no_holes(2)
    assert.error_matches(function() assert.array({ 1, nil, 3 }).has.no.holes() end, "hole found at position: %(number%) 2")
  end)

  it("unique looks into tables when told to", function()
    assert.unique({ { 1 }, { 1 } })
    assert.is_not.unique({ { 1 }, { 1 } }, true)
  end)

  it("matches from a position and plainly", function()
    assert.matches("b", "abc", 2)
    assert.does_not.match("a", "abc", 2)
    assert.matches("a.c", "xa.c", 1, true)
    assert.does_not.match("a.c", "abc", 1, true)
    assert.matches("%d+", 42)
    assert.has_error(function() assert.does_not.match("a", {}) end)
  end)

  it("errors are compared without their position, tables deeply", function()
    assert.has_error(function() error({ code = 1 }) end, { code = 1 })
    assert.has_no.errors(function() end)
    assert.has_error(function() error(nil) end)
    assert.is_not.error(function() error("a") end, "b")
    assert.has_error(function() error(setmetatable({}, { __tostring = function() return "text" end })) end, "text")
    assert.has_error(function() error("exact", 0) end, "exact")
  end)
end)

describe("same", function()
  it("sees through cycles", function()
    local a, b = { 1 }, { 1 }
    a.me, b.me = a, b
    assert.same(a, b)
    b.other = true
    assert.is_not.same(a, b)
  end)

  it("uses __eq inside tables, where both have it", function()
    local mt = { __eq = function(a, b) return a.id == b.id end }
    local function object(id, x) return setmetatable({ id = id, x = x }, mt) end
    assert.same({ object(1, 1) }, { object(1, 2) })
    assert.is_not.same({ object(1) }, { object(2) })
    assert.is_not.same(object(1, 1), object(1, 2)) -- of the two values themselves it looks at the contents
  end)

  it("is not fooled by missing or further keys", function()
    assert.is_not.same({ a = 1 }, {})
    assert.is_not.same({}, { a = 1 })
    assert.is_not.same({ 1, nil, 3 }, { 1, 2, 3 })
    assert.is_not.same({ false }, {})
  end)

  it("compares 64-bit integers by value", function() assert.same({ 1LL }, { 1LL }) end)
end)

describe("without a value", function()
  local function nothing() end

  it("nil is nil", function() assert.is_nil(nothing()) end)

  it("the others fail, they do not err", function()
    for _, name in ipairs({ "is_not_nil", "is_true", "is_false", "truthy", "falsy", "is_string", "equal", "same", "near",
      "matches", "unique", "has_error" }) do
      local ok, err = pcall(assert[name], nothing())
      assert.message(name).is_false(ok)
      assert.message(name).matches("assertions_spec.lua:%d+: ", tostring(err))
    end
    assert.has_error(function() assert.equal(nil, nothing()) end)
    assert.has_error(function() assert.same(nil, nothing()) end)
  end)
end)

describe("what a passing assertion returns", function()
  it("its arguments, captures or the error", function()
    assert.same({ "s", "n" }, { assert.matches("(s).*(n)", "string") })
    assert.same({ "tri" }, { assert.matches("tri", "string") })
    assert.same({ "no", "no" }, { assert.has_error(function() error("no") end, "no") })
    assert.same({ "er", "ror" }, { assert.error_matches(function() error("er ror") end, "(%w+) (%w+)") })
    assert.equal(5, (assert.has_no_error(function() return 5 end)))
    assert.equal(2, (assert.array({ 1, nil, 3 }).has.holes()))
  end)
end)

describe("a chain", function()
  it("has fillers, and takes modifiers anywhere", function()
    assert.is.a.string("x")
    assert.is_an.Error(error)
    assert.is_the.equal(1, 1)
    assert.equal.Not(1, 2)
  end)

  it("is shown whole when a word is unknown", function()
    assert.error_matches(function() assert.is_not_foo(1) end, "unknown modifier/assertion: 'is_not_foo'", 1, true)
    assert.error_matches(function() assert.foo.bar(1) end, "'foo_bar'", 1, true)
  end)

  it("is not changed by its use", function()
    local is_same = assert.is_same
    is_same({ 1 }, { 1 })
    assert.has_error(function() is_same({ 1 }, { 2 }) end)
    is_same({ 1 }, { 1 })
  end)
end)

describe("the library's modules", function()
  it("are required by name", function()
    for _, name in ipairs({ "array", "assert", "assertions", "compatibility", "formatters", "formatters.binarystring",
      "languages.en", "match", "matchers", "matchers.core", "matchers.composite", "mock", "modifiers", "namespaces",
      "spy", "state", "stub", "util" }) do
      assert.message(name).is_truthy(require("luassert." .. name))
    end
    assert.equal(assert, require("luassert"))
  end)

  it("util compares, copies and keeps lists of arguments", function()
    local util = require("luassert.util")
    local same, crumbs = util.deepcompare({ a = { b = { 1 } } }, { a = { b = { 2 } } })
    assert.is_false(same)
    assert.same({ 1, "b", "a" }, crumbs)
    local list = util.make_arglist("a", nil)
    assert.is_true(util.is_arglist(list))
    assert.equal("(values list) ((string) 'a', (nil))", assert:format({ list, n = 1 })[1])
    util.tinsert(list, 1, "b")
    assert.same({ "b", "a", nil, 3 }, { list[1], list[2], list[3], list.n })
    assert.equal("b", util.tremove(list, 1))
    util.cleararglist(list)
    assert.equal(0, list.n)
    assert.same({ "is", "not", "equal" }, util.extract_keys("assertion", { "is", "not", "equal" }))
    local copy = util.copyargs({ { 1 }, n = 1 })
    copy.refs[1][1] = 2
    assert.same({ 1 }, copy.vals[1])
    assert.is_truthy(util.matchargs({ copy }, { { 1 }, n = 1 }))
    assert.is_nil(util.matchargs({ copy }, { { 2 }, n = 1 }))
    local deep = { {} }
    assert.are_not.equal(deep[1], util.deepcopy(deep)[1])
    assert.equal(deep[1], util.shallowcopy(deep)[1])
    assert.is_true(util.hastostring("x"))
    assert.is_false(util.hastostring({}))
  end)

  it("state goes back level by level", function()
    local first = assert:snapshot()
    local second = assert:snapshot()
    assert.equal(second, first.next)
    assert.equal(first, second.previous)
    first:revert()
    assert.is_nil(first.previous.next)
  end)
end)
