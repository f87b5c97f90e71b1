-- What assertions share: whether they got the arguments they need, and how they are registered.

local use = ...
local assert = use("luassert/assert")
local compare = use("luassert/compare")
local failure = use("failure")
local say = use("luassert/say")

local M = {}

-- Fails unless there are *n* arguments.
function M.count(arguments, name, n)
  if arguments.n >= n then return end
  failure.raise("failure", say("assertion.internal.argtolittle", { name, n, tostring(arguments.n) }))
end

-- Fails because an argument is not of the kind that is needed.
function M.refuse(value, name, position, expected)
  failure.raise("failure", say("assertion.internal.badargtype", { position, name, expected, type(value) }))
end

-- The same for what may be a number that is none of those needed.
function M.refuse_number(value, name, position, expected)
  local got = type(value) == "number" and tostring(value) or type(value)
  failure.raise("failure", say("assertion.internal.badargtype", { position, name, expected, got }))
end

function M.number(value, name, position)
  local number = tonumber(value)
  if number == nil then M.refuse(value, name, position, "number or object convertible to a number") end
  return number
end

function M.tolerance(value, name, position)
  local number = M.number(value, name, position)
  if not (number >= 0) then M.refuse_number(number, name, position, "number, at least 0") end
  return number
end

-- A whole number, at least 0.
function M.times(value, name, position)
  if type(value) ~= "number" or value % 1 ~= 0 or value < 0 then
    M.refuse_number(value, name, position, "whole number, at least 0")
  end
  return value
end

function M.string(value, name, position)
  if type(value) ~= "string" then M.refuse(value, name, position, "string") end
  return value
end

-- A pattern, as far as its beginning tells.
function M.pattern(value, name, position)
  local ok, message = pcall(string.find, "", M.string(value, name, position))
  if not ok then
    failure.raise("failure", say("assertion.internal.badargtype", { position, name, "pattern", message }))
  end
  return value
end

function M.text(value, name, position)
  if not compare.hastostring(value) then M.refuse(value, name, position, "string or object convertible to a string") end
  return tostring(value)
end

function M.callable(value, name, position)
  if not compare.callable(value) then M.refuse(value, name, position, "function or callable object") end
  return value
end

function M.table(value, name, position)
  if type(value) ~= "table" then M.refuse(value, name, position, "table") end
  return value
end

-- Takes the argument at *position* as the user's message, if there is one.
function M.message(state, arguments, position)
  if arguments[position] ~= nil then state.failure_message = arguments[position] end
end

-- For init, plain and the user's message at *position*, each of which may be missing: init and plain; sets the message.
function M.search(state, arguments, name, position)
  local init, plain = arguments[position], arguments[position + 1]
  if init ~= init then M.refuse(init, name, position, "number") end
  if init ~= nil and tonumber(init) == nil then
    if plain ~= nil then M.refuse(init, name, position, "number or object convertible to a number") end
    state.failure_message = init
    return nil, nil
  end
  if plain ~= nil and type(plain) ~= "boolean" then
    state.failure_message, plain = plain, nil
  end
  M.message(state, arguments, position + 2)
  return tonumber(init), plain
end

-- Registers a callback under every name of a list, with the messages of `assertion.<key>`.
function M.register(names, callback, key)
  key = "assertion." .. (key or names[1]) .. "."
  for _, name in ipairs(names) do
    assert:register("assertion", name, callback, key .. "positive", key .. "negative")
  end
end

return M
