-- The assertions on values, types, texts and errors.

local use = ...
local checks = use("luassert/checks")
local compare = use("luassert/compare")
local diff = use("luassert/diff")
local register = checks.register

-- Values --------------------------------------------------------------------------------------------------------------

-- Messages show what came before what was expected; a passing assertion returns its arguments as they were.
local function shown(state, arguments, passed)
  if passed == state.mod then return passed end
  local expected, actual = arguments[1], arguments[2]
  arguments.difference = state.mod and diff.describe(actual, expected) or nil
  arguments[1], arguments[2], arguments.n = actual, expected, 2
  return passed
end

register({ "same" }, function(state, arguments)
  checks.count(arguments, "same", 2)
  checks.message(state, arguments, 3)
  local same, path = compare.same(arguments[1], arguments[2], true)
  arguments.fmtargs = { { path = path }, { path = path } }
  return shown(state, arguments, same)
end)

register({ "equals", "equal" }, function(state, arguments)
  checks.count(arguments, "equals", 2)
  checks.message(state, arguments, 3)
  return shown(state, arguments, compare.equal(arguments[1], arguments[2]))
end)

register({ "near" }, function(state, arguments)
  checks.count(arguments, "near", 3)
  local expected = checks.number(arguments[1], "near", 1)
  local actual = checks.number(arguments[2], "near", 2)
  local tolerance = checks.tolerance(arguments[3], "near", 3)
  checks.message(state, arguments, 4)
  local near = actual >= expected - tolerance and actual <= expected + tolerance
  if near ~= state.mod then
    arguments[1], arguments[2], arguments[3] = actual, expected, tostring(arguments[3])
    arguments.n, arguments.nofmt = 3, { [3] = true }
  end
  return near
end)

register({ "matches", "match" }, function(state, arguments)
  checks.count(arguments, "matches", 2)
  local pattern = checks.string(arguments[1], "matches", 1)
  local text = checks.text(arguments[2], "matches", 2)
  local init, plain = checks.search(state, arguments, "matches", 3)
  if not plain then checks.pattern(pattern, "matches", 1) end
  local found = compare.pack(text:find(pattern, init, plain))
  local matches = found[1] ~= nil
  if matches ~= state.mod then
    arguments[1], arguments[2], arguments.n = arguments[2], pattern, 2
    return matches
  end
  if not matches then return false, { n = 0 } end
  if found.n > 2 then return true, compare.pack(compare.unpack(found, 3)) end
  return true, { n = 1, text:sub(found[1], found[2]) }
end)

register({ "truthy" }, function(state, arguments)
  checks.count(arguments, "truthy", 1)
  checks.message(state, arguments, 2)
  return arguments[1] ~= nil and arguments[1] ~= false
end)

register({ "falsy" }, function(state, arguments)
  checks.count(arguments, "falsy", 1)
  checks.message(state, arguments, 2)
  return not arguments[1]
end)

-- One value, or none at all, against what it should be.
local function fixed(name, fits, expected, nofmt)
  register({ name }, function(state, arguments)
    checks.message(state, arguments, 2)
    local passed = fits(arguments[1])
    if passed ~= state.mod then arguments[2], arguments.n, arguments.nofmt = expected, 2, { [2] = nofmt } end
    return passed
  end, "same")
end

for name, value in pairs({ ["true"] = true, ["false"] = false }) do
  fixed(name, function(given) return rawequal(given, value) end, value)
end

for _, kind in ipairs({ "boolean", "number", "string", "table", "nil", "userdata", "function", "thread" }) do
  fixed(kind, function(given) return type(given) == kind end, "type " .. kind, true)
end

-- Lists ---------------------------------------------------------------------------------------------------------------

register({ "unique" }, function(state, arguments)
  local list, deep = checks.table(arguments[1], "unique", 1), arguments[2]
  if type(deep) == "boolean" or deep == nil then
    checks.message(state, arguments, 3)
  else
    state.failure_message, deep = deep, arguments[3]
  end
  arguments.shown = 1
  for key, value in pairs(list) do
    for other, another in pairs(list) do
      if key ~= other and (compare.equal(value, another) or deep and compare.same(value, another)) then return false end
    end
  end
  return true
end)

register({ "returned_arguments" }, function(state, arguments)
  local wanted, count = checks.times(arguments[1], "returned_arguments", 1), arguments.n - 1
  if (wanted == count) ~= state.mod then
    arguments[1], arguments[2], arguments.n, arguments.nofmt = tostring(wanted), tostring(count), 2, { true, true }
  end
  return wanted == count
end)

-- Errors --------------------------------------------------------------------------------------------------------------

-- Whether a function fails, and what it raised (without its position, if it can be shown as text) or returned.
local function catch(f)
  local ok, err = pcall(f)
  if ok or not compare.hastostring(err) then return not ok, err, not ok and err == nil and "" or nil end
  local text = tostring(err)
  local bare = text:gsub("^[^\n]-:%d+: ", "", 1)
  return true, bare, bare, text
end

-- Notes what messages show of an error and of what was expected.
local function shown_error(arguments, failed, err, expected)
  arguments.n, arguments.nofmt = 2, {}
  arguments[1], arguments[2] = err, expected
  if not failed then arguments[1], arguments.nofmt[1] = "(no error)", true end
  if expected == nil then arguments[2], arguments.nofmt[2] = "(error)", true end
end

local function same_error(err, text, whole, expected)
  local kind = type(expected)
  if text and (kind == "string" or kind == "number") and err ~= nil then
    return text == tostring(expected) or whole == tostring(expected)
  end
  return (compare.same(expected, err))
end

register({ "error", "errors" }, function(state, arguments)
  local f, expected = checks.callable(arguments[1], "error", 1), arguments[2]
  checks.message(state, arguments, 3)
  local failed, err, text, whole = catch(f)
  local passed = failed and (expected == nil or same_error(err, text, whole, expected))
  if passed ~= state.mod then shown_error(arguments, failed, err, expected) end
  return passed, { n = 2, err, expected }
end)

register({ "error_matches", "matches_error", "error_match", "match_error" }, function(state, arguments)
  checks.count(arguments, "error_matches", 2)
  local f, pattern = checks.callable(arguments[1], "error_matches", 1), arguments[2]
  if pattern ~= nil then checks.string(pattern, "error_matches", 2) end
  local init, plain = checks.search(state, arguments, "error_matches", 3)
  if pattern and not plain then checks.pattern(pattern, "error_matches", 2) end
  local failed, err, text, whole = catch(f)
  local found = { n = 0 }
  local passed = failed and pattern == nil
  if failed and pattern and text then
    found = compare.pack(text:find(pattern, init, plain))
    if found[1] == nil and whole and init == nil then -- a pattern for the position, too
      text, found = whole, compare.pack(whole:find(pattern, nil, plain))
    end
    passed = found[1] ~= nil
  end
  if passed ~= state.mod then shown_error(arguments, failed, err, pattern) end
  if not passed then return false, { n = 2, err, pattern } end
  if found.n > 2 then return true, compare.pack(compare.unpack(found, 3)) end
  if pattern == nil then return true, { n = 1, err } end
  return true, { n = 1, text:sub(found[1], found[2]) }
end)
