-- Web handlers: each request is a coroutine that gets a rest object and the listener's configuration.
--
-- A handler that returns without ending gets a 404 sent, one that fails a 500 (web_failure.lua).  What requests and
-- responses are is in web_http.lua, WebSocket connections are in web_socket.lua.  Manual: lua_web.

local home = ...

local concat = table.concat
local kernel, border, checked, class = home.kernel, home.border, home.checked, home.need("mtev/object")
local http = home.need("web_http")
local new_context, flush_end, is_over, conclude = http.new_context, http.flush_end, http.is_over, http.conclude
local fetch_config = checked(border.web_config)
local monotonic, unpack = kernel.monotonic, unpack
local release, mounts, mount_names = border.web_release, border.web_mounts(), border.web_mount_names()
local failures = home.need("web_failure")
local describe = failures.describe
local type, tostring, error, pcall, xpcall, rawget, package = type, tostring, error, pcall, xpcall, rawget, package
local select, collectgarbage = select, collectgarbage
local status, getinfo, getlocal = coroutine.status, debug.getinfo, debug.getlocal

local rest_methods = {}

function rest_methods:http() return self.context end

-- Whether access control lets this request pass.  A handler that returns after a no without ending the response has a 403
-- sent.
function rest_methods:apply_acl()
  local allowed = self.context.side.allowed(self.context)
  if not allowed then self.denied = true end
  return allowed
end

local configs = {} -- id -> table: the listeners' configurations

local function config_of(id)
  local config = configs[id]
  if not config then
    config = fetch_config(id)
    configs[id] = config
  end
  return config
end

-- What the module of *mount* has as *name*, a value of a *kind*; its own, not what it sees of the globals.
local function member_of(mount, name, kind)
  local module_name = mounts[mount]
  local loaded = require(module_name)
  local module = type(loaded) == "table" and loaded or package.loaded[module_name]
  local member = type(module) == "table" and rawget(module, name)
  if type(member) ~= kind then error("module '" .. module_name .. "' has no " .. kind .. " '" .. name .. "'", 0) end
  return member
end

local handlers = {} -- mount -> function

local function handler_of(mount)
  local handler = member_of(mount, "handler", "function")
  handlers[mount] = handler
  return handler
end

local function close_with(context, code, content_type, message)
  local response = context.draft
  if response.started then
    context.side.cut(context)
    conclude(context)
    return
  end
  if context.handed then context.side.discard(context) end
  response.code, response.reason, response.options = code, false, 0
  response.name, response.value, response.count = "Content-Type", content_type, 1
  response.body, response.pieces = message, 1
  flush_end(context)
end

local watch = home.load_library("web_abort", kernel)

-- Has f() called when the client goes away before the answer is done.  False when the answer is.
function rest_methods:on_abort(...)
  http.check_count(select("#", ...), 1, 1, "on_abort")
  local f = ...
  if type(f) ~= "function" then
    error("bad argument #1 to 'on_abort' (function expected, got " .. type(f) .. ")", 2)
  end
  return watch(self.context, f)
end

local new_rest = class("mtev.http_rest", rest_methods, { denied = false })

local function serve(rest, mount, config)
  local context = rest.context
  local handler = handlers[mount] or handler_of(mount)
  handler(rest, config_of(config))
  if is_over(context) then return end
  if context.refusal then
    close_with(context, context.refusal, "text/plain", http.reason_of(context.refusal) .. "\n")
  elseif context.draft.started then
    flush_end(context)
  elseif rest.denied then
    close_with(context, 403, "text/plain", "Forbidden\n")
  else
    close_with(context, 404, "text/plain", "Not Found\n")
  end
end

local function tell(context, mount, failure)
  failure = failures.described(failure)
  border.task_failed(failures.report_of(failure.report, context, mount_names[mount], mounts[mount]))
  if not is_over(context) then close_with(context, 500, "text/html", failures.page(failure.text)) end
end

-- The same with few words, where there is no memory for more.
local function tell_briefly(context, mount, why)
  collectgarbage() -- what was to be told
  border.task_failed(mount_names[mount] .. " failed, and then what was to tell of it: " .. tostring(why))
  if not is_over(context) then close_with(context, 500, "text/plain", "Internal Server Error\n") end
end

local function cut(context)
  if not is_over(context) then
    context.side.cut(context)
    conclude(context)
  end
end

-- One request from its first line to its last.
local function run(context, mount, config)
  if context.span then kernel.carry(context.span) end
  local ok, failure = xpcall(serve, describe, new_rest({ context = context }), mount, config)
  if ok then return end
  ok, failure = pcall(tell, context, mount, failure)
  if not ok and not pcall(tell_briefly, context, mount, failure) then pcall(cut, context) end
end

-- The same for one that Python read; *entry* carries what can be said of it to whoever called in.
local function run_by_handle(handle, mount, method, path, config, date, entry)
  run(new_context(entry, handle, date or false, method, path), mount, config)
  if entry.within then entry.over = true else release(handle) end
end

