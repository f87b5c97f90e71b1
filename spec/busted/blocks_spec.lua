-- Blocks, hooks and their order, `finally`, insulation, and the globals a test sees.

local log = {}
local function note(text) return function() log[#log + 1] = text end end

describe("hooks", function()
  describe("run in order", function()
    lazy_setup(note("setup 1"))
    setup(note("setup 2"))
    teardown(note("teardown"))
    before_each(note("before 1"))
    before_each(note("before 2"))
    after_each(note("after"))

    describe("inside", function()
      strict_setup(note("inner strict_setup"))
      setup(note("inner setup"))
      teardown(note("inner teardown"))
      strict_teardown(note("inner strict_teardown"))
      before_each(note("inner before"))
      after_each(note("inner after 1"))
      after_each(note("inner after 2"))

      it("one", function()
        finally(note("finally"))
        note("body")()
      end)
      it("two", note("body"))
    end)

    describe("without a test", function()
      setup(note("never"))
      teardown(note("never"))
      strict_setup(note("strict"))
    end)
  end)

  it("as documented", function()
    assert.same({
      "inner strict_setup", "setup 1", "setup 2", "inner setup",
      "before 1", "before 2", "inner before", "body", "finally", "inner after 1", "inner after 2", "after",
      "before 1", "before 2", "inner before", "body", "inner after 1", "inner after 2", "after",
      "inner teardown", "inner strict_teardown", "strict", "teardown",
    }, log)
  end)
end)

describe("names", function()
  it("of blocks and tests have other spellings", function()
    for name, publisher in pairs({ context = context, spec = spec, test = test, setup = setup, teardown = teardown }) do
      assert.has_error(publisher, ("'%s' not supported inside current context block"):format(name))
    end
  end)

  it("are not globals", function()
    for _, name in ipairs({ "describe", "it", "spy", "stub", "mock", "match", "pending", "finally", "busted" }) do
      assert.message(name).is_nil(rawget(_G, name))
    end
    assert.is_function(rawget(_G, "assert"))
  end)

  it("cannot be used where they make no sense", function()
    local env = getfenv(1)
    for _, name in ipairs({ "describe", "it", "insulate", "before_each", "setup", "teardown", "randomize" }) do
      assert.error_matches(function() env[name]("x", function() end) end, "not supported inside current context")
    end
  end)

  pending("stay pending", function() error("never run") end)
  it("can be pending without a body")
  it("may be decided inside", function() pending("for a reason") error("never reached") end)
end)

describe("globals", function()
  outside = "block"

  before_each(function() from_hook = (from_hook or 0) + 1 end)

  it("assigned in a block are seen in its tests", function() assert.equal("block", outside) end)

  it("assigned in a test end with it", function()
    inside_test = true
    outside = "changed"
    assert.is_true(inside_test)
    assert.equal("changed", outside)
  end)

  it("are unknown to the next", function()
    assert.is_nil(inside_test)
    assert.equal("block", outside)
  end)

  it("assigned in a hook belong to the block", function() assert.equal(4, from_hook) end)

  describe("in an inner block", function()
    it("are inherited", function() assert.equal("block", outside) end)
  end)
end)

it("globals of another block are unknown", function()
  assert.is_nil(outside)
  assert.is_nil(from_hook)
end)

describe("insulation", function()
  insulate("keeps _G and package.loaded", function()
    it("from changes", function()
      _G.leaked = true
      package.loaded["a.module"] = {}
      string.leaked_too = nil
      assert.is_true(leaked)
    end)
    it("until its end", function() assert.is_true(leaked) end)
  end)

  it("so nothing is left", function()
    assert.is_nil(_G.leaked)
    assert.is_nil(package.loaded["a.module"])
  end)

  describe("is not what describe does:", function()
    it("changes stay", function() _G.leaked_by_describe = 1 end)
  end)

  it("until the file ends", function()
    assert.equal(1, _G.leaked_by_describe)
    _G.leaked_by_describe = nil
  end)

  insulate("of a block around an expose block", function()
    expose("lets through", function()
      _G.exposed = "yes"
      two_levels_out = "yes"
    end)
  end)

  it("ends two levels out", function()
    assert.equal("yes", _G.exposed)
    _G.exposed = nil
    assert.equal("yes", two_levels_out)
  end)
end)

expose("an exposed block", function()
  _G.exposed_by_file = "blocks_spec"
  package.loaded["exposed.module"] = { 1 }
end)

describe("a test", function()
  local co
  before_each(function() co = coroutine.running() end)
  after_each(function() assert.equal(co, coroutine.running()) end)

  it("shares its coroutine with its hooks", function()
    finally(function() assert.equal(co, coroutine.running()) end)
    assert.equal(co, coroutine.running())
  end)

  it("may suspend", function()
    local slept = mtev.sleep(0.001)
    assert.is_not_nil(slept)
    mtev.coroutine_spawn(function()
      mtev.sleep(0)
      mtev.notify("blocks_spec", 5)
    end)
    local _, value = mtev.waitfor("blocks_spec", 1)
    assert.equal(5, value)
  end)

  it("may suspend inside pcall and a coroutine of its own", function()
    local f = coroutine.wrap(function()
      assert.is_true(pcall(mtev.sleep, 0.001))
      coroutine.yield("first")
      mtev.sleep(0.001)
      return "second"
    end)
    assert.equal("first", f())
    assert.equal("second", f())
  end)
end)

describe("setup", function()
  local value
  setup(function()
    mtev.sleep(0.001)
    value = 1
  end)
  teardown(function() mtev.sleep(0) end)
  it("may suspend, too", function() assert.equal(1, value) end)
end)
