-- The JSON output: one document a run, with the successes, pendings, failures and errors as busted has them, as far as they
-- tell what and where, and the result of each test.

local use = ...
local base = use("outputs/base")
local busted = use("core")
local json = use("json")

local function shown(entries, kind)
  local list = {}
  for i, entry in ipairs(entries) do
    local trace = { short_src = entry.file, currentline = entry.line, source = entry.file and "@" .. entry.file }
    list[i] = { name = entry.name, title = entry.title, message = entry.message, traceback = entry.traceback,
      element = { name = entry.element.name, descriptor = entry.descriptor, duration = entry.element.duration,
        trace = trace },
      trace = trace, isError = kind == "error" or nil,
      at = entry.at_file and { short_src = entry.at_file, currentline = entry.at_line } or nil, kind = kind,
      try = entry.try, details = entry.message and base.details(entry, true) or nil }
  end
  return list
end

local severity = { success = 1, pending = 2, failure = 3, error = 4 }
local ended = {}

busted.subscribe({ "suite", "reset" }, function() ended = {} end)

busted.subscribe({ "test", "end" }, function(element, _, status)
  ended[#ended + 1] = { element = element, status = status }
end)

-- A result for each test that ended, in order; what its coroutines did later counts.
local function per_test()
  local list = {}
  for i, each in ipairs(ended) do
    local status, entry = each.status, base.record(each.element)
    for _, inner in ipairs(each.element.entries or {}) do
      if (severity[inner.kind] or 0) > severity[status] then status = inner.kind end
    end
    list[i] = { name = entry.name, file = entry.file, line = entry.line, status = status,
      duration = each.element.duration, tries = each.element.try or 1, details = base.all_details(each.element.entries) }
  end
  return list
end

busted.subscribe({ "suite", "report" }, function(suite)
  local results, successes = base.results, {}
  for i, element in ipairs(results.successes) do successes[i] = base.record(element) end
  base.write(json.encode({ successes = shown(successes, "success"),
    pendings = shown(results.pendings, "pending"), failures = shown(results.failures, "failure"),
    errors = shown(results.errors, "error"), retries = shown(results.retries, "retry"),
    leaks = shown(results.leaks, "leak"), duration = suite.duration,
    results = per_test() }), "\n")
  base.flush()
end)
