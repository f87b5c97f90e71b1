-- contract: Logs; The program (print, mtev.print, mtev.printto)

local function fresh() return "spec/" .. mtev.uuid() end

describe("mtev.log", function()
  it("returns nothing, for enabled and disabled streams alike", function()
    local name = fresh()
    assert.are.equal(0, select("#", mtev.log(name, "")))
    mtev.enable_log(name, false)
    assert.are.equal(0, select("#", mtev.log(name, "")))
  end)

  it("creates an unknown stream with its parent as outlet", function()
    local parent = fresh()
    mtev.enable_log(parent, false)
    assert.is_false(mtev.log_enabled(parent .. "/child"), "the parent leads nowhere, so the child does not either")
    assert.is_true(mtev.log_enabled("error/" .. mtev.uuid()))
    assert.is_false(mtev.log_enabled("debug/" .. mtev.uuid()))
  end)

  it("formats, with nil, booleans and objects as %s", function()
    mtev.enable_log("error", false) -- formatted only when enabled
    assert.has_no.errors(function() mtev.log("error/quiet", "%d") end)
    mtev.enable_log("error")
    mtev.log("error", "%s%s%s%.0s%.0s", "", "", "", nil, true)
    mtev.log("error", "%.0s", setmetatable({}, { __tostring = function() return "object" end }))
  end)

  it("raises for a missing argument, a format that does not fit and a name that is none", function()
    assert.has_error(function() mtev.log("error", "%s") end)
    assert.has_error(function() mtev.log("error", "%d", "x") end)
    assert.has_error(function() mtev.log("error") end)
    assert.has_error(function() mtev.log(nil, "text") end)
    assert.has_error(function() mtev.log({}, "text") end)
  end)
end)

describe("mtev.enable_log and mtev.log_enabled", function()
  it("turn a stream off and on, and all that leads to it", function()
    local child = "error/" .. mtev.uuid()
    assert.is_true(mtev.log_enabled(child))
    mtev.enable_log(child, false)
    assert.is_false(mtev.log_enabled(child))
    assert.is_true(mtev.log_enabled("error"))
    mtev.enable_log(child)
    assert.is_true(mtev.log_enabled(child))
    mtev.enable_log("error", false)
    assert.is_false(mtev.log_enabled(child))
    mtev.enable_log("error", true)
    assert.is_true(mtev.log_enabled(child))
  end)

  it("need a name", function()
    for _, f in ipairs({ mtev.log, mtev.log_enabled, mtev.enable_log, mtev.printto }) do
      assert.error_matches(function() f("", "x") end, "log_spec.lua:%d+: bad argument #1 to '[%w_]+' %(log stream name expected, got an empty one%)")
    end
    assert.has_error(function() mtev.log_enabled() end)
    assert.has_error(function() mtev.enable_log(7) end)
  end)
end)

describe("A format that its arguments do not fit", function()
  for name, f in pairs({ log = function(...) mtev.log("error", ...) end, printf = function(...) printf(...) end }) do
    it("is an error of who calls " .. name, function()
      local position = name == "log" and 3 or 2
      assert.error_matches(function() f("%d\n", "x") end,
        "log_spec.lua:%d+: bad argument #" .. position .. " to '" .. name .. "' %(number expected, got string%)")
      assert.error_matches(function() f("%y\n") end, "log_spec.lua:%d+: invalid option '%%y' to 'format'")
    end)
  end

  it("is an error of who calls errorf, and no text of theirs", function()
    assert.error_matches(function() errorf("%d", {}) end,
      "log_spec.lua:%d+: bad argument #2 to 'errorf' %(number expected, got table%)")
  end)
end)

describe("mtev.print", function()
  it("is the global print", function() assert.are.equal(print, mtev.print) end)

  it("goes where mtev.printto says", function()
    local silent = fresh()
    assert.are.equal(0, select("#", mtev.printto(silent)))
    print("into a stream that leads nowhere", nil, {})
    mtev.printto("stdout")
    assert.has_error(function() mtev.printto() end)
  end)
end)
