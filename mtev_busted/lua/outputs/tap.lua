-- The TAP output: Test Anything Protocol, version 13, results as they come and the plan at the end.

local use = ...
local base = use("outputs/base")
local busted = use("core")

local write = base.write
local number = 0
local escapes = { ["#"] = "\\#", ["\n"] = " " }

local function line(state, title, directive)
  number = number + 1
  if title:find("#", 1, true) or title:find("\n", 1, true) then title = title:gsub("[#\n]", escapes) end
  write(("%s %d - %s%s\n"):format(state, number, title, directive or ""))
end

local function comments(entry)
  if not entry.message then return end
  if entry.kind == "retry" then write("# try ", entry.try, " failed:\n") end
  for each in (base.details(entry, true) .. "\n"):gmatch("([^\n]*)\n") do write("# ", each, "\n") end
end

busted.subscribe({ "suite", "start" }, function(_, run)
  if run == 1 then write("TAP version 13\n") end
end)

busted.subscribe({ "test", "end" }, function(element, _, status)
  local title = base.title(element)
  if status == "success" then
    line("ok", title)
    for _, entry in ipairs(element.entries or {}) do comments(entry) end
  elseif status == "pending" then
    local entry = element.entries and element.entries[1]
    line("ok", title, " # SKIP" .. (entry and entry.message and " " .. entry.message:gsub("\n", " ") or ""))
  else
    line("not ok", title)
    for _, entry in ipairs(element.entries) do comments(entry) end
  end
  base.flush()
end)

-- What fails outside the bodies of tests is a result of its own.
busted.subscribe({ "error" }, function(element)
  local entry = element.entries[#element.entries]
  if element.descriptor == "it" and not entry.late then return end
  line("not ok", entry.title)
  comments(entry)
  base.flush()
end)

busted.subscribe({ "failure" }, function(element)
  if element.descriptor == "it" then return end
  local entry = element.entries[#element.entries]
  line("not ok", entry.title)
  comments(entry)
  base.flush()
end)

busted.subscribe({ "leak" }, function(element)
  comments(element.entries[#element.entries])
  base.flush()
end)

busted.subscribe({ "exit" }, function()
  write("1..", number, "\n")
  base.flush()
end)
