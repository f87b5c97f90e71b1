-- The TAP output of version 14: results as they come, with what is known of them as YAML, and the plan at the end.

local use = ...
local base = use("outputs/base")
local busted = use("core")

local clean_xml = use("outputs/junit").clean
local write = base.write
local number = 0

-- YAML has even fewer characters than XML.
local function clean(text) return (clean_xml(text):gsub("[\r\127]", "?")) end

local function escaped(title) return (clean(title):gsub("\\", "\\\\"):gsub("#", "\\#"):gsub("\n", " ")) end

local function quoted(text) return '"' .. clean(text):gsub('[\\"]', "\\%0"):gsub("[\n\t]", " ") .. '"' end

local function block(name, text)
  write("  ", name, text:find("^[ \n]") and ": |2\n" or ": |\n") -- where it is not clear how far it is indented
  for line in (clean(text) .. "\n"):gmatch("([^\n]*)\n") do write("    ", line, "\n") end
end

-- A result with its YAML; each of *entries* (failures, errors, tries that failed) is a block of it.
local function result(ok, element, title, directive, entries)
  number = number + 1
  write(("%s %d - %s%s\n  ---\n"):format(ok and "ok" or "not ok", number, escaped(title), directive or ""))
  local trace = element.trace or {}
  if trace.short_src then
    write("  at:\n    file: ", quoted(trace.short_src), "\n    line: ", trace.currentline or 0, "\n")
  end
  write(("  duration_ms: %.3f\n"):format((element.duration or 0) * 1000))
  if (element.try or 1) > 1 then write("  try: ", element.try, "\n") end
  local counts = {}
  for _, entry in ipairs(entries or {}) do
    if entry.message then
      counts[entry.kind] = (counts[entry.kind] or 0) + 1
      local n = counts[entry.kind]
      block(n == 1 and entry.kind or entry.kind .. "_" .. n, base.details(entry, true))
    end
  end
  write("  ...\n")
  base.flush()
end

busted.subscribe({ "suite", "start" }, function(_, run)
  if run == 1 then write("TAP version 14\n") end
end)

busted.subscribe({ "test", "end" }, function(element, _, status)
  local entries, directive = element.entries, nil
  if status == "pending" then
    local reason = entries and entries[1] and entries[1].message or ""
    directive = " # SKIP " .. clean(reason):gsub("\n", " ")
  end
  result(status == "success" or status == "pending", element, base.title(element), directive, entries)
end)

local function outside(element)
  local entry = element.entries[#element.entries]
  if element.descriptor == "it" and not entry.late then return end
  result(false, element, entry.title, nil, { entry })
end

busted.subscribe({ "error" }, outside)
busted.subscribe({ "failure" }, outside)

busted.subscribe({ "leak" }, function(element)
  local entry = element.entries[#element.entries]
  write("# ", escaped(entry.title), ": ", clean(entry.message):gsub("\n", " "), "\n")
  base.flush()
end)

busted.subscribe({ "exit" }, function()
  write("1..", number, "\n")
  base.flush()
end)
