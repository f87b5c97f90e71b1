-- Which lines of the code under test were run: whatever is loaded while a run counts has counters put in (counters.lua),
-- and what they say is written as lcov and Cobertura and as a summary with the lines that were missed.
--
-- What counts are Lua files below the working directory that are no specs, as .luacov chooses (choice.lua).  luamtev's own
-- are loaded before, by library_loader.lua.

local use, plan = ...
local base = use("outputs/base")
local busted = use("core")
local choice = use("choice")
local counters = use("counters")
local failure = use("failure")
local format_attribute = use("outputs/junit").attribute

local M = {}

local hits = package.loaded["mtev_busted.library"] or {} -- path -> line that can be run -> count
local by_source = {} -- source of a chunk -> its hits, or false

local here = mtev.realpath(".") .. "/"

-- The path of a source below the working directory, or nil.
local function path_of(source)
  local path = source:match("^@(.*)")
  if not path or failure.is_own(source) or source:find("^@luamtev/") then return nil end
  path = mtev.realpath(path)
  if not path or path:sub(1, #here) ~= here then return nil end
  return path:sub(#here + 1)
end

-- Counting ------------------------------------------------------------------------------------------------------------

local function resolve(source)
  local path = path_of(source)
  local lines = path and choice.wanted(path, source) and (hits[path] or counters.lines()) or false
  if lines then hits[path] = lines end
  by_source[source] = lines
  return lines
end

-- What a function of Lua's that loads gave, counting if its file is wanted.
local function counted(chunk, ...)
  if not chunk then return chunk, ... end
  local source = debug.getinfo(chunk, "S").source
  local lines = by_source[source]
  if lines == nil then lines = resolve(source) end
  return lines and counters.counted(chunk, lines) or chunk
end

local function counting(loader)
  return function(...) return counted(loader(...)) end
end

-- In place of the loader of Lua files, where it would find one.
local function load_module(name)
  local path = package.searchpath(name, package.path)
  if not path then return nil end
  local chunk, message = loadfile(path)
  if not chunk then error(("error loading module '%s' from file '%s':\n\t%s"):format(name, path, message), 0) end
  return chunk
end

local AFTER_OURS = 3 -- the place in package.loaders behind what is loaded already and the program's own

-- Counts what is loaded from now on.  Without a usable configuration the run has no tests.
function M.start()
  local ok, message = pcall(choice.read)
  if not ok then
    plan.problems[#plan.problems + 1] = message
    plan.files = {}
    return
  end
  load, loadstring, loadfile = counting(load), counting(loadstring), counting(loadfile)
  function dofile(path)
    local chunk, why = loadfile(path)
    if not chunk then error(why, 0) end
    return chunk()
  end
  table.insert(package.loaders, AFTER_OURS, load_module)
end

-- Merging -------------------------------------------------------------------------------------------------------------

local told = {} -- path -> lines whose existence was sent

-- Calls send(path, text) for each file with news since the last time; text is what merge takes.
function M.each(send)
  for path, lines in pairs(hits) do
    local parts, known = {}, told[path] or {}
    told[path] = known
    for line, count in pairs(lines) do
      if count > 0 or not known[line] then
        parts[#parts + 1] = line .. ":" .. count
        lines[line], known[line] = 0, true
      end
    end
    if parts[1] then send(path, table.concat(parts, " ")) end
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
    for line, count in pairs(lines) do file.lines[#file.lines + 1] = { line, count } end
    table.sort(file.lines, function(a, b) return a[1] < b[1] end)
    for _, each in ipairs(file.lines) do
      if each[2] > 0 then file.run = file.run + 1 else file.missed[#file.missed + 1] = each[1] end
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
