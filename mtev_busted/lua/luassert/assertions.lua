-- The modifiers, and the assertions on values, types, texts and errors.

local use = ...
local assert = use("luassert/assert")
local compare = use("luassert/compare")
local diff = use("luassert/diff")
local failure = use("failure")
local say = use("luassert/say")

local M = {}

-- Arguments -----------------------------------------------------------------------------------------------------------

local function raise(message) failure.raise("error", message) end

-- Raises unless the assertion *name* got its *n* arguments; the one after them is the user's own message.
function M.arguments(state, arguments, name, n)
  if arguments.n < n then raise(say("assertion.internal.argtolittle", { name, n, arguments.n })) end
  if arguments[n + 1] ~= nil then state.failure_message = arguments[n + 1] end
end
local take = M.arguments

function M.expect(value, name, position, kind)
  local fits
  if kind == "function" then fits = compare.callable(value)
  elseif kind == "number" then fits = tonumber(value) ~= nil
  else fits = type(value) == kind end
  if not fits then raise(say("assertion.internal.badargtype", { position, name, kind, type(value) })) end
  return value
end
local expect = M.expect

-- Registers a callback under every name of a list, with the messages of `assertion.<key>`.
function M.register(names, callback, key)
  key = "assertion." .. (key or names[1]) .. "."
  for _, name in ipairs(names) do
    assert:register("assertion", name, callback, key .. "positive", key .. "negative")
  end
end
local register = M.register

-- Modifiers -----------------------------------------------------------------------------------------------------------

local function filler() end
for _, word in ipairs({ "is", "are", "was", "has", "does" }) do assert:register("modifier", word, filler) end

for _, word in ipairs({ "not", "no" }) do
  assert:register("modifier", word, function(state) state.mod = not state.mod end)
end

assert:register("modifier", "message", function(state, arguments)
  if arguments.n < 1 then raise(say("assertion.internal.argtolittle", { "message", 1, arguments.n })) end
  state.failure_message = arguments[1]
end)

assert:register("modifier", "array", function(state, arguments)
  if arguments.n < 1 then raise(say("assertion.internal.argtolittle", { "array", 1, arguments.n })) end
  state.payload = expect(arguments[1], "array", 1, "table")
end)

-- Values --------------------------------------------------------------------------------------------------------------

local function swap(arguments) arguments[1], arguments[2] = arguments[2], arguments[1] end

-- Messages show what came before what was expected; a passing assertion returns its arguments as they were.
local function shown(arguments, passed, wanted)
  arguments.n = 2
  if passed == wanted then return passed end
  arguments.difference = wanted and diff.describe(arguments[2], arguments[1]) or nil
  swap(arguments)
  return passed
end

register({ "same" }, function(state, arguments)
  take(state, arguments, "same", 2)
  local same, path = compare.same(arguments[1], arguments[2])
  arguments.fmtargs = { { crumbs = path }, { crumbs = path } }
  return shown(arguments, same, state.mod)
end)

register({ "equals", "equal" }, function(state, arguments)
  take(state, arguments, "equals", 2)
  return shown(arguments, compare.equal(arguments[1], arguments[2]), state.mod)
end)

register({ "near" }, function(state, arguments)
  take(state, arguments, "near", 3)
  local expected = tonumber(expect(arguments[1], "near", 1, "number"))
  local actual = tonumber(expect(arguments[2], "near", 2, "number"))
  local tolerance = tonumber(expect(arguments[3], "near", 3, "number"))
  local near = actual >= expected - tolerance and actual <= expected + tolerance
  if near ~= state.mod then swap(arguments) end
  return near
end)

local function text_like(value)
  local kind = type(value)
  if kind == "string" or kind == "number" then return tostring(value) end
  local mt = debug.getmetatable(value)
  if kind == "table" and type(mt) == "table" and rawget(mt, "__tostring") then return tostring(value) end
end

register({ "matches", "match" }, function(state, arguments)
  if arguments.n < 2 then raise(say("assertion.internal.argtolittle", { "matches", 2, arguments.n })) end
  local pattern = expect(arguments[1], "matches", 1, "string")
  local text, init, plain = text_like(arguments[2]), arguments[3], arguments[4]
  if init ~= nil and tonumber(init) == nil then
    state.failure_message, init, plain = init, nil, nil
  elseif arguments[5] ~= nil then
    state.failure_message = arguments[5]
  end
  local returned = text and compare.pack(text:find(pattern, init and tonumber(init), plain)) or { n = 0 }
  local found = returned[1] ~= nil
  if found ~= state.mod then
    swap(arguments)
    return found
  end
  if not found then return found end
  if returned.n > 2 then return found, compare.pack(compare.unpack(returned, 3)) end
  return found, { n = 1, text:sub(returned[1], returned[2]) }
end)

