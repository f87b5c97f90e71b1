-- Puts a new state together: the kernel, the reactor, the mtev table and the globals of the contract.
-- Returns the functions by which the rest of the process enters Lua; each returns first when the kernel wants to be
-- called next (seconds, or -1 for not before somebody wakes a task), then what it was called for.

local error, pcall, xpcall, tostring, type, ipairs, pairs = error, pcall, xpcall, tostring, type, ipairs, pairs
local setmetatable, getfenv, setfenv, rawget, package = setmetatable, getfenv, setfenv, rawget, package
local gsub, match, gmatch = string.gsub, string.match, string.gmatch
local traceback = debug.traceback
local insert = table.insert
local open_file = io.open
local border, settings, load_library = ...

-- A server's ways are longer and more than the compiler's own limits expect: with them it gives up on the way of a request.
jit.opt.start("maxtrace=8000", "maxrecord=16000", "maxsnap=2000", "maxirconst=2000", "maxmcode=8192")
if settings.jit_off then jit.off() end
if settings.jit_opt then jit.opt.start(settings.jit_opt) end
if settings.gc_pause then collectgarbage("setpause", settings.gc_pause) end
if settings.gc_stepmul then collectgarbage("setstepmul", settings.gc_stepmul) end

-- What a library is built from.
local home = { border = border, load_library = load_library, settings = settings }
home.kernel = load_library("kernel", border, settings, load_library)
local kernel = home.kernel

local libraries = {}

-- What the library *name* returns; it is loaded when it is first needed.
function home.need(name)
  local found = libraries[name]
  if found == nil then
    found = load_library(name, home)
    if found == nil then found = true end
    libraries[name] = found
  end
  return found
end

home.reactor = home.need("reactor")
local reactor = home.reactor

-- Raises what a Python function raised; any other results pass through.
function home.checked(function_)
  local function check(first, second, ...)
    if first == settings.raised then error(second, 3) end
    return first, second, ...
  end
  return function(...) return check(function_(...)) end
end

-- For xpcall: what went wrong, with a traceback.
function home.report(failure)
  local ok, text = pcall(tostring, failure) -- a __tostring of the user's may fail
  return traceback(ok and text or "error object is a " .. type(failure) .. " value", 2)
end

mtev = {}
ffi = require("ffi")
-- Those with public functions.  What is a module of its own, and not part of mtev, is true here.
local families = { "timeval", "coroutines", "stopping", "trace", "log", "conf", "shared", "system", "json", "encodings", "digests",
  "text", "gunzip", "pcre", "timezone", "crypto", "bignum", "xml", "pack", "extras", "files", "cluster", "reverse", "messages",
  "consul", "addresses", "eventer", "tls", "socket", "process", "exec", "Proc", "dns", "hooks", "zipkin", "HttpClient", "HttpPool",
  "Api", "websocket", "runtime", "absent" }
local is_module = { Api = true, HttpClient = true, HttpPool = true, Proc = true, consul = true, extras = true, zipkin = true }

for _, family in ipairs(families) do
  local found = home.need("mtev/" .. family)
  package.loaded["mtev." .. family] = is_module[family] and found or mtev
end

package.loaded.mtev, package.loaded["mtev.lua_init"] = mtev, mtev

-- The C functions of the server are Lua here.
local load_shared = ffi.load
function ffi.load(name, ...)
  if type(name) ~= "string" or gsub(gsub(name, "^lib", ""), "%.so[.%d]*$", "") ~= "mtev" then
    return load_shared(name, ...)
  end
  return home.need("ffi_mtev/init")
end
package.loaded["mtev.hooks.http"] = home.need("mtev/hooks_http")

-- Programs may put what they like in the place of the globals of Lua.  A library that is loaded when it is needed has
-- those that there are now, but for what tools put themselves in the place of: loaders, and who shows what is printed.
local function own_globals()
  local now = { mtev = mtev }
  for name, value in pairs(_G) do
    if type(value) == "function" then now[name] = value end
  end
  now.print = nil
  for name in gmatch("string table math os io debug coroutine bit", "%a+") do
    local copy = {}
    for field, inner in pairs(_G[name]) do copy[field] = inner end
    now[name] = copy
  end
  function now.require(name) -- of a library, or of a module of the program's, which may have the name of a function
    local own = now[name]
    return type(own) == "table" and own or require(name)
  end
  return setmetatable({}, { __index = setmetatable(now, { __index = _G }), __newindex = _G })
