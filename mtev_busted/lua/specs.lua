-- The names, besides busted's own, that specs find: TEST_OPTIONS and helpers about paths and environments.

local use, plan = ...
local busted = use("core")
local failure = use("failure")

local function source_of(level)
  return debug.getinfo(level + 1, "S").source:match("^@(.*)")
end

-- The path of the file that calls, or of its n-th caller.
local function sourcefile(n) return source_of((n or 1) + 1) end

-- The directory of the file that calls, with a slash at its end.
local function sourcedir(n)
  local path = source_of((n or 1) + 1)
  return path and (path:match("^(.*/)") or "./")
end

local function directory_of_caller()
  local file = failure.location()
  return file and file:match("^(.*/)") or "./"
end

-- An environment table as the list of "K=V" that mtev.spawn takes, sorted.
local function env_flatten(env)
  local list = {}
  for key, value in pairs(env or ENV) do list[#list + 1] = key .. "=" .. tostring(value) end
  table.sort(list)
  return list
end

-- The directory of the calling file; or the nearest directory called *name* there or above, or nil.  A slash ends it.
local function find_test_dir(name)
  local here = directory_of_caller()
  if name == nil then return here end
  local path = mtev.realpath(here)
  while path do
    local found = path .. "/" .. name
    if path:match("([^/]*)$") == name then return path .. "/" end
    local status = mtev.stat(found .. "/.")
    if status then return found .. "/" end
    path = path:match("^(.*)/")
  end
  return nil
end

-- The contents of a file beside the calling one; nil if there is none.
local function file_beside(name)
  local file = io.open(directory_of_caller() .. name, "rb")
  if not file then return nil end
  local contents = file:read("*a")
  file:close()
  return contents
end

-- What the JSON of a file beside the calling one holds; nil and why not.
local function json_beside(name)
  local path = directory_of_caller() .. name
  local file, message = io.open(path, "rb")
  if not file then return nil, message end
  local json, why, at = mtev.parsejson(file:read("*a"))
  file:close()
  if not json then return nil, ("%s: %s at byte %d"):format(path, why, at) end
  return json:document()
end

local ffi = require("ffi")
ffi.cdef("char *strsignal(int);")

-- A buffer of chars: a copy of a text, or n zero bytes (at least one).
local function charstar(of)
  if type(of) == "string" then
    local buffer = ffi.new("char[?]", math.max(1, #of + 1))
    ffi.copy(buffer, of)
    return buffer
  end
  return ffi.new("char[?]", math.max(1, tonumber(of) or 1))
end

-- The name of a signal: "Killed" for 9.
local function strsignal(number) return ffi.string(ffi.C.strsignal(number)) end

busted.export_global("_file", file_beside)
busted.export_global("_filejson", json_beside)
busted.export_global("ffi", ffi)
busted.export_global("charstar", charstar)
busted.export_global("strsignal", strsignal)
busted.export_global("find_test_dir", find_test_dir)
busted.export_global("TEST_OPTIONS", plan.options)
busted.export_global("sourcefile", sourcefile)
busted.export_global("sourcedir", sourcedir)
busted.export_global("env_flatten", env_flatten)
