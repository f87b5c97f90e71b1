-- What every output needs: the results of a run as lists, names and places of tests, failures as text with the line of
-- source they happened at.

local use, plan = ...
local busted = use("core")
local context = use("context")

local M = {}

-- The results of the current run (of successes, the elements), and how many failures and errors those before had.
local results = nil
local wrong_before = 0

local function reset()
  if results then wrong_before = wrong_before + #results.failures + #results.errors end
  results = { successes = {}, pendings = {}, failures = {}, errors = {}, retries = {}, leaks = {}, timed = {}, tests = 0, files = 0, duration = 0 }
  M.results = results
end
reset()

-- How many failures and errors all runs have had.
function M.wrong() return wrong_before + #results.failures + #results.errors end

-- Places --------------------------------------------------------------------------------------------------------------

local function place(element)
  local trace = element.trace or {}
  local source = trace.source and trace.source:match("^@(.*)") or trace.short_src
  return source, trace.currentline
end

-- Several ask for the name and title of the element that is reported just now.
local named, name, title = nil, nil, nil

local function look_at(element)
  named, name, title = element, busted.full_name(element), nil
end

-- The full name of an element.
function M.name(element)
  if element ~= named then look_at(element) end
  return name
end

local function title_of(element)
  local file, line = place(element)
  if element.descriptor == "suite" or not file then return element.name or "suite" end
  if element.descriptor == "file" then return file end
  local shown = M.name(element)
  if element.name and element.descriptor ~= "it" and element.descriptor ~= "pending" then
    shown = shown .. " " .. element.descriptor
  end
  return file .. " @ " .. (line or 0) .. ": " .. shown
end

-- "file @ line: name", as the outputs show a test.
function M.title(element)
  if element ~= named then look_at(element) end
  title = title or title_of(element)
  return title
end

local sources = {} -- path -> its lines, or false

