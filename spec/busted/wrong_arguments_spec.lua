-- Assertions, doubles and the runner's own functions refuse arguments that they cannot take, with the line of the spec.

local called = spy.new(function(x) return x end)
called(1)

local WHOLE, TIMES = "whole number other than 0 expected", "whole number, at least 0 expected"

local refused = {
  { "nth_called_with", WHOLE, { 0, 1.5, 0 / 0, 1 / 0, "1", "x", true, {} },
    function(n) assert.spy(called).nth_called_with(n, 1) end },
  { "nth_called_with", WHOLE, { 0, 0.5 }, function(n) assert.spy(called).was_not.nth_called_with(n, 1) end },
  { "nth_returned_with", WHOLE, { 0, -0.5, false }, function(n) assert.spy(called).nth_returned_with(n, 1) end },
  { "called", TIMES, { -1, 0.5, 0 / 0, 1 / 0, "1", {}, false }, function(n) assert.spy(called).called(n) end },
  { "called", TIMES, { -1, {} }, function(n) assert.spy(called).was_not.called(n) end },
  { "called_at_least", TIMES, { -1, 0.5 }, function(n) assert.spy(called).called_at_least(n) end },
  { "called_at_most", TIMES, { -1, 0 / 0 }, function(n) assert.spy(called).called_at_most(n) end },
  { "called_more_than", TIMES, { -1, 1 / 0 }, function(n) assert.spy(called).called_more_than(n) end },
  { "called_less_than", TIMES, { -1, 1.5 }, function(n) assert.spy(called).called_less_than(n) end },
  { "returned_arguments", TIMES, { -1, 1.5, "1", {} }, function(n) assert.returned_arguments(n, 1) end },
  { "near", "number, at least 0 expected", { -1, 0 / 0 }, function(n) assert.near(1, 1, n) end },
  { "near", "number, at least 0 expected", { -1, 0 / 0 }, function(n) assert.is_not.near(1, 1, n) end },
  { "near", "number, at least 0 expected", { -1, 0 / 0 }, function(n) match.near(1, n) end },
  { "matches", "pattern expected", { "[", "%" }, function(p) assert.matches(p, "x") end },
  { "matches", "pattern expected", { "[", "%" }, function(p) assert.does_not.match(p, "x") end },
  { "matches", "pattern expected", { "[", "%" }, function(p) match.matches(p) end },
  { "matches", "number expected", { 0 / 0 }, function(init) assert.matches("x", "x", init) end },
  { "error_matches", "pattern expected", { "[", "%" }, function(p) assert.has_no.error_match(function() end, p) end },
  { "matches_snapshot", "name expected", { "", {}, true, print }, function(name) assert.matches_snapshot(1, name) end },
  { "eventually", "number", { -1, 0 / 0, "x", {} }, function(n) assert.eventually(function() return 1 end, n) end },
  { "start_child", "table expected", { 1, "x" }, function(props) start_child(props) end },
  { "start_child", "path or argv expected", { {} }, function(props) start_child(props) end },
  { "kill_child", "what start_child gave expected", { 1, {} }, function(child) kill_child(child) end },
  { "set_api_port", "port expected", { 0, 65536, 1 / 0, "x" }, function(port) set_api_port(port) end },
  { "set_api_host", "host expected", { 1, {} }, function(host) set_api_host(host) end },
}

local HERE = debug.getinfo(1, "S").source:match("([^/]*)$")

for _, each in ipairs(refused) do
  local name, expected, values, f = unpack(each)
  it(name .. " takes a " .. expected, function()
    for _, value in ipairs(values) do
      local ok, err = pcall(f, value)
      assert.is_false(ok, name .. " took " .. tostring(value))
      assert.matches(HERE .. ":%d+: bad argument #%d to '" .. name .. "' %(", tostring(err))
      assert.matches(expected, tostring(err), 1, true)
    end
  end)
end

it("what is right is taken", function()
  assert.spy(called).nth_called_with(-1, 1)
  assert.spy(called).called(1)
  assert.spy(called).called_at_most(1)
  assert.near(1, 1, "0")
  assert.matches("[", "[", 1, true)
  assert.error_matches(function() error("a [") end, "[", 1, true)
  assert.eventually(function() return 1 end, "1")
end)

it("spy.on takes a key", function()
  assert.has_error(function() spy.on({}, nil) end, "spy.on: a key of the table is expected, got nil")
end)

it("what is not registered cannot be taken away", function()
  assert.has_error(function() assert:unregister("x", "y") end, "luassert: unknown namespace 'x'")
  assert.has_error(function() assert:unregister("assertion") end, "luassert: the name to unregister must be a string")
end)

describe("randomize", function()
  it("takes a seed", function()
    local randomize = randomize
    assert.has_error(function() randomize("x") end)
  end)
end)
