-- What a matcher is: a callable that says whether a value fits.  Knows nothing of the matchers there are.

local M = {}

local Matcher = { __luassert_opaque = true }

function Matcher.__call(self, value) return (not not self.callback(value)) == self.positive end

function Matcher.__tostring(self)
  local texts = {}
  for i = 1, self.arguments.n do texts[i] = tostring(self.arguments[i]) end
  return (self.positive and "is." or "is.not.") .. self.name .. "(" .. table.concat(texts, ", ") .. ")"
end

-- callback(value) → truthy when it fits; a matcher that is not *positive* fits what the callback refuses.
function M.new(name, callback, positive, arguments)
  return setmetatable({ name = name, callback = callback, positive = positive, arguments = arguments }, Matcher)
end

function M.is(value) return getmetatable(value) == Matcher end

-- True for a matcher that looks at the very object, not at a copy of it.
function M.by_reference(value) return M.is(value) and value.name == "ref" end

-- For deep comparison: a matcher among the expected values decides by itself.
function M.decide(expected, actual)
  if M.is(expected) then return expected(actual) end
end

return M