-- The text of a line of a file, or nil.
local function source_line(path, number)
  if not path or not number then return nil end
  if sources[path] == nil then
    sources[path] = false
    local file = io.open(path, "rb")
    if file then
      local lines = {}
      for line in file:lines() do lines[#lines + 1] = line end
      file:close()
      sources[path] = lines
    end
  end
  return sources[path] and sources[path][number]
end

-- Results -------------------------------------------------------------------------------------------------------------

-- LuaJIT shortens the path in a message to its end; if that is the end of *file*, this is meant.
local function whole(path, file)
  local tail = path and path:match("^%.%.%.(.+)")
  if tail and file and file:sub(-#tail) == tail then return file end
  return path
end

local function record(element, message, info)
  local file, line = place(element)
  info = info or {}
  return { element = element, name = M.name(element), descriptor = element.descriptor, file = file,
    line = line, title = M.title(element), message = message and tostring(message), traceback = info.traceback,
    late = info.late or false, try = info.try or element.try,
    randomseed = (context.parent(element) or {}).randomseed, at_file = whole(info.file, file), at_line = info.line }
end

-- " (try 2)" for a try that failed and was not the last, else nothing.
function M.try(entry) return entry.kind == "retry" and (" (try %d)"):format(entry.try) or "" end

-- The lines that tell of a failure: message, source line, and the stack if there is one.
function M.details(entry, with_stack)
  local lines = { entry.message or "" }
  local source = source_line(entry.at_file, entry.at_line)
  if source then
    local where = ("%s:%d"):format(entry.at_file, entry.at_line)
    if lines[1]:sub(1, #where) ~= where then lines[2] = "  " .. where end
    lines[#lines + 1] = ("  > %s"):format((source:gsub("^%s+", "")))
  end
  if entry.randomseed and entry.kind ~= "pending" then lines[#lines + 1] = "Random seed: " .. entry.randomseed end
  if with_stack and entry.traceback and entry.traceback:find("\n") then lines[#lines + 1] = entry.traceback end
  return table.concat(lines, "\n")
end

-- What went wrong with a test, in all of its tries.
function M.all_details(entries)
  local texts = {}
  for _, entry in ipairs(entries or {}) do
    if entry.message then
      local head = entry.kind == "retry" and ("try %d failed:\n"):format(entry.try) or ""
      texts[#texts + 1] = head .. (entry.kind == "pending" and entry.message or M.details(entry, true))
    end
  end
  return table.concat(texts, "\n")
end

local kinds = { failures = "failure", errors = "error", pendings = "pending", retries = "retry", leaks = "leak" }

local function collect(list)
  return function(element, _, message, info)
    if list == "pendings" and plan.suppress_pending then return nil, true end
    local entry = record(element, message, info)
    entry.kind = kinds[list]
    table.insert(results[list], entry)
    element.entries = element.entries or {}
    table.insert(element.entries, entry)
    return nil, true
  end
end

-- Subscribes to the core; to be called before any output is.
function M.start()
  busted.subscribe({ "suite", "reset" }, reset)
  busted.subscribe({ "failure" }, collect("failures"))
  busted.subscribe({ "error" }, collect("errors"))
  busted.subscribe({ "pending" }, collect("pendings"))
  busted.subscribe({ "retry" }, collect("retries"))
  busted.subscribe({ "leak" }, collect("leaks"))
  busted.subscribe({ "file", "end" }, function() results.files = results.files + 1 end)
  busted.subscribe({ "suite", "end" }, function(suite) results.duration = suite.duration end)
  busted.subscribe({ "test", "end" }, function(element, _, status)
    results.tests = results.tests + 1
    results.timed[#results.timed + 1] = element
    if status == "success" then results.successes[#results.successes + 1] = element end
  end)
end

M.record = record

-- The tests that took longest, *n* at most: lines of seconds and titles.
function M.slowest(n)
  local tests, lines = {}, {}
  for i, element in ipairs(results.timed) do tests[i] = element end
  table.sort(tests, function(a, b) return (a.duration or 0) > (b.duration or 0) end)
  for i = 1, math.min(n, #tests) do
    lines[i] = ("%9.3f s  %s"):format(tests[i].duration or 0, M.title(tests[i]))
  end
  return lines
end

-- Keeps the tests that failed in a file, a line each, "file<tab>name", for the next run; what did not run stays.
function M.remember_failed(path)
  if path == "" or plan.list then return end
  busted.subscribe({ "suite", "report" }, function()
    local known = io.open(path)
    if not known and #results.failures + #results.errors == 0 then return end
    if known then known:close() end
    local failed, ran = {}, {}
    for _, element in ipairs(results.timed) do ran[(place(element)) .. "\t" .. busted.full_name(element)] = true end
    for line in known and io.lines(path) or function() end do failed[line] = not ran[line] or nil end
    for _, list in ipairs({ results.failures, results.errors }) do
      for _, entry in ipairs(list) do failed[(entry.file or "") .. "\t" .. entry.name] = true end
    end
    local lines = {}
    for line in pairs(failed) do lines[#lines + 1] = line end
    table.sort(lines)
    if #lines == 0 then return os.remove(path) end
    local file = io.open(path, "wb") -- where none can be written, the next run does without
    if not file then return end
    file:write(table.concat(lines, "\n"), "\n")
    file:close()
  end)
end

-- Appends the names of the tests that passed to a file, a line each.
function M.log_successes(path)
  local file, message = io.open(path, "ab")
  if not file then return nil, message end
  for _, element in ipairs(results.successes) do file:write(M.name(element), "\n") end
  file:close()
  return true
end

-- Writing -------------------------------------------------------------------------------------------------------------

local out = io.stdout

M.before_write = function() end -- clears a progress line

function M.write(...)
  M.before_write()
  local ok, why = out:write(...)
  if not ok then M.unwritten = why end -- and what was lost stays lost
end

-- Has all be written now.
function M.flush_now()
  local ok, why = out:flush()
  if not ok then M.unwritten = why end
end

M.flush = M.flush_now -- what outputs call when they have told something whole

function M.count(n, word) return ("%d %s%s"):format(n, word, n == 1 and "" or "s") end

return M