-- A handler that is cancelled leaves nobody to answer: the answer is a 500 then, or cut off where it is.
local function cut_off(context)
  close_with(context, 500, "text/plain", "Internal Server Error\n")
  if context.handle then release(context.handle) end
end

-- The context of the request whose handler *co* runs, if it is one.
local function context_of(co)
  local level = 0
  local frame = getinfo(co, level, "f")
  while frame and frame.func ~= run do
    level = level + 1
    frame = getinfo(co, level, "f")
  end
  if frame then return select(2, getlocal(co, level, 1)) end
end

-- So does one that yields to nobody.
kernel.on_adrift(function(co)
  local context = context_of(co)
  return context and function() return not is_over(context) and (pcall(cut_off, context)) end
end)

kernel.on_leaving(function(task)
  if status(task.co) ~= "suspended" then return end -- it came to its end
  local context = context_of(task.co)
  if context and not is_over(context) then pcall(cut_off, context) end -- it raises where all is over anyway
end)

home.subjects[run] = function(co, level)
  local _, context = getlocal(co, level, 1)
  local wire = not context.handle and context.wire -- of a request that Lua read; of others Python knows who asks
  local client = wire and " of " .. tostring(wire.remote) or ""
  return context.side.method(context) .. " " .. context.side.path(context) .. client, context.handle or nil
end

local function new_entry()
  return { within = false, over = false, many = false, span = false, code = false, lines = "", data = nil }
end

local spare = new_entry()

local on_socket_event = home.load_library("web_socket", home, {
  acl = checked(border.web_acl), check_count = http.check_count, check_text = http.check_text, config_of = config_of,
  describe = describe, described = failures.described, member_of = member_of, new_request_of = http.new_request_of,
})

-- The subprotocols that the module of *mount* speaks on WebSocket connections, best first, a line each.
local function protocols_of(mount)
  local good, callbacks = xpcall(member_of, describe, mount, "websocket", "table")
  if not good then callbacks = failures.described(callbacks) end
  local names = good and callbacks.protocols or {}
  if good and type(names) ~= "table" then
    good, callbacks = false, describe("module '" .. mounts[mount] .. "': websocket.protocols is no array of names")
  end
  if good then return concat(names, "\n") end
  border.task_failed(callbacks.report)
  return ""
end

-- Several requests at once: what is asked, three values each; how far it is done; four values for each that was begun.
local asked, asked_at, asked_count, handle_at, config_asked, ending = {}, 0, 0, 0, 0, 0
local said, said_count = {}, 0
local begun = false -- the entry of the one that was begun last, until it is noted

-- Notes what came of it by now.
local function note()
  local entry, n = begun, said_count
  begun, entry.within, entry.many = false, false, false
  local data = entry.data
  said[n + 1], said[n + 2], said[n + 3], said[n + 4] = entry.over, data and entry.code or 0, entry.lines, data or ""
  said_count = n + 4
  if not entry.over then spare = new_entry() end -- the coroutine still has this one
end

local function is_served() return asked_at >= asked_count or monotonic() >= ending end

-- Serves one after the other; false when the task is another's now.
local function serve_next()
  repeat
    local at, handle, entry = asked_at, handle_at, spare
    asked_at, handle_at, begun = at + 3, handle + 1, entry
    entry.within, entry.over, entry.data, entry.many = true, false, nil, true
    kernel.lend()
    run_by_handle(handle, asked[at + 1], asked[at + 2], asked[at + 3], config_asked, false, entry)
    if not kernel.is_leader() then return false end
    note()
  until is_served()
  return true
end

-- For *budget* seconds; four values for each that was begun.  See Exchanges.serve_many.
local function serve_many(first, config, budget, ...)
  asked, asked_at, asked_count, handle_at, config_asked = { ... }, 0, select("#", ...), first, config
  said, said_count, ending = {}, 0, monotonic() + budget
  local delay = kernel.start_leading(serve_next, function()
    if begun then note() end -- its handler waits for something, or keeps the task
    return is_served()
  end)
  return delay, unpack(said, 1, said_count)
end

local entries = {
  protocols = function(mount) return kernel.answer(protocols_of, mount) end,
  socket = function(...) return kernel.start(on_socket_event, ...) end,
  -- Returns when the kernel wants to be called, and whether the request is done with; where the response is whole already
  -- its status and all of it, as bytes.
  serve = function(handle, mount, method, path, config, date, span)
    local entry = spare
    entry.within, entry.over, entry.data, entry.span = true, false, nil, span or false
    local delay = kernel.start(run_by_handle, handle, mount, method, path, config, date, entry)
    entry.within, entry.span = false, false
    if not entry.over then spare = new_entry() end -- the coroutine still has this one
    return delay, entry.over, entry.code, entry.data
  end,
  serve_many = serve_many,
}

-- Where descriptors can be waited for here, this state serves connections of HTTP/1 itself.
if home.reactor.attend then
  home.load_library("http1/turns", home, run)
  for name, entry in pairs(home.need("http1/connections").entries) do entries[name] = entry end
end

return entries
