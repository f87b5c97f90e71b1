-- The words that change or prepare an assertion or matcher: fillers, negations, the user's message.

local use = ...
local assert = use("luassert/assert")

for _, word in ipairs({ "a", "an", "the", "is", "are", "was", "has", "does" }) do
  assert:register("modifier", word, function() end)
end

for _, word in ipairs({ "not", "no" }) do
  assert:register("modifier", word, function(state) state.mod = not state.mod end)
end

assert:register("modifier", "message", function(state, arguments)
  if arguments.n > 0 then state.failure_message = arguments[1] end
end)