end

local load_first, globals = load_library, own_globals()
local function back(before, ok, ...)
  setfenv(0, before)
  if not ok then error((...), 0) end
  return ...
end
function load_library(...)
  local before = getfenv(0)
  setfenv(0, globals) -- what is compiled has the globals of its coroutine
  return back(before, pcall(load_first, ...))
end
home.load_library = load_library

-- `require` -------------------------------------------------------------------------------------------------------

local function search_path(wanted, default)
  if wanted == "" then return default end
  local path = gsub(wanted, "{package%.c?path}", function() return default end)
  return path
end

package.path = search_path(settings.directory, package.path)
package.cpath = search_path(settings.cpath, package.cpath)

-- mtev.NAME comes with the program, wherever the path points.
insert(package.loaders, 2, function(name)
  local inner = match(name, "^mtev%.([%w_]+)$")
  if inner and border.library_exists("mtev/" .. inner) then
    return function() return load_library("mtev/" .. inner, home) or mtev end
  end
  return "\n\tno library '" .. name .. "'"
end)

-- The name itself may be the path of a file.
insert(package.loaders, function(name)
  local file = open_file(name, "rb")
  if not file then return "\n\tno file '" .. name .. "'" end
  file:close()
  local chunk, message = loadfile(name)
  if not chunk then error("error loading module '" .. name .. "':\n\t" .. message, 0) end
  return chunk
end)

if settings.watched then home.need("mtev/runtime").watch() end

for name in gmatch(settings.Cpreloads, "[^%s,]+") do
  local path, tried = package.searchpath(name, package.cpath)
  if not path then error("Cpreloads: no C module '" .. name .. "':" .. tried, 0) end
  local open = assert(package.loadlib(path, "luaopen_" .. gsub(name, "%.", "_")))
  package.loaded[name] = open(name) or package.loaded[name] or true
end
for name in gmatch(settings.preloads, "[^%s,]+") do
  local ok, why = xpcall(require, home.report, name)
  if not ok then error("preloads: " .. why, 0) end
end

-- Entries -----------------------------------------------------------------------------------------------------------

local function find(loaded, module_name, function_name)
  local own = package.loaded[module_name]
  for _, place in ipairs({ loaded, own, _G }) do
    if type(place) == "table" and type(rawget(place, function_name)) == "function" then
      return place[function_name]
    end
  end
  error("module '" .. module_name .. "' has no function '" .. function_name .. "'", 0)
end

local function load_main(module_name, function_name) return find(require(module_name), module_name, function_name) end

local function call(module_name, function_name)
  home.loading = true
  local ok, run = xpcall(load_main, home.report, module_name, function_name)
  home.loading = false
  if not ok then return border.load_failed(run) end
  run() -- no tail call: a traceback shall name it
  home.need("mtev/eventer").keep() -- what it made is the module's
end

local observer = home.need("stacks")

local entries = {
  pump = kernel.pump,
  wake = kernel.wake,
  recover = kernel.recover,
  call = function(module_name, function_name) return kernel.start(call, module_name, function_name) end,
  load = function(...) return kernel.start(home.need("mtev/runtime").load, find, ...) end,
  retire = function() return kernel.start(home.need("mtev/runtime").retire) end,
  traced = function(...) return kernel.start(home.need("mtev/trace").call, ...) end,
  hook = function(...) return kernel.answer(home.need("mtev/hooks").call, ...) end,
  inspect = function(...) return kernel.answer(home.need("inspect"), ...) end,
  repl = function(what, ...) return kernel.start(home.need("repl")[what], ...) end,
  reactor_fd = reactor.fd,
  observer = observer,
}
if settings.library ~= "" then
  for name, entry in pairs(home.need(settings.library)) do entries[name] = entry end
end

return entries
