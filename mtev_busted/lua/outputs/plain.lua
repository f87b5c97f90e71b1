-- The plain output: a sign for each test, then the totals and what failed.

local use, plan = ...
local base = use("outputs/base")
local busted = use("core")
local color = use("color")

local write, count = base.write, base.count
local WIDTH = 80
local arrow = plan.utf8 and "→" or "->"
local signs = { success = color.green(plan.utf8 and "●" or "+"), pending = color.yellow(plan.utf8 and "●" or "."),
  failure = color.red(plan.utf8 and "◼" or "-"), error = color.magenta(plan.utf8 and "✱" or "*") }
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

busted.subscribe({ "test", "end" }, function(_, _, status)
  if status ~= "pending" or not plan.suppress_pending then sign(status) end
end)
busted.subscribe({ "error" }, function(element)
  if element.descriptor ~= "it" and element.descriptor ~= "pending" then sign("error") end
end)

-- Each entry with its place, its name, and what went wrong.
local function listed(label, entries, with_stack)
  for _, entry in ipairs(entries) do
    local outside = entry.descriptor == "suite" or entry.element.load_error
    local text = entry.message and base.details(entry, with_stack)
    if outside and entry.message then
      write("\n", label, " ", arrow, " ", text, "\n")
    else
      local line = entry.descriptor == "file" and entry.at_line or entry.line
      write("\n", label, " ", arrow, " ", color.cyan(("%s @ %d"):format(entry.file, line or 0)),
        base.try(entry), "\n")
      if entry.descriptor ~= "file" then write(color.bold(entry.name), "\n") end
      if text then write(text, "\n", with_stack and "\n" or "") end
    end
  end
end

busted.subscribe({ "suite", "report" }, function(suite)
  local results = base.results
  if written % WIDTH ~= 0 then write("\n") end
  write(("%s / %s / %s / %s : %.3f seconds\n"):format(
    color.green(#results.successes .. " success" .. (#results.successes == 1 and "" or "es")),
    color.red(count(#results.failures, "failure")), color.magenta(count(#results.errors, "error")),
    color.yellow(#results.pendings .. " pending"), suite.duration))
  listed(color.yellow("Pending"), results.pendings)
  listed(color.red("Failure"), results.failures, plan.verbose)
  listed(color.magenta("Error"), results.errors, plan.verbose)
  listed(color.yellow("Retry"), results.retries)
  listed(color.yellow("Leak"), results.leaks)
  if plan.slowest > 0 then write("\nSlowest:\n", table.concat(base.slowest(plan.slowest), "\n"), "\n") end
  base.flush()
end)