register({ "truthy" }, function(state, arguments)
  take(state, arguments, "truthy", 1)
  return arguments[1] ~= nil and arguments[1] ~= false
end)

register({ "falsy" }, function(state, arguments)
  take(state, arguments, "falsy", 1)
  return not arguments[1]
end)

for name, value in pairs({ ["true"] = true, ["false"] = false }) do
  register({ name }, function(state, arguments)
    take(state, arguments, name, 1)
    return rawequal(arguments[1], value)
  end)
end

for _, kind in ipairs({ "boolean", "number", "string", "table", "nil", "userdata", "function", "thread" }) do
  register({ kind }, function(state, arguments)
    take(state, arguments, kind, 1)
    return type(arguments[1]) == kind
  end)
end

-- Lists ---------------------------------------------------------------------------------------------------------------

register({ "unique" }, function(state, arguments)
  if arguments.n < 1 then raise(say("assertion.internal.argtolittle", { "unique", 1, arguments.n })) end
  local list, deep = expect(arguments[1], "unique", 1, "table"), arguments[2]
  if type(deep) == "boolean" or deep == nil then
    if arguments[3] ~= nil then state.failure_message = arguments[3] end
  else
    state.failure_message, deep = deep, nil
  end
  for key, value in pairs(list) do
    for other, another in pairs(list) do
      if key ~= other and (compare.equal(value, another) or deep and compare.same(value, another)) then return false end
    end
  end
  return true
end)

register({ "holes" }, function(state, arguments)
  local list = state.payload
  if type(list) ~= "table" then raise("assert.array(list).has.holes() needs the list") end
  local length = arguments[1]
  if length == nil then
    length = 0
    for key in pairs(list) do
      if type(key) == "number" and key > length and key == math.floor(key) then length = key end
    end
  end
  if arguments[2] ~= nil then state.failure_message = arguments[2] end
  for i = 1, expect(length, "holes", 1, "number") do
    if list[i] == nil then
      arguments[1], arguments.n, arguments.nofmt = i, 1, { true }
      return true
    end
  end
  return false
end, "array_holes")

register({ "returned_arguments" }, function(state, arguments)
  if arguments.n < 1 then raise(say("assertion.internal.argtolittle", { "returned_arguments", 1, arguments.n })) end
  local wanted, count = tonumber(expect(arguments[1], "returned_arguments", 1, "number")), arguments.n - 1
  if (wanted == count) ~= state.mod then
    arguments[1], arguments[2], arguments.n, arguments.nofmt = wanted, count, 2, { true, true }
  end
  return wanted == count
end)

-- Errors --------------------------------------------------------------------------------------------------------------

local function catch(arguments, name)
  local raised = compare.pack(pcall(expect(arguments[1], name, 1, "function")))
  return not raised[1], raised[2]
end

-- The text of an error without its position.
local function bare(err)
  local text = text_like(err)
  return type(err) ~= "number" and text and (text:gsub("^.-:%d+: ", "", 1)) or text
end

local function same_error(err, expected)
  if compare.same(expected, err) then return true end
  local text = type(expected) == "string" and text_like(err)
  return text and (text == expected or bare(err) == expected)
end

register({ "error", "errors" }, function(state, arguments)
  take(state, arguments, "error", 1)
  local expected = arguments[2]
  state.failure_message = arguments[3]
  local failed, err = catch(arguments, "error")
  local value = type(err) == "string" and bare(err) or err
  arguments.n, arguments[3], arguments.nofmt = 2, nil, {}
  arguments[1], arguments[2] = value, expected
  if not failed then arguments[1], arguments.nofmt[1] = "(no error)", true end
  if expected == nil then arguments[2], arguments.nofmt[2] = "(error)", true end
  if not failed then return false, { n = 0 } end
  return expected == nil or same_error(err, expected), { n = 1, value }
end)

register({ "error_matches", "matches_error", "error_match", "match_error" }, function(state, arguments)
  if arguments.n < 2 then raise(say("assertion.internal.argtolittle", { "error_matches", 2, arguments.n })) end
  local pattern, init, plain = arguments[2], arguments[3], arguments[4]
  expect(pattern, "error_matches", 2, "string")
  if init ~= nil and tonumber(init) == nil then
    state.failure_message, init, plain = init, nil, nil
  elseif arguments[5] ~= nil then
    state.failure_message = arguments[5]
  end
  local failed, err = catch(arguments, "error_matches")
  local text = failed and text_like(err)
  local value = type(err) == "string" and bare(err) or err
  local found = text and (bare(err):find(pattern, init, plain) or text:find(pattern, init, plain)) ~= nil or false
  arguments.n, arguments.nofmt = 2, {}
  arguments[1] = value
  if not failed then arguments[1], arguments.nofmt[1] = "(no error)", true end
  return found, { n = 1, value }
end)

return M
