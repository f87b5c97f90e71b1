-- Which lines of the code under test were run: counted by a hook, without the compiler, and written as lcov and Cobertura
-- and as a summary with the lines that were missed.
--
-- What counts are Lua files below the working directory that are no specs, as .luacov's include and exclude (patterns for
-- paths without ".lua") choose.

local use, plan = ...
local base = use("outputs/base")
local busted = use("core")
local failure = use("failure")
local format_attribute = use("outputs/junit").attribute
local tasks = use("tasks")

local M = {}

local getinfo = debug.getinfo
local hits = {} -- path -> line -> count
local by_source = {} -- source of a chunk -> its hits, or false

-- Choosing ------------------------------------------------------------------------------------------------------------

local settings = {}

local function load_settings(path, needed)
  local chunk, message = loadfile(path)
  if not chunk then
    if needed or not message:find("cannot open", 1, true) then error("coverage: " .. message, 0) end
    return
  end
  local env = setmetatable({}, { __index = _G })
  local result = setfenv(chunk, env)()
  settings = type(result) == "table" and result or env
end

local function matches(list, name)
  for _, pattern in ipairs(list or {}) do
    local bare = pattern:gsub("^%^", ""):gsub("%$$", "")
    if name:find("^" .. bare .. "$") or name:find("/" .. bare .. "$") then return true end
  end
  return false
end

local here = mtev.realpath(".") .. "/"

