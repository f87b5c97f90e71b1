-- The functions that luassert offers to those who write assertions, under its names.

local use = ...
local compare = use("luassert/compare")
local matcher = use("luassert/matcher")
local namespaces = use("luassert/namespaces")
local failure = use("failure")

local M = { deepcopy = compare.deepcopy, pack = compare.pack, unpack = compare.unpack, callable = compare.callable,
  hastostring = compare.hastostring, make_arglist = matcher.arglist, is_arglist = matcher.is_arglist }

-- Whether two values have the same contents, and when not, the keys that lead to the difference, innermost first.
-- ignore_mt: do not ask the two values' own __eq.
function M.deepcompare(a, b, ignore_mt)
  local same, path = compare.same(a, b, ignore_mt)
  if same then return true end
  if #path == 0 then return false end
  local crumbs = {}
  for i = #path, 1, -1 do crumbs[#crumbs + 1] = path[i] end
  return false, crumbs
end

function M.shallowcopy(value)
  if type(value) ~= "table" then return value end
  local result = {}
  for key, inner in next, value do result[key] = inner end
  return setmetatable(result, debug.getmetatable(value))
end

-- A list of arguments as it is now and itself: { vals =, refs = }.
function M.copyargs(list) return matcher.record(compare.unpack(list)) end

-- The newest call of a list of records that was made with *arguments*.
function M.matchargs(records, arguments) return matcher.newest_fit(records, arguments) end

-- The newest entry of a list of { arguments =, … } whose arguments a call fits.
function M.matchoncalls(specs, arguments)
  local record = M.copyargs(arguments)
  for i = #specs, 1, -1 do
    if matcher.fits(record, specs[i].vals or specs[i].arguments or specs[i]) then return specs[i] end
  end
end

-- Removes every argument of a list.
function M.cleararglist(list)
  for i = 1, list.n do list[i] = nil end
  list.n = 0
end

-- table.insert and table.remove for lists with n, whose members may be nil.
function M.tinsert(list, ...)
  local at, value = list.n + 1, (...)
  if select("#", ...) > 1 then at, value = ... end
  for i = list.n, at, -1 do list[i + 1] = list[i] end
  list[at], list.n = value, list.n + 1
end

function M.tremove(list, at)
  at = at or list.n
  local value = list[at]
  for i = at, list.n do list[i] = list[i + 1] end
  list.n = math.max(0, list.n - 1)
  return value
end

-- The names that a list of words stands for.
function M.extract_keys(kind, words)
  local entries, unknown = namespaces.resolve(kind, words)
  if not entries then failure.raise("failure", "luassert: unknown modifier/" .. kind .. ": '" .. unknown .. "'") end
  local names = {}
  for i, entry in ipairs(entries) do names[i] = entry.name end
  return names
end

-- The level for error() that blames the caller outside the assertions, *level* callers further.
function M.errorlevel(level)
  local at = 2
  while true do
    local info = debug.getinfo(at, "S")
    if not info then return 0 end
    if info.what ~= "C" and not failure.is_own(info.source) then break end
    at = at + 1
  end
  return at - 1 + (level or 1) - 1
end

return M
