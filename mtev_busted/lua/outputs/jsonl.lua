-- The JSON lines output: an object a line as things happen, for programs that watch a run.
--
-- Each has `event`: suite (run, runs, seed), file, test (name, file, line, status, duration in seconds, tries, details),
-- failure, error, retry, leak (name, title, message, file, line, try, details), end (counts and duration).

local use = ...
local base = use("outputs/base")
local busted = use("core")
local json = use("json")

local function line(event, fields)
  fields.event = event
  base.write(json.encode(fields), "\n")
  base.flush()
end

busted.subscribe({ "suite", "start" }, function(_, run, runs, seed)
  line("suite", { run = run, runs = runs, seed = seed })
end)

busted.subscribe({ "file", "start" }, function(file) line("file", { name = file.name }) end)

busted.subscribe({ "test", "end" }, function(element, _, status)
  local entry = base.record(element)
  line("test", { name = entry.name, file = entry.file, line = entry.line, status = status,
    duration = element.duration or 0, tries = element.try or 1, details = base.all_details(element.entries) })
end)

for _, kind in ipairs({ "failure", "error", "retry", "leak" }) do
  busted.subscribe({ kind }, function(element)
    local entry = element.entries[#element.entries]
    line(kind, { name = entry.name, title = entry.title, message = entry.message or "", file = entry.at_file or entry.file,
      line = entry.at_line or entry.line, try = entry.try, details = base.details(entry, true) })
  end)
end

busted.subscribe({ "suite", "report" }, function(suite)
  local results = base.results
  line("end", { successes = #results.successes, failures = #results.failures, errors = #results.errors,
    pendings = #results.pendings, retries = #results.retries, leaks = #results.leaks, duration = suite.duration })
end)
