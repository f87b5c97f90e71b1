-- The plain output: a sign for each test, then the totals and what failed.

local use, plan = ...
local base = use("outputs/base")
local busted = use("core")
local color = use("color")

local write, count = base.write, base.count
local WIDTH = 80
local signs = { success = color.green("+"), pending = color.yellow("."), failure = color.red("-"),
  error = color.magenta("*") }
local written = 0

local function sign(status)
  write(signs[status])
  written = written + 1
  if written % WIDTH == 0 then write("\n") end
  base.flush()
end

busted.subscribe({ "suite", "start" }, function(_, run, runs, seed)
  written = 0
  if runs > 1 then write(("Repeating all tests (run %d of %d) . . .\n"):format(run, runs)) end
  if plan.shuffle_files or plan.shuffle_tests then
    write(("Note: Randomizing test order with a seed of %d.\n"):format(seed))
  end
end)

busted.subscribe({ "test", "end" }, function(_, _, status) sign(status) end)
busted.subscribe({ "error" }, function(element)
  if element.descriptor ~= "it" then sign("error") end
end)

local function listed(label, entries, with_stack)
  for _, entry in ipairs(entries) do
    write("\n", label, " → ", color.cyan(entry.title), "\n")
    if entry.message then write(base.details(entry, with_stack), "\n") end
  end
end

busted.subscribe({ "suite", "end" }, function(suite)
  local results = base.results
  if written % WIDTH ~= 0 then write("\n") end
  write(("%s / %s / %s / %s : %.3f seconds\n"):format(
    color.green(#results.successes .. " success" .. (#results.successes == 1 and "" or "es")),
    color.red(count(#results.failures, "failure")), color.magenta(count(#results.errors, "error")),
    color.yellow(#results.pendings .. " pending"), suite.duration))
  listed(color.yellow("Pending"), results.pendings)
  listed(color.red("Failure"), results.failures, plan.verbose)
  listed(color.magenta("Error"), results.errors, true)
  base.flush()
end)
