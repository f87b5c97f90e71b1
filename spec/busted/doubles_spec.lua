-- Spies, stubs, mocks, matchers and snapshots.

local function message_of(f, ...)
  local ok, err = pcall(f, ...)
  assert(not ok, "a failure was expected")
  return tostring(err)
end

describe("a spy", function()
  local object

  before_each(function() object = { add = function(a, b) return a + b, "sum" end } end)

  it("calls through and remembers", function()
    local s = spy.on(object, "add")
    assert.same({ 3, "sum" }, { object.add(1, 2) })
    assert.spy(s).was.called()
    assert.spy(s).was_called(1)
    assert.spy(object.add).was.called_with(1, 2)
    assert.spy(s).was_not.called_with(2, 1)
    assert.spy(s).was.returned_with(3, "sum")
    assert.spy(s).was_not.returned_with(3)
    assert.equal(1, s.calls[1].vals[1])
    assert.equal(3, s.returnvals[1].vals[1])
    assert.is_true(spy.is_spy(s))
    assert.is_false(spy.is_spy(object))
  end)

  it("counts", function()
    local s = spy.new(function() end)
    assert.spy(s).was_not.called()
    assert.spy(s).called(0)
    s()
    s()
    assert.spy(s).was.called(2)
    assert.spy(s).was_not.called(1)
    assert.spy(s).called_at_least(2)
    assert.spy(s).was_not.called_at_least(3)
    assert.spy(s).called_at_most(2)
    assert.spy(s).was_not.called_at_most(1)
    assert.spy(s).called_more_than(1)
    assert.spy(s).was_not_called_more_than(2)
    assert.spy(s).called_less_than(3)
    assert.spy(s).was.Not.called_less_than(2)
    s:clear()
    assert.spy(s).was_not_called()
  end)

  it("remembers arguments as they were", function()
    local s = spy.new(function() end)
    local t = { 1 }
    s(t, nil)
    t[1] = 2
    assert.spy(s).was.called_with({ 1 }, nil)
    assert.spy(s).was_not.called_with(t, nil)
    assert.spy(s).was_not.called_with({ 3 }, nil)
    assert.spy(s).was_not.called_with({ 1 })
    assert.spy(s).was.called_with(match.is_ref(t), nil)
    assert.spy(s).was_not.called_with(match.is_ref({ 1 }), nil)
  end)

  it("is reverted", function()
    local original = object.add
    local s = spy.on(object, "add")
    assert.are_not.equal(original, object.add)
    s:revert()
    assert.equal(original, object.add)
  end)

  it("says what it saw", function()
    local s = spy.new(function() end)
    s(1, "x")
    assert.matches("Expected to be called 2 time(s), but was called 1 time(s)",
      message_of(function() assert.spy(s).was.called(2) end), 1, true)
    local text = message_of(function() assert.spy(s).was.called_with(2) end)
    assert.matches("((number) 1, (string) 'x')", text, 1, true)
    assert.matches("Expected:\n(values list) ((number) 2)", text, 1, true)
  end)

  it("refuses what cannot be called", function()
    assert.has_error(function() spy.new(1) end)
    assert.error_matches(function() spy.on({ x = 1 }, "x") end, "Cannot spy on 'x'")
    assert.error_matches(function() assert.spy({}).was.called() end, "'called' must be chained after 'spy(aspy)'", 1, true)
    assert.error_matches(function() assert.was.called() end, "must be chained after 'spy(aspy)'", 1, true)
  end)

  it("works across a suspension", function()
    local s = spy.new(function() mtev.sleep(0) return "late" end)
    assert.equal("late", s())
    assert.spy(s).was.returned_with("late")
  end)
end)

describe("a stub", function()
  local object
  before_each(function() object = { get = function() return "real" end } end)

  it("does nothing, and can be reverted", function()
    local s = stub(object, "get")
    assert.equal(0, select("#", object.get()))
    assert.stub(s).was.called(1)
    assert.spy(s).was.called_with()
    s:revert()
    assert.equal("real", object.get())
  end)

  it("returns what it is told", function()
    stub(object, "get", 1, nil, 3)
    assert.same({ n = 3, 1, nil, 3 }, { n = select("#", object.get()), object.get() })
    object.get.returns("two")
    assert.equal("two", object.get())
    object.get.invokes(function(x) return x * 2 end)
    assert.equal(8, object.get(4))
  end)

  it("answers by arguments", function()
    local s = stub.new(object, "get")
    s.by_default.returns("default")
    s.on_call_with(1).returns("one")
    s.on_call_with(match.is_string()).invokes(function(x) return "text " .. x end)
    assert.equal("one", s(1))
    assert.equal("text a", s("a"))
    assert.equal("default", s(2))
    assert.equal("default", s())
    s.by_default.invokes(function() return "invoked" end)
    assert.equal("invoked", s())
  end)

  it("stands alone", function()
    local s = stub.new().returns(5)
    assert.equal(5, s())
  end)

  it("can take the place of nothing", function()
    local s = stub(object, "new_one")
    object.new_one()
    s:revert()
    assert.is_nil(object.new_one)
  end)
end)

