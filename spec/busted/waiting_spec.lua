-- assert.eventually, and the assertions on a certain call.

local function message_of(f)
  local ok, err = pcall(f)
  assert(not ok, "a failure was expected")
  return tostring(err)
end

describe("assert.eventually", function()
  it("waits until a function returns what counts as true", function()
    local value
    mtev.coroutine_spawn(function()
      mtev.sleep(0.02)
      value = "here"
    end)
    assert.equal("here", assert.eventually(function() return value end, 10))
  end)

  it("waits until a function stops failing", function()
    local n = 0
    assert.eventually(function()
      n = n + 1
      assert.equal(3, n)
    end, 10)
    assert.equal(3, n)
  end)

  it("shows the last failure", function()
    local text = message_of(function() assert.eventually(function() assert.equal(1, 2) end, 0.02) end)
    assert.matches("Expected to come true within 0.02 s.  The last of %d+ tries:\n.*Expected objects to be equal", text)
    text = message_of(function() assert.eventually(function() return nil, "reason" end, 0.01) end)
    assert.matches("within 0.01 s.  The last of %d+ tries:\n%(values list%) %(%(nil%), %(string%) 'reason'%)$", text)
    text = message_of(function() assert.eventually(function() return false end, 0) end)
    assert.matches("within 0 s.  The last of 1 tries:\n(boolean) false", text, 1, true)
    assert.matches("mine\n", message_of(function() assert.eventually(function() return false end, 0.01, "mine") end))
  end)

  it("can be negated, and needs a function", function()
    assert.is_not.eventually(function() return false end, 0.01)
    assert.matches("at try 1", message_of(function() assert.is_not.eventually(function() return 1 end, 0.01) end))
    assert.has_error(function() assert.eventually(1) end)
    assert.matches("#2 to 'eventually' (number of seconds, at least 0 expected",
      message_of(function() assert.eventually(print, -1) end), 1, true)
    assert.matches("#2", message_of(function() assert.eventually(print, 0 / 0) end), 1, true)
  end)
end)

describe("a certain call", function()
  local s
  before_each(function()
    s = spy.new(function(x) return x * 2 end)
    s(1)
    s(2)
  end)

  it("is looked at by its number", function()
    assert.spy(s).nth_called_with(1, 1)
    assert.spy(s).nth_called_with(-1, match.is_number())
    assert.spy(s).was_not.nth_called_with(1, 2)
    assert.spy(s).nth_returned_with(2, 4)
    assert.spy(s).last_called_with(2)
    assert.spy(s).last_returned_with(4)
    assert.spy(s).was_not.nth_called_with(3, 1)
  end)

  it("is shown when it was another", function()
    assert.matches("Call 2 of 2 had other arguments.\nCalled with:\n(values list) ((number) 2)\nExpected:\n"
      .. "(values list) ((number) 7)", message_of(function() assert.spy(s).nth_called_with(2, 7) end), 1, true)
    assert.matches("Call 5 of 2 had other arguments.\nCalled with:\n(nil)",
      message_of(function() assert.spy(s).nth_called_with(5, 7) end), 1, true)
    assert.matches("returned something else", message_of(function() assert.spy(s).last_returned_with(7) end))
  end)
end)
