-- The interface for extensions: events, kinds of blocks of one's own.

describe("busted", function()
  it("is a module, and a name in specs", function()
    assert.equal(busted, require("busted"))
    assert.is_function(require("busted.runner"))
    assert.is_function(busted.publish)
  end)

  it("publishes to the channel and its prefixes, in order", function()
    local seen = {}
    local subscriptions = {}
    for _, channel in ipairs({ { "own", "event" }, { "own" }, { "own", "other" } }) do
      table.insert(subscriptions, busted.subscribe(channel, function(value)
        seen[#seen + 1] = table.concat(channel, ".") .. " " .. value
      end))
    end
    table.insert(subscriptions, busted.subscribe({ "own", "event" }, function() seen[#seen + 1] = "first" end,
      { priority = 1 }))
    busted.publish({ "own", "event" }, "x")
    assert.same({ "first", "own.event x", "own x" }, seen)
    for _, each in ipairs(subscriptions) do busted.unsubscribe(each) end
    busted.publish({ "own", "event" }, "y")
    assert.equal(3, #seen)
  end)

  it("a subscriber may have a predicate, give results, and stop a message", function()
    local seen = 0
    local picky = busted.subscribe({ "picky" }, function() seen = seen + 1 end,
      { predicate = function(value) return value > 1 end })
    busted.publish({ "picky" }, 1)
    busted.publish({ "picky" }, 2)
    assert.equal(1, seen)
    busted.unsubscribe(picky)
    local a = busted.subscribe({ "stop" }, function() return "result", false end)
    local b = busted.subscribe({ "stop" }, function() seen = seen + 1 end)
    assert.same({ "result" }, busted.publish({ "stop" }))
    assert.equal(1, seen)
    busted.unsubscribe(a)
    busted.unsubscribe(b)
  end)

  it("says what is wrong with a call", function()
    assert.error_matches(function() busted.subscribe("name", print) end, "a channel is a table of names, got string")
    assert.error_matches(function() busted.register("x", "nosuch") end, "no kind 'nosuch'")
  end)
end)

describe("a registered kind", function()
  local ran = {}
  busted.register("scenario", function(element)
    ran[#ran + 1] = element.name
    busted.publish({ "test", "start" }, element, busted.parent(element))
    element.run()
    busted.publish({ "test", "end" }, element, busted.parent(element), "success")
  end)
  getfenv(1).scenario("of one's own", function() ran[#ran + 1] = "body" end)

  it("is executed in its place", function() assert.same({ "of one's own", "body" }, ran) end)
end)

describe("events", function()
  local seen = {}
  local subscriptions = {}

  setup(function()
    for _, name in ipairs({ "start", "end" }) do
      table.insert(subscriptions, busted.subscribe({ "test", name }, function(element, parent, status)
        seen[#seen + 1] = { name, element.name, parent.name, status }
      end))
    end
  end)

  teardown(function()
    for _, each in ipairs(subscriptions) do busted.unsubscribe(each) end
  end)

  it("tell of tests", function() end)

  it("with their status", function()
    assert.same({ { "start", "tell of tests", "events" }, { "end", "tell of tests", "events", "success" } },
      { seen[1], seen[2] })
  end)
end)
