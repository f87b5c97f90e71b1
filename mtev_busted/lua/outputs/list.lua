-- What --list shows: a line for each test that would run, or with the JSON output a document.

local use, plan = ...
local base = use("outputs/base")
local busted = use("core")
local json = use("json")

local found = {}

busted.subscribe({ "test", "list" }, function(element)
  local entry = base.record(element)
  found[#found + 1] = { name = entry.name, file = entry.file, line = entry.line, descriptor = entry.descriptor }
  if plan.output ~= "json" then base.write(("%s:%d: %s\n"):format(entry.file, entry.line, entry.name)) end
end)

busted.subscribe({ "error" }, function(element)
  if plan.output == "json" then return end
  local entry = element.entries[#element.entries]
  io.stderr:write(entry.title, ": ", base.details(entry, true), "\n")
end)

busted.subscribe({ "exit" }, function()
  if plan.output == "json" then
    local errors = {}
    for i, entry in ipairs(base.results.errors) do
      errors[i] = { title = entry.title, message = base.details(entry, true), file = entry.file }
    end
    base.write(json.encode({ tests = found, errors = errors }), "\n")
  end
  base.flush()
end)
