-- Puts a new state together: the kernel, the reactor, the mtev table and the globals of the contract.
-- Returns the functions by which the rest of the process enters Lua; each returns first when the kernel wants to be
-- called next (seconds, or -1 for not before somebody wakes a task), then what it was called for.

local border, settings, load_library = ...

if settings.jit_off then jit.off() end
if settings.jit_opt then jit.opt.start(settings.jit_opt) end
if settings.gc_pause then collectgarbage("setpause", settings.gc_pause) end
if settings.gc_stepmul then collectgarbage("setstepmul", settings.gc_stepmul) end

local kernel = load_library("kernel", border, settings, load_library)
local reactor = load_library("reactor", kernel, border, settings, load_library)

-- What a family of functions is built from.
local home = { border = border, kernel = kernel, load_library = load_library, reactor = reactor, settings = settings }

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
  return debug.traceback(ok and text or "error object is a " .. type(failure) .. " value", 2)
end

mtev = {}
ffi = require("ffi")
for _, family in ipairs({ "object", "timeval", "coroutines", "stopping", "log", "conf", "shared", "system",
  "json_decode", "json_encode", "json", "encodings", "digests", "text", "gunzip", "pcre_library", "pcre_package", "pcre",
  "timezone", "crypto", "bignum", "xml", "pack", "extras", "files", "cluster", "reverse", "messages", "consul", "sockaddr", "addresses", "eventer", "tls", "socket", "process", "exec", "Proc", "dns", "hooks",
  "http_response", "zipkin", "HttpClient", "Api", "websocket", "absent" }) do
  package.loaded["mtev." .. family] = load_library("mtev/" .. family, home) or mtev
end

package.loaded.mtev, package.loaded["mtev.lua_init"] = mtev, mtev

-- The C functions of the server are Lua here.
local load_shared, libmtev = ffi.load, nil
function ffi.load(name, ...)
  if type(name) ~= "string" or name:gsub("^lib", ""):gsub("%.so[.%d]*$", "") ~= "mtev" then
    return load_shared(name, ...)
  end
  libmtev = libmtev or load_library("ffi_mtev/init", home)
  return libmtev
end
package.loaded["mtev.hooks.http"] = load_library("mtev/hooks_http", home)

-- `require` -------------------------------------------------------------------------------------------------------

local function search_path(wanted, default)
  if wanted == "" then return default end
  local path = wanted:gsub("{package%.c?path}", function() return default end)
  return path
end

package.path = search_path(settings.directory, package.path)
package.cpath = search_path(settings.cpath, package.cpath)

-- mtev.NAME comes with the program, wherever the path points.
table.insert(package.loaders, 2, function(name)
  local inner = name:match("^mtev%.([%w_]+)$")
  if inner and border.library_exists("mtev/" .. inner) then
    return function() return load_library("mtev/" .. inner, home) end
  end
  return "\n\tno library '" .. name .. "'"
end)

-- The name itself may be the path of a file.
table.insert(package.loaders, function(name)
  local file = io.open(name, "rb")
  if not file then return "\n\tno file '" .. name .. "'" end
  file:close()
  local chunk, message = loadfile(name)
  if not chunk then error("error loading module '" .. name .. "':\n\t" .. message, 0) end
  return chunk
end)

for name in settings.Cpreloads:gmatch("[^%s,]+") do
  local path, tried = package.searchpath(name, package.cpath)
  if not path then error("Cpreloads: no C module '" .. name .. "':" .. tried, 0) end
  local open = assert(package.loadlib(path, "luaopen_" .. name:gsub("%.", "_")))
  package.loaded[name] = open(name) or package.loaded[name] or true
end
for name in settings.preloads:gmatch("[^%s,]+") do require(name) end

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
  local ok, run = xpcall(load_main, home.report, module_name, function_name)
  if not ok then return border.load_failed(run) end
  run() -- no tail call: a traceback shall name it
  home.eventer_keep() -- what it made is the module's
end

local observer = load_library("stacks", home)
local inspect, repl -- few states are ever asked

local entries = {
  pump = kernel.pump,
  wake = kernel.wake,
  recover = kernel.recover,
  call = function(module_name, function_name) return kernel.start(call, module_name, function_name) end,
  hook = function(...) return kernel.answer(home.call_hook, ...) end,
  inspect = function(...)
    inspect = inspect or load_library("inspect", home)
    return kernel.answer(inspect, ...)
  end,
  repl = function(what, ...)
    repl = repl or load_library("repl", home)
    return kernel.start(repl[what], ...)
  end,
  reactor_fd = reactor.fd,
  observer = observer,
}
if settings.library ~= "" then
  for name, entry in pairs(load_library(settings.library, home)) do entries[name] = entry end
end

return entries
