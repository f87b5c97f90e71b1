-- The gtest output: a line when a test starts, a line when it ends, failures between them, a summary.

local use, plan = ...
local base = use("outputs/base")
local busted = use("core")
local color = use("color")

local write, count = base.write, base.count
local time = mtev.time -- a spec may put a stub in its place
local file_tests, file_start = 0, 0

local function milliseconds(seconds) return ("%.2f ms"):format((seconds or 0) * 1000) end

busted.subscribe({ "suite", "start" }, function(_, run, runs, seed)
  if runs > 1 then write(("\nRepeating all tests (run %d of %d) . . .\n\n"):format(run, runs)) end
  if plan.shuffle_files or plan.shuffle_tests then
    write(("Note: Randomizing test order with a seed of %d.\n"):format(seed))
  end
  write(color.green("[==========]"), " Running tests from scanned files.\n")
  write(color.green("[----------]"), " Global test environment setup.\n")
end)

busted.subscribe({ "file", "start" }, function(file)
  file_tests, file_start = base.results.tests, time()
  write(color.green("[----------]"), " Running tests from ", color.cyan(file.name), "\n")
end)

busted.subscribe({ "file", "end" }, function(file)
  write(color.green("[----------]"), (" %s from "):format(count(base.results.tests - file_tests, "test")),
    color.cyan(file.name), (" (%s total)\n\n"):format(milliseconds(time() - file_start)))
  base.flush()
end)

busted.subscribe({ "test", "start" }, function(element)
  write(color.green("[ RUN      ]"), " ", base.title(element), "\n")
  base.flush()
end)

local ends = { success = color.green("[       OK ]"), pending = color.yellow("[ SKIPPED  ]"),
  failure = color.red("[  FAILED  ]"), error = color.magenta("[  ERROR   ]") }

busted.subscribe({ "test", "end" }, function(element, _, status)
  write(ends[status], " ", base.title(element), " (", milliseconds(element.duration), ")\n")
  base.flush()
end)

local function tell(kind)
  return function(element)
    local entry = element.entries[#element.entries]
    if element.descriptor ~= "it" or entry.late then write(ends[kind], " ", entry.title, "\n") end
    write(base.details(entry, kind == "error" or plan.verbose), "\n")
    base.flush()
  end
end

busted.subscribe({ "failure" }, tell("failure"))
busted.subscribe({ "error" }, tell("error"))

local function remark(mark)
  return function(element)
    local entry = element.entries[#element.entries]
    write(color.yellow(mark), " ", entry.title, base.try(entry), "\n", base.details(entry, plan.verbose), "\n")
    base.flush()
  end
end

busted.subscribe({ "retry" }, remark("[  RETRY   ]"))
busted.subscribe({ "leak" }, remark("[   LEAK   ]"))

busted.subscribe({ "pending" }, function(_, _, message)
  if message then write(tostring(message), "\n") end
end)

local function listed(mark, entries, word)
  if #entries == 0 then return end
  write(mark, (" %s, listed below:\n"):format(count(#entries, word)))
  for _, entry in ipairs(entries) do write(mark, " ", entry.title, "\n") end
end

busted.subscribe({ "suite", "report" }, function(suite)
  local results = base.results
  write(color.green("[----------]"), " Global test environment teardown.\n")
  write(color.green("[==========]"), (" %s from %s ran. (%s total)\n"):format(count(results.tests, "test"),
    count(results.files, "test file"), milliseconds(suite.duration)))
  write(color.green("[  PASSED  ]"), (" %s.\n"):format(count(#results.successes, "test")))
  listed(ends.pending, results.pendings, "test")
  listed(ends.failure, results.failures, "test")
  listed(ends.error, results.errors, "error")
  if plan.slowest > 0 then write("Slowest:\n", table.concat(base.slowest(plan.slowest), "\n"), "\n") end
  write("\n")
  if #results.pendings > 0 then write(" ", count(#results.pendings, "SKIPPED TEST"):upper(), "\n") end
  if #results.failures > 0 then write(" ", count(#results.failures, "FAILED TEST"):upper(), "\n") end
  if #results.errors > 0 then write(" ", count(#results.errors, "ERROR"):upper(), "\n") end
  base.flush()
end)
