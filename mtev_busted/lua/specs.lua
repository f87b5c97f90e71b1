-- The names, besides busted's own, that specs find: TEST_OPTIONS and helpers about paths and environments.

local use, plan = ...
local busted = use("core")

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

-- An environment table as the list of "K=V" that mtev.spawn takes, sorted.
local function env_flatten(env)
  local list = {}
  for key, value in pairs(env or ENV) do list[#list + 1] = key .. "=" .. tostring(value) end
  table.sort(list)
  return list
end

-- The nearest directory called *name* ("test" if omitted) above the calling file, with a slash at its end, or nil.
local function find_test_dir(name)
  name = name or "test"
  local path = mtev.realpath(sourcedir(2) or ".")
  while path do
    local found = path .. "/" .. name
    if path:match("([^/]*)$") == name then return path .. "/" end
    local status = mtev.stat(found .. "/.")
    if status then return found .. "/" end
    path = path:match("^(.*)/")
  end
  return nil
end

busted.export_global("find_test_dir", find_test_dir)
busted.export_global("TEST_OPTIONS", plan.options)
busted.export_global("sourcefile", sourcefile)
busted.export_global("sourcedir", sourcedir)
busted.export_global("env_flatten", env_flatten)
