-- assert.array(list).has.holes(): what is missing between the members of a list.

local use = ...
local assert = use("luassert/assert")
local checks = use("luassert/checks")
local failure = use("failure")

assert:register("modifier", "array", function(state, arguments)
  if arguments.n == 0 then return end
  if state.payload ~= nil then failure.raise("failure", "'array' already set") end
  state.payload = checks.table(arguments[1], "array", 1)
end)

local function length(list)
  local last = 0
  for key in pairs(list) do
    if type(key) == "number" and key > last and key == math.floor(key) then last = key end
  end
  return last
end

checks.register({ "holes" }, function(state, arguments)
  local list = state.payload
  if type(list) ~= "table" then
    failure.raise("failure", "No array set, please use the array modifier: assert.array(list).has.holes()")
  end
  local last = arguments[1] == nil and length(list) or checks.number(arguments[1], "holes", 1)
  checks.message(state, arguments, 2)
  for i = 1, last do
    if list[i] == nil then
      arguments[1], arguments.n = i, 1
      return true, { n = 1, i }
    end
  end
  return false
end, "array_holes")