describe("a mock", function()
  it("spies on every function, deep down", function()
    local t = mock({ a = function() return 1 end, inner = { b = function() return 2 end }, value = 3 })
    assert.equal(1, t.a())
    assert.equal(2, t.inner.b())
    assert.spy(t.a).was.called(1)
    assert.spy(t.inner.b).was.called(1)
    mock.clear(t)
    assert.spy(t.a).was_not.called()
    mock.revert(t)
    assert.is_function(t.a)
    assert.equal(3, t.value)
  end)

  it("stubs when told to", function()
    local called = 0
    local t = { a = function() called = called + 1 end }
    t.self = t
    mock(t, true)
    t.a()
    assert.equal(0, called)
    assert.stub(t.a).was.called()
    mock.revert(t)
    t.a()
    assert.equal(1, called)
  end)
end)

describe("a matcher", function()
  local fits = {
    { "is_nil", {}, nil, 1 }, { "is_true", {}, true, 1 }, { "is_false", {}, false, 1 }, { "is_truthy", {}, 1, false },
    { "is_falsy", {}, false, 1 }, { "is_number", {}, 1, "1" }, { "is_string", {}, "1", 1 }, { "is_table", {}, {}, 1 },
    { "is_boolean", {}, true, 1 }, { "is_function", {}, print, 1 }, { "is_userdata", {}, io.stdout, 1 },
    { "is_thread", {}, coroutine.create(print), 1 }, { "is_equal", { 1 }, 1, 2 },
    { "is_same", { { 1 } }, { 1 }, { 2 } },
    { "near", { 1, 0.5 }, 1.5, 2 }, { "is_near", { 1, 0.5 }, 1, 2 }, { "matches", { "^a" }, "ab", "ba" },
    { "has_match", { "%d" }, "a1", "a" }, { "is_unique", {}, { 1, 2 }, { 1, 1 } },
    { "has_error", { "x" }, function() error("x", 0) end, print },
  }

  it("fits or not, and can be negated", function()
    for _, case in ipairs(fits) do
      local name, arguments, good, bad = unpack(case, 1, 4)
      assert.message(name).is_true(match[name](unpack(arguments))(good))
      assert.message(name).is_false(match[name](unpack(arguments))(bad))
      local bare = name:gsub("^is_", ""):gsub("^has_", "")
      assert.message(name).is_false(match.is_not[bare](unpack(arguments))(good))
      assert.message(name).is_true(match["is_not_" .. bare](unpack(arguments))(bad))
    end
    assert.is_true(match._(nil))
    assert.is_true(match._(1))
  end)

  it("is combined", function()
    local both = match.is_all_of(match.is_string(), match.matches("a"))
    assert.is_true(both("a"))
    assert.is_false(both("b"))
    assert.is_true(match.is_any_of(match.is_nil(), match.is_number())(1))
    assert.is_true(match.is_none_of(match.is_nil(), match.is_number())("x"))
    assert.error_matches(function() match.is_all_of(1) end, "bad argument #1 to 'all_of' %(matcher expected, got number%)")
  end)

  it("takes the place of an argument, also inside tables", function()
    local s = spy.new(function() end)
    s("name", { id = 5, tag = "x" })
    assert.spy(s).was.called_with(match._, match.is_table())
    assert.spy(s).was.called_with(match.is_not_number(), { id = match.is_number(), tag = "x" })
    assert.spy(s).was_not.called_with(match._, match.is_string())
  end)

  it("can be added", function()
    assert:register("matcher", "even", function(_, arguments)
      return function(value) return value % 2 == (arguments[1] or 0) end
    end)
    assert.is_true(match.is_even()(4))
    assert.is_true(match.is_not_even()(3))
    assert.is_true(match.is_even(1)(3))
    assert:unregister("matcher", "even")
    assert.error_matches(function() return match.is_even() end, "unknown modifier/matcher: 'is_even'")
  end)

  it("knows itself", function()
    assert.is_true(match.is_matcher(match._))
    assert.is_false(match.is_matcher(print))
    assert.equal("is.near(1, 2)", tostring(match.is_near(1, 2)))
  end)
end)

describe("a snapshot", function()
  it("takes back spies, stubs and later snapshots", function()
    local t = { a = function() return "a" end, b = function() return "b" end }
    local a, b = t.a, t.b
    local first = assert:snapshot()
    spy.on(t, "a")
    local second = assert:snapshot()
    stub(t, "b")
    first:revert()
    assert.equal(a, t.a)
    assert.equal(b, t.b)
    second:revert()
    assert.equal(b, t.b)
  end)

  it("leaves alone what came before", function()
    local t = { a = function() end }
    local s = spy.on(t, "a")
    assert:snapshot():revert()
    assert.equal(s, t.a)
  end)
end)
