-- JUnit XML: collected during the run, written to a file at its end or, as an output, to standard output.

local use, plan = ...
local base = use("outputs/base")
local busted = use("core")
local json = use("json")

local M = {}

local suites = {}
local current = nil

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["\n"] = "&#10;",
  ["\t"] = "&#9;", ["\r"] = "&#13;" }

-- XML 1.0 has no way to write most control characters, nor U+FFFE and U+FFFF.
local function clean(text)
  return (json.utf8(tostring(text)):gsub("[%z\1-\8\11\12\14-\31]", "?"):gsub("\239\191[\190\191]", "?"))
end

M.clean = clean

local function attribute(text) return (clean(text):gsub('[&<>"\n\t\r]', entities)) end
M.attribute = attribute
local function content(text) return (clean(text):gsub("[&<>]", entities)) end

local function seconds(value) return ("%.6f"):format(value or 0) end

-- Collecting ----------------------------------------------------------------------------------------------------------

local function case(element, title, entries, duration)
  local trace = element.trace or {}
  local file = trace.source and trace.source:match("^@(.*)") or trace.short_src
  current.cases[#current.cases + 1] = { element = element, class = file and ("%s:%d"):format(file, trace.currentline or 0) or "suite",
    name = title, entries = entries, duration = duration }
end

-- Collects from now on.
function M.start()
  busted.subscribe({ "suite", "start" }, function(_, run, runs)
    current = { name = ("Run %d of %d"):format(run, runs), cases = {}, timestamp = os.date("!%Y-%m-%dT%H:%M:%S") }
    suites[#suites + 1] = current
  end)
  busted.subscribe({ "test", "end" }, function(element, _, status)
    local entries = element.entries and { unpack(element.entries) } or {} -- what comes later is a case of its own
    if status == "pending" and not entries[1] then entries[1] = { kind = "pending" } end
    case(element, base.name(element), entries, element.duration)
  end)
  local function outside(element)
    local entry = element.entries[#element.entries]
    if element.descriptor == "it" and not entry.late then return end
    case(element, entry.title, { entry }, 0)
  end
  busted.subscribe({ "error" }, outside)
  busted.subscribe({ "failure" }, outside)
  busted.subscribe({ "leak" }, function(element) -- soon after the test has ended
    local last = current.cases[#current.cases]
    if last.element == element then table.insert(last.entries, element.entries[#element.entries]) end
  end)
  busted.subscribe({ "suite", "report" }, function(suite) current.duration = suite.duration end)
end

-- Writing -------------------------------------------------------------------------------------------------------------

local function counts(cases)
  local n = { failure = 0, error = 0, pending = 0 }
  for _, each in ipairs(cases) do
    local worst
    for _, entry in ipairs(each.entries) do
      if n[entry.kind] and (entry.kind == "error" or not worst or worst == "pending") then worst = entry.kind end
    end
    each.worst = worst
    if worst then n[worst] = n[worst] + 1 end
  end
  return n
end

local function add_case(lines, each)
  local head = ('    <testcase classname="%s" name="%s" time="%s"'):format(attribute(each.class),
    attribute(each.name), seconds(each.duration))
  if not each.entries[1] then
    lines[#lines + 1] = head .. "/>"
    return
  end
  lines[#lines + 1] = head .. ">"
  for _, entry in ipairs(each.entries) do
    local message = attribute(entry.message or "")
    if entry.kind == "retry" then
      local tag = each.worst and "rerunFailure" or "flakyFailure" -- Surefire's names: it failed at last, or passed
      lines[#lines + 1] = ('      <%s message="%s" try="%d">%s</%s>'):format(tag, message, entry.try,
        content(base.details(entry, true)), tag)
    elseif entry.kind == "leak" then
      lines[#lines + 1] = ("      <system-err>%s</system-err>"):format(content(entry.message))
    elseif entry.kind ~= "pending" then
      lines[#lines + 1] = ('      <%s message="%s">%s</%s>'):format(entry.kind, message,
        content(base.details(entry, true)), entry.kind)
    else
      lines[#lines + 1] = ('      <skipped message="%s"/>'):format(message)
    end
  end
  lines[#lines + 1] = "    </testcase>"
end

-- The whole document.
function M.document()
  local inner, total = {}, { tests = 0, failure = 0, error = 0, pending = 0, duration = 0 }
  for _, suite in ipairs(suites) do
    local n = counts(suite.cases)
    inner[#inner + 1] = ('  <testsuite name="%s" tests="%d" errors="%d" failures="%d" skipped="%d" ' ..
      'package="busted" hostname="%s" timestamp="%s" time="%s">'):format(suite.name, #suite.cases, n.error, n.failure,
      n.pending, attribute(plan.hostname), suite.timestamp, seconds(suite.duration))
    inner[#inner + 1] = '    <properties>\n      <property name="Lua Version" value="' ..
      attribute(jit and jit.version or _VERSION) .. '"/>\n    </properties>'
    for _, each in ipairs(suite.cases) do add_case(inner, each) end
    inner[#inner + 1] = "  </testsuite>"
    total.tests, total.duration = total.tests + #suite.cases, total.duration + (suite.duration or 0)
    for kind, number in pairs(n) do total[kind] = total[kind] + number end
  end
  return ('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites tests="%d" errors="%d" failures="%d" skipped="%d" ' ..
    'time="%s">\n%s\n</testsuites>\n'):format(total.tests, total.error, total.failure, total.pending,
    seconds(total.duration), table.concat(inner, "\n"))
end

-- Writes the document to *path*; true, or nil and why not.
function M.write_file(path)
  local file, message = io.open(path, "wb")
  if not file then return nil, message end
  local ok, problem = file:write(M.document())
  local closed, late = file:close()
  if not ok or not closed then return nil, problem or late end
  return true
end

if plan.output == "junit" then
  busted.subscribe({ "exit" }, function()
    base.write(M.document())
    base.flush()
  end)
end

return M
