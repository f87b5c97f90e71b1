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
    assert.has_error(function() assert.is_trve(true) end, "luassert: unknown modifier/assertion: 'trve'")
    assert.error_matches(function() assert.True.False(true) end, "unknown modifier/assertion: 'true_false'", 1, true)
  end)

  it("says when arguments are missing or of a wrong type", function()
    assert.error_matches(function() assert.equal(1) end, "'equals' function requires a minimum of 2 arguments, got: 1")
    assert.error_matches(function() assert.is_true() end, "'true' function requires a minimum of 1 arguments, got: 0")
    assert.error_matches(function() assert.near(1, "x", 1) end, "bad argument #2 to 'near'", 1, true)
    assert.error_matches(function() assert.has_error("no function") end, "function expected, got string")
  end)

  it("takes a message of one's own, last or as a modifier", function()
    assert.error_matches(function() assert.is_true(false, "my reason") end, "my reason\nExpected to be true")
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
    assert.error_matches(function() assert.array({ 1, nil, 3 }).has.no.holes() end, "hole found at position: 2")
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
    assert.does_not.match("a", {})
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

  it("uses __eq where both have it", function()
    local mt = { __eq = function(a, b) return a.id == b.id end }
    assert.same(setmetatable({ id = 1, x = 1 }, mt), setmetatable({ id = 1, x = 2 }, mt))
    assert.is_not.same(setmetatable({ id = 1 }, mt), setmetatable({ id = 2 }, mt))
  end)

  it("is not fooled by missing or further keys", function()
    assert.is_not.same({ a = 1 }, {})
    assert.is_not.same({}, { a = 1 })
    assert.is_not.same({ 1, nil, 3 }, { 1, 2, 3 })
    assert.is_not.same({ false }, {})
  end)

  it("compares 64-bit integers by value", function() assert.same({ 1LL }, { 1LL }) end)
end)
