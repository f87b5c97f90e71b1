-- What matchers and lists of arguments are, and how calls are matched against them.  Knows nothing of the matchers
-- there are.

local use = ...
local compare = use("luassert/compare")

local M = {}

local Matcher = { __luassert_opaque = true }

function Matcher.__call(self, value) return (not not self.callback(value)) == self.mod end

function Matcher.__tostring(self)
  local texts, arguments = {}, self.arguments or { n = 0 }
  for i = 1, arguments.n do texts[i] = tostring(arguments[i]) end
  return ("%s.%s(%s)"):format(self.mod and "is" or "is.not", self.name, table.concat(texts, ", "))
end

-- callback(value) → truthy when it fits; with *mod* false the matcher fits what the callback refuses.
function M.new(name, callback, mod, arguments, by_reference)
  return setmetatable({ name = name, callback = callback, mod = mod, arguments = arguments,
    by_reference = by_reference or false }, Matcher)
end

function M.is(value) return getmetatable(value) == Matcher end

-- True for a matcher that looks at the very object, not at a copy of it.
function M.by_reference(value) return M.is(value) and value.by_reference end

-- For deep comparison: a matcher among the expected values decides by itself.
local function decide(expected, actual)
  if M.is(expected) then return expected(actual) end
end

-- Argument lists ------------------------------------------------------------------------------------------------------

local Arglist = {}

-- The arguments as a list that messages show as one.
function M.arglist(...) return setmetatable(compare.pack(...), Arglist) end

function M.is_arglist(value) return getmetatable(value) == Arglist end

-- A record of the arguments: `vals` as they are now, `refs` themselves.
function M.record(...)
  local refs = M.arglist(...)
  local vals = setmetatable({ n = refs.n }, Arglist)
  for i = 1, refs.n do vals[i] = compare.deepcopy(refs[i]) end
  return { vals = vals, refs = refs }
end

local function fits_one(expected, value, reference)
  if M.by_reference(expected) then return expected(reference) end
  if M.is(expected) then return expected(value) end
  return (compare.same(expected, value, false, decide))
end

-- Whether the arguments of a record are those expected, a list with n.
function M.fits(record, expected)
  if record.vals.n ~= expected.n then return false end
  for i = 1, expected.n do
    if not fits_one(expected[i], record.vals[i], record.refs[i]) then return false end
  end
  return true
end

-- The newest of some records that fits, or nil.
function M.newest_fit(records, expected)
  for i = #records, 1, -1 do
    if M.fits(records[i], expected) then return records[i] end
  end
end

M.decide = decide

return M