-- The path of a source below the working directory, or nil.
local function path_of(source)
  local path = source:match("^@(.*)")
  if not path or failure.is_own(source) or source:find("^@luamtev/") then return nil end
  path = mtev.realpath(path)
  if not path or path:sub(1, #here) ~= here then return nil end
  return path:sub(#here + 1)
end

local function wanted(path)
  local name = path:gsub("%.lua$", "")
  if name:find("_spec$") or name:find("^%.") or name:find("/%.") then return false end
  if matches(settings.exclude, name) then return false end
  return not (settings.include and settings.include[1]) or matches(settings.include, name)
end

-- Counting ------------------------------------------------------------------------------------------------------------

local function resolve(source)
  local path = path_of(source)
  local counted = path and wanted(path) and (hits[path] or {}) or false
  if counted then hits[path] = counted end
  by_source[source] = counted
  return counted
end

local function on_line(_, line, level)
  local source = getinfo(level or 2, "S").source
  local lines = by_source[source]
  if lines == nil then lines = resolve(source) end
  if lines then lines[line] = (lines[line] or 0) + 1 end
end

function M.start()
  load_settings(plan.coverage_config ~= "" and plan.coverage_config or ".luacov", plan.coverage_config ~= "")
  tasks.count_lines(on_line)
end

-- Merging -------------------------------------------------------------------------------------------------------------

-- Calls send(path, text) for each file; text is what merge takes.
function M.each(send)
  for path, lines in pairs(hits) do
    local parts = {}
    for line, count in pairs(lines) do parts[#parts + 1] = line .. ":" .. count end
    send(path, table.concat(parts, " "))
  end
end

function M.merge(path, text)
  hits[path] = hits[path] or {}
  for line, count in text:gmatch("(%d+):(%d+)") do
    line = tonumber(line)
    hits[path][line] = (hits[path][line] or 0) + tonumber(count)
  end
end

-- Reports -------------------------------------------------------------------------------------------------------------

local util = require("jit.util")

local function add_lines(proto, lines)
  local pc = 1
  while util.funcbc(proto, pc) do
    local line = util.funcinfo(proto, pc).currentline
    if line and line > 0 then lines[line] = true end
    pc = pc + 1
  end
  local n = -1
  while true do
    local constant = util.funck(proto, n)
    if constant == nil then break end
    if type(constant) == "proto" then add_lines(constant, lines) end
    n = n - 1
  end
end

-- The lines of a file that can be run, in order.
local function runnable(path)
  local chunk, lines, list = loadfile(path), {}, {}
  if chunk then add_lines(chunk, lines) end
  for line in pairs(lines) do list[#list + 1] = line end
  table.sort(list)
  return list
end

local function write(path, text)
  local file, message = io.open(path, "wb")
  if not file then error("coverage: " .. message, 0) end
  file:write(text)
  file:close()
end

local function files()
  local list, total, covered = {}, 0, 0
  for path, lines in pairs(hits) do
    local file = { path = path, lines = {}, run = 0, missed = {} }
    for _, line in ipairs(runnable(path)) do
      local count = lines[line] or 0
      file.lines[#file.lines + 1] = { line, count }
      if count > 0 then file.run = file.run + 1 else file.missed[#file.missed + 1] = line end
    end
    list[#list + 1] = file
    total, covered = total + #file.lines, covered + file.run
  end
  table.sort(list, function(a, b) return a.path < b.path end)
  return list, total, covered
end

local function lcov(list)
  local out = {}
  for _, file in ipairs(list) do
    out[#out + 1] = "TN:\nSF:" .. here .. file.path
    for _, each in ipairs(file.lines) do out[#out + 1] = ("DA:%d,%d"):format(each[1], each[2]) end
    out[#out + 1] = ("LF:%d\nLH:%d\nend_of_record"):format(#file.lines, file.run)
  end
  return table.concat(out, "\n") .. "\n"
end

local function rate(part, whole) return whole == 0 and 1 or part / whole end

local function cobertura(list, total, covered)
  local out = { ('<?xml version="1.0" encoding="UTF-8"?>\n<coverage line-rate="%.4f" branch-rate="0" lines-covered="%d" '
    .. 'lines-valid="%d" branches-covered="0" branches-valid="0" complexity="0" version="1" timestamp="%d">\n'
    .. '<sources><source>%s</source></sources>\n<packages><package name="lua" line-rate="%.4f" branch-rate="0" '
    .. 'complexity="0"><classes>'):format(rate(covered, total), covered, total, os.time() * 1000,
    format_attribute(here), rate(covered, total)) }
  for _, file in ipairs(list) do
    local name = format_attribute(file.path)
    out[#out + 1] = ('<class name="%s" filename="%s" line-rate="%.4f" branch-rate="0" complexity="0"><methods/><lines>')
      :format(name, name, rate(file.run, #file.lines))
    for _, each in ipairs(file.lines) do out[#out + 1] = ('<line number="%d" hits="%d"/>'):format(each[1], each[2]) end
    out[#out + 1] = "</lines></class>"
  end
  out[#out + 1] = "</classes></package></packages></coverage>\n"
  return table.concat(out, "\n")
end

-- "3-5, 9" of { 3, 4, 5, 9 }, where *lines* are those that could be run.
local function ranges(missed, lines)
  local place, parts, first, last = {}, {}, nil, nil
  for i, each in ipairs(lines) do place[each[1]] = i end
  local function close() parts[#parts + 1] = first == last and tostring(first) or first .. "-" .. last end
  for _, line in ipairs(missed) do
    if first and place[line] == place[last] + 1 then
      last = line
    else
      if first then close() end
      first, last = line, line
    end
  end
  if first then close() end
  return table.concat(parts, ", ")
end

local function summary(list, total, covered)
  local width = 4
  for _, file in ipairs(list) do width = math.max(width, #file.path) end
  local row = "%-" .. width .. "s %7s %7s %7s  %s\n"
  local function percent(part, whole) return ("%.1f%%"):format(100 * rate(part, whole)) end
  local out = { "\n", row:format("File", "Lines", "Missed", "Cover", "Missing") }
  for _, file in ipairs(list) do
    out[#out + 1] = row:format(file.path, #file.lines, #file.missed, percent(file.run, #file.lines),
      ranges(file.missed, file.lines))
  end
  out[#out + 1] = row:format("Total", total, total - covered, percent(covered, total), "")
  return (table.concat(out):gsub(" +\n", "\n"))
end

-- Writes the reports, and the summary to standard output, or to standard error where an output is for programs.
function M.report()
  local list, total, covered = files()
  write(plan.lcov, lcov(list))
  write(plan.cobertura, cobertura(list, total, covered))
  local text = summary(list, total, covered)
  if plan.output == "gtest" or plan.output == "plain" or plan.output == "github" then
    base.write(text)
    base.flush()
  else
    io.stderr:write(text)
  end
end

busted.subscribe({ "exit" }, function()
  if plan.role ~= "worker" then M.report() end
end)

return M
