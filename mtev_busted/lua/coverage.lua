-- Which lines of the code under test were run: whatever is loaded while a run counts has counters put in (counters.lua),
-- and what they say is told (wire.lua).
--
-- What counts are Lua files below the working directory that are no specs, as .luacov chooses (choice.lua).  luamtev's own
-- are loaded before, by library_loader.lua.

local use, plan = ...
local choice = use("choice")
local counters = use("counters")
local failure = use("failure")

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

-- Telling -------------------------------------------------------------------------------------------------------------

local told = {} -- path -> lines whose existence was told

-- Calls send(path, text) for each file with news since the last time: "line:count line:count …".
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

return M
