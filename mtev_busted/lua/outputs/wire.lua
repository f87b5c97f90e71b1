-- What is told of a run, of tests by the thousand: a worker's events stand between what it prints, those of a process that
-- has the terminal go into its journal.

local use, plan = ...
local busted = use("core")
local ffi = require("ffi")
local wire = use("wire")

local M = {}

-- Names of our own: specs may declare these as they like.
ffi.cdef([[
intptr_t mtev_busted_write(int, const void *, size_t) asm("write");
int mtev_busted_setvbuf(void *, void *, int, size_t) asm("setvbuf");
void *mtev_busted_malloc(size_t) asm("malloc");
]])
local C = ffi.C

local BUFFER, FULL = 65536, 0 -- of stdout: bytes, and _IOFBF
local has_journal = plan.journal >= 0
local send, flush

if has_journal then
  local journal = plan.journal
  send = function(event) C.mtev_busted_write(journal, event:ref()) end
  flush = function() end
else
  local out = io.stdout
  -- It writes when it is told to, whatever PYTHONUNBUFFERED says, which leaves it a buffer of one byte for good.
  C.mtev_busted_setvbuf(out, C.mtev_busted_malloc(BUFFER), FULL, BUFFER)
  send = function(event) out:write(event:get()) end
  flush = function() out:flush() end
end

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
    send(wire.pack(kind, id_of(element), given(element.name), element.descriptor, file, line,
      parent and parent.randomseed or nil))
    flush() -- whatever happens now, the reporter knows where
  end
end

local function end_of(kind)
  return function(element, _, status)
    send(wire.pack(kind, id_of(element), element.duration, kind == "t" and status or nil, element.try))
    flush() -- it is over, whatever comes now
    if kind == "f" then ids = {} end
  end
end

local function wrong(kind)
  return function(element, parent, message, info)
    local file, line = place(element)
    info = info or {}
    send(wire.pack_list("X", 14, { kind, id_of(element), given(element.name), element.descriptor, file, line,
      (parent or {}).randomseed, message and "=" .. tostring(message), given(info.traceback), info.file, info.line,
      info.late and "late" or nil, element.load_error and "load" or nil, info.try or element.try }))
  end
end

-- Tells the process that waits for this one: a kind, which is a letter, and a text.
function M.tell(kind, text)
  send(wire.pack_list("!" .. kind, 1, { text }))
  flush()
end

-- Tells which lines were run since the last time.
function M.tell_coverage()
  if not plan.coverage then return end
  use("coverage").each(function(path, text) send(wire.pack_list("!C", 2, { path, text })) end)
end

function busted.on_limit(seconds) M.tell("L", seconds or 0) end -- this process may have to be ended

busted.subscribe({ "file", "start" }, start_of("F"))
busted.subscribe({ "file", "end" }, end_of("f"))
busted.subscribe({ "describe", "start" }, start_of("D"))
busted.subscribe({ "describe", "end" }, end_of("d"))
busted.subscribe({ "test", "start" }, start_of("T"))
busted.subscribe({ "test", "end" }, end_of("t"))
for _, kind in ipairs({ "failure", "error", "pending", "retry", "leak" }) do busted.subscribe({ kind }, wrong(kind)) end
if has_journal then
  busted.subscribe({ "file", "end" }, function(file)
    M.tell_coverage()
    M.tell(".", file.name)
  end)
end

return M
