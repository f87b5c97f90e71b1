-- What a failure says: values, differences, places; and the ways to change it.

local say = require("say")

local function message_of(f, ...)
  local ok, err = pcall(f, ...)
  assert(not ok, "a failure was expected")
  return tostring(err)
end

describe("a failure", function()
  it("names the line that failed", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local text = message_of(function() assert.equal(1, 2) end)
    assert.matches("messages_spec.lua:" .. line .. ": Expected objects to be equal", text, 1, true)
  end)

  it("can blame the caller", function()
    local function check(value) assert.is_true(value, assert:level(2)) end
    local line = debug.getinfo(1, "l").currentline + 1
    local text = message_of(function() check(false) end)
    assert.matches(":" .. line .. ": ", text, 1, true)
  end)

  it("shows values with their types", function()
    assert.matches("Passed in:\n(string) '1'\nExpected:\n(number) 1", message_of(assert.equal, 1, "1"), 1, true)
    assert.matches("(nil)", message_of(assert.is_true, nil), 1, true)
    assert.matches("(boolean) false", message_of(assert.is_true, false), 1, true)
    assert.matches("function: ", message_of(assert.is_true, print), 1, true)
    assert.matches("(number) 0.3000000000000000444", message_of(assert.equal, 0.3, 0.1 + 0.2), 1, true)
    assert.matches("'a\\0b'", message_of(assert.is_nil, "a\0b"), 1, true)
  end)

  it("marks the entry that differs and lists the differences", function()
    local text = message_of(assert.same, { a = 1, b = { 2, 3 } }, { a = 1, b = { 2, 4 } })
    assert.matches("*[b] = {", text, 1, true)
    assert.matches("*[2] = 4", text, 1, true)
    text = message_of(assert.same, { a = 1, b = { 2, 3 }, gone = 1 }, { a = 1, b = { 2, 4 }, more = true })
    assert.matches("  .b[2]: expected 3, got 4\n", text, 1, true)
    assert.matches("  .gone: missing, expected 1\n", text, 1, true)
    assert.matches("  .more: not expected, got true", text, 1, true)
  end)

  it("tells of a pair of tables once, however often it is met", function()
    local function pair(x)
      local inner = { x = x }
      local outer = { inner, { again = inner }, same = 1 }
      inner.up, outer.me = outer, outer
      return outer
    end
    local text = message_of(assert.same, pair(1), pair(2))
    assert.equal("Difference:\n  [1].x: expected 1, got 2\n  [2].again: differs as [1] does", text:match("Difference:.*"))
    local a, b = { next = { next = {} } }, { next = {} }
    a.next.next.next, b.next.next = a, b
    a.next.x = 1
    assert.matches("  .next.x: missing, expected 1", message_of(assert.same, a, b), 1, true)
    assert.same(pair(1), pair(1))
  end)

  it("finds where long strings differ", function()
    local a = ("line\n"):rep(20) .. "tail of a"
    local b = ("line\n"):rep(20) .. "tail of b"
    assert.matches("differ from line 21, column 9", message_of(assert.equal, a, b), 1, true)
  end)

  it("survives values that cannot be shown", function()
    local bad = setmetatable({}, { __tostring = function() error("no") end })
    assert.matches("whose tostring fails", message_of(assert.is_nil, bad))
    local loop = {}
    loop.loop = loop
    assert.matches("recursive", message_of(assert.is_nil, loop))
    assert.matches("... more", message_of(assert.is_nil, { { { { {} , 1 } } } }), 1, true)
  end)
end)

describe("parameters and formatters", function()
  local snapshot
  before_each(function() snapshot = assert:snapshot() end)
  after_each(function() snapshot:revert() end)

  it("limit the levels of tables", function()
    assert.equal(3, assert:get_parameter("TableFormatLevel"))
    assert:set_parameter("TableFormatLevel", 1)
    assert.matches("[a] = { ... more }", message_of(assert.is_nil, { a = { b = 1 } }), 1, true)
  end)

  it("change the mark of a difference", function()
    assert:set_parameter("TableErrorHighlightCharacter", "!")
    assert.matches("![a] = 2", message_of(assert.same, { a = 1 }, { a = 2 }), 1, true)
  end)

  it("a formatter shows what it knows", function()
    local function formatter(value)
      if type(value) == "table" and value.id then return "<object " .. value.id .. ">" end
    end
    assert:add_formatter(formatter)
    assert.matches("<object 7>", message_of(assert.is_nil, { id = 7 }), 1, true)
    assert.matches(") {", message_of(assert.is_nil, { 1 }), 1, true)
    assert:remove_formatter(formatter)
    assert.matches(") {", message_of(assert.is_nil, { id = 7 }), 1, true)
  end)

  it("are put back by a snapshot", function()
    assert.matches(") {", message_of(assert.is_nil, { id = 7 }), 1, true)
    assert.equal(3, assert:get_parameter("TableFormatLevel"))
  end)
end)

describe("custom assertions", function()
  local function has_property(_, arguments)
    local name, object = arguments[1], arguments[2]
    for key in pairs(object) do
      if key == name then return true end
    end
    return false
  end

  setup(function()
    say:set("assertion.has_property.positive", "Expected property %s in:\n%s")
    say:set("assertion.has_property.negative", "Expected property %s to not be in:\n%s")
    assert:register("assertion", "has_property", has_property, "assertion.has_property.positive",
      "assertion.has_property.negative")
  end)

  teardown(function() assert:unregister("assertion", "has_property") end)

  it("work in every spelling", function()
    assert.has_property("name", { name = "jack" })
    assert.Has_Property("name", { name = "jack" })
    assert.does_not.has_property("name", {})
    assert.has.no.has_property("name", {})
  end)

  it("fail with the messages they were registered with", function()
    assert.matches("Expected property (string) 'name' in:\n(table: ", message_of(assert.has_property, "name", { 1 }),
      1, true)
    assert.matches("to not be in", message_of(assert.Not.has_property, "a", { a = 1 }))
  end)

  it("can add modifiers", function()
    assert:register("modifier", "item", function(state, arguments) state.payload = arguments[1] end)
    assert:register("assertion", "big", function(state) return state.payload > 10 end)
    assert.item(11).is.big()
    assert.item(9).is_not.big()
    assert.matches("'big' failed", message_of(function() assert.item(9).is.big() end))
    assert:unregister("modifier", "item")
    assert:unregister("assertion", "big")
    assert.has_error(function() assert.item(1).is.big() end)
  end)

  it("refuse what cannot be registered", function()
    assert.error_matches(function() assert:register("asertion", "x", print) end, "unknown namespace 'asertion'")
    assert.error_matches(function() assert:register("assertion", "x", 1) end, "'x' needs a function")
  end)
end)

describe("say", function()
  after_each(function() say:set_namespace("en") end)

  it("fills in values, nil included", function()
    say:set("greeting", "%s and %s, 100%%")
    assert.equal("a and nil, 100%", say("greeting", { "a", nil, n = 2 }))
    assert.equal("a and b, 100%", say("greeting", "a", "b"))
  end)

  it("has namespaces and falls back to the first", function()
    say:set("only.english", "hello")
    say:set_namespace("fr")
    say:set("farewell", "au revoir")
    assert.equal("au revoir", say("farewell"))
    assert.equal("hello", say("only.english"))
    assert.is_nil(say("nowhere"))
  end)

  it("takes functions", function()
    say:set("counted", function(values) return values[1] == 1 and "one" or "many" end)
    assert.equal("many", say("counted", { 2 }))
  end)
end)
