-- assert.matches_snapshot(value[, name]): the value is what it was when the snapshot was taken.  Snapshots of a spec are in
-- __snapshots__/SPEC.snap beside it; one that is missing is taken, and all are with --update-snapshots.

local use, plan = ...
local busted = use("core")
local checks = use("luassert/checks")
local context = use("context")
local diff = use("luassert/diff")
local failure = use("failure")
local format = use("luassert/format")
local say = use("luassert/say")

local HEAD = "-- Taken by mtev-busted; --update-snapshots takes them again.\nreturn {\n"

say:set("assertion.snapshot.positive", "Expected the value to be that of the snapshot '%s'.\nPassed in:\n%s\nExpected:\n%s")
say:set("assertion.snapshot.negative", "Expected the value not to be that of the snapshot '%s'.\nPassed in:\n%s")
say:set("assertion.snapshot.missing", "There is no snapshot '%s', and none are taken here.\nPassed in:\n%s")

local M = {}

local files = {} -- path -> name -> text
local asker, asker_try, count = nil, nil, 0 -- the test that asks, its try, how many it has asked for without a name

-- A value as text, which is the same in another process.
local function text_of(value)
  if type(value) == "string" then return value end
  local text = type(value) == "table" and format.structure(value) or format.plain(value)
  return (text:gsub("%f[%a](%a+): 0x%x+", "%1"):gsub("file %(0x%x+%)", "file"))
end

local function load_file(path)
  if not files[path] then
    local chunk, message = loadfile(path)
    local ok, found = true, {}
    if chunk then
      ok, found = pcall(setfenv(chunk, {}))
      if ok and type(found) ~= "table" then ok, found = false, path .. ": a table of snapshots is expected" end
    elseif not message:find("cannot open", 1, true) then
      ok, found = false, message
    end
    if not ok and not plan.update_snapshots then failure.raise("error", found) end
    files[path] = ok and found or {}
  end
  return files[path]
end

local function save(path, snapshots)
  mtev.mkdir(path:match("^(.*)/"), tonumber("777", 8))
  local names, parts = {}, { HEAD }
  for name in pairs(snapshots) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do parts[#parts + 1] = ("[%q] = %q,\n"):format(name, snapshots[name]) end
  parts[#parts + 1] = "}\n"
  local file, message = io.open(path, "wb")
  if not file then failure.raise("error", "snapshots: " .. message) end
  local ok, problem = file:write(table.concat(parts))
  local closed, late = file:close()
  if not ok or not closed then failure.raise("error", "snapshots: " .. path .. ": " .. (problem or late)) end
end

-- How many snapshots without a name the running try of a test has asked for; *n* to go back to, when it asks again.
function M.asked(n)
  local test = context.get()
  if n then
    count = n
  elseif asker ~= test or asker_try ~= test.try then
    asker, asker_try, count = test, test.try, 0
  end
  return count
end

local function name_of(given)
  local test = busted.full_name(context.get())
  if given ~= nil then
    if type(given) ~= "number" and (type(given) ~= "string" or given == "") then
      checks.refuse(given, "matches_snapshot", 2, "name")
    end
    return test .. ": " .. given
  end
  return test .. " " .. M.asked(M.asked() + 1)
end

checks.register({ "matches_snapshot", "match_snapshot" }, function(state, arguments)
  checks.count(arguments, "matches_snapshot", 1)
  local spec = failure.location()
  local path = (spec:match("^(.*)/") or ".") .. "/__snapshots__/" .. spec:match("[^/]*$"):gsub("%.lua$", "") .. ".snap"
  local snapshots, name, text = load_file(path), name_of(arguments[2]), text_of(arguments[1])
  local taken = snapshots[name]
  if taken == nil and plan.ci then arguments.message_key = "assertion.snapshot.missing" end
  if plan.update_snapshots or taken == nil and not plan.ci then
    if taken ~= text then
      snapshots[name] = text
      save(path, snapshots)
    end
    return state.mod
  end
  local same = taken == text
  if same ~= state.mod then
    arguments[1], arguments[2], arguments[3], arguments.n = name, text, taken, 3
    arguments.nofmt = { true, true, true }
    arguments.difference = taken and diff.describe(text, taken) or nil
  end
  return same
end, "snapshot")

return M
