-- The output of a worker: every event goes to the reporter, in the order of what specs print.

local use = ...
local busted = use("core")
local wire = use("wire")

local out = io.stdout
out:setvbuf("full") -- it writes when it is told to, whatever PYTHONUNBUFFERED says
local ids, last_id = {}, 0 -- element of the running file -> its number

local function id_of(element)
  local id = ids[element]
  if not id then
    id = last_id + 1
    ids[element], last_id = id, id
  end
  return id
end

local function place(element)
  local trace = element.trace or {}
  return trace.source and trace.source:sub(1, 1) == "@" and trace.source:sub(2) or trace.short_src, trace.currentline
end

-- A name that may be an empty text, or none.
local function given(name) return name and "=" .. name end

local function start_of(kind)
  return function(element, parent)
    local file, line = place(element)
    out:write(wire.pack(kind, id_of(element), given(element.name), element.descriptor, file, line,
      parent and parent.randomseed or nil))
    out:flush() -- whatever happens now, the reporter knows where
  end
end

local function end_of(kind)
  return function(element, _, status)
    out:write(wire.pack(kind, id_of(element), element.duration, kind == "t" and status or nil, element.try))
    if kind == "f" then ids = {} end
  end
end

local function wrong(kind)
  return function(element, parent, message, info)
    local file, line = place(element)
    info = info or {}
    out:write(wire.pack_list("X", 14, { kind, id_of(element), given(element.name), element.descriptor, file, line,
      (parent or {}).randomseed, message and "=" .. tostring(message), given(info.traceback), info.file, info.line,
      info.late and "late" or nil, element.load_error and "load" or nil, info.try or element.try }))
  end
end

function busted.on_limit(seconds)
  out:write(wire.pack_list("!L", 1, { seconds or 0 }))
  out:flush() -- whoever waits for it may have to end this process
end

busted.subscribe({ "file", "start" }, start_of("F"))
busted.subscribe({ "file", "end" }, end_of("f"))
busted.subscribe({ "describe", "start" }, start_of("D"))
busted.subscribe({ "describe", "end" }, end_of("d"))
busted.subscribe({ "test", "start" }, start_of("T"))
busted.subscribe({ "test", "end" }, end_of("t"))
for _, kind in ipairs({ "failure", "error", "pending", "retry", "leak" }) do busted.subscribe({ kind }, wrong(kind)) end
