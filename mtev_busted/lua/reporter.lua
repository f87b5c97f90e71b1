-- The reporter: has what workers tell, in the order of the files, reported by the output as if it happened here.

local use, plan = ...
local base = use("outputs/base")
local busted = use("core")
local context = use("context")
local ffi = require("ffi")
local wire = use("wire")

local time = mtev.time

-- Names of our own: specs may declare these as they like.
ffi.cdef([[
ssize_t mtev_busted_read(int, void *, size_t) asm("read");
int mtev_busted_open(const char *, int) asm("open");
int mtev_busted_dup(int) asm("dup");
int mtev_busted_dup2(int, int) asm("dup2");
int mtev_busted_close(int) asm("close");
]])
local C = ffi.C
local EINTR = 4
local CHUNK = 65536
local PAUSE = 400 -- what there is stays until the end, and need not be looked at so often

local M = {}

local by_id = {} -- of the file that is reported
local test = nil -- the one that runs

local function text_or_nil(field) return field ~= "" and field or nil end

-- A field that may be an empty text: "=text", or nothing.
local function text_of(field) return field ~= "" and field:sub(2) or nil end

local function element_of(id, name, descriptor, file, line)
  local known = by_id[id]
  if known then return known end
  local path = text_or_nil(file)
  local element = { name = text_of(name), descriptor = descriptor, attributes = {}, starttime = time(),
    trace = { short_src = path, source = path and "@" .. path, currentline = tonumber(line) } }
  by_id[id] = element
  context.attach(element)
  return element
end

local function begin(channel, fields)
  local element = element_of(fields[1], fields[2], fields[3], fields[4], fields[5])
  local parent = context.parent(element)
  if parent then parent.randomseed = tonumber(fields[6]) or parent.randomseed end
  if channel == "test" then test = element else context.push(element) end
  busted.tell({ channel, "start" }, element, parent)
end

local function finish(channel, element, duration, status)
  element.endtime, element.duration = time(), tonumber(duration) or time() - element.starttime
  busted.tell({ channel, "end" }, element, context.parent(element), status)
  if channel == "test" then test = nil else context.pop() end
end

local function finish_by_id(channel, fields)
  local element = by_id[fields[1]]
  if not element then return end -- a child that a test has forked goes on and ends it once more
  element.try = tonumber(fields[4])
  finish(channel, element, fields[2], text_or_nil(fields[3]))
  if channel == "file" then by_id = {} end
end

local function wrong(fields)
  local kind = fields[1]
  local element = element_of(fields[2], fields[3], fields[4], fields[5], fields[6])
  local parent = context.parent(element)
  if parent then parent.randomseed = tonumber(fields[7]) or parent.randomseed end
  element.load_error = text_or_nil(fields[13]) and true or nil
  local info = { kind = kind, message = text_of(fields[8]), traceback = text_of(fields[9]), file = text_or_nil(fields[10]),
    line = tonumber(fields[11]), late = fields[12] == "late", try = tonumber(fields[14]) }
  info.short_src, info.currentline = info.file, info.line
  busted.tell({ kind, element.descriptor }, element, parent, info.message, info)
end

local standard_output = nil -- while nothing is to be printed, another descriptor of it

-- From now on nothing that an output writes to standard output is to be seen.
local function quiet()
  local nowhere = C.mtev_busted_open("/dev/null", 1)
  standard_output = C.mtev_busted_dup(1)
  C.mtev_busted_dup2(nowhere, 1)
  C.mtev_busted_close(nowhere)
end

local function loud()
  if not standard_output then return end
  base.flush_now()
  C.mtev_busted_dup2(standard_output, 1)
  C.mtev_busted_close(standard_output)
  standard_output = nil
end

-- The process of the file *path* died: one error, of the test that ran or of the file.
local function killed(path, message)
  loud()
  local info = { kind = "error", message = message, traceback = "" }
  local file = context.get()
  while context.parent(file) and file.descriptor ~= "file" do file = context.parent(file) end
  if test then
    busted.report(test, info)
    finish("test", test, nil, "error")
  else
    local element = file.descriptor == "file" and file or { descriptor = "file", name = path, attributes = {},
      trace = { short_src = path, source = "@" .. path, currentline = 1 } }
    if element ~= file then context.attach(element) end
    busted.report(element, info)
  end
  while context.get().descriptor ~= "suite" do
    local block = context.get()
    finish(block.descriptor == "file" and "file" or "describe", block)
  end
  by_id = {}
end

local handlers = {
  ["0"] = function() base.write("\0") end,
  F = function(fields) begin("file", fields) end,
  f = function(fields) finish_by_id("file", fields) end,
  D = function(fields) begin("describe", fields) end,
  d = function(fields) finish_by_id("describe", fields) end,
  T = function(fields) begin("test", fields) end,
  t = function(fields) finish_by_id("test", fields) end,
  X = wrong,
  K = function(fields) killed(fields[1], fields[2]) end,
  E = function(fields)
    io.stdout:flush()
    io.stderr:write(fields[1])
  end,
}

local problems = {}

local function outside(message)
  if problems[message] then return end
  problems[message] = true
  local element = { descriptor = "suite", attributes = {}, trace = {} }
  busted.tell({ "error", "suite" }, element, nil, message, { kind = "error", message = message, traceback = "" })
end
handlers.P = function(fields)
  loud()
  outside(fields[1])
end

-- Calls take(data, last) with what the descriptor *fd* gives: data whose last line ends at *last*.  At the end of all, with
-- what has no end, if anything.
local function each_chunk(fd, take)
  local buffer, rest = ffi.new("uint8_t[?]", CHUNK), {} -- of a line that has no end yet
  while true do
    local n = tonumber(C.mtev_busted_read(fd, buffer, CHUNK))
    if n > 0 then
      rest[#rest + 1] = ffi.string(buffer, n)
      local ends = rest[#rest]:match("^.*()\n")
      if ends then
        local data = table.concat(rest)
        local last = #data - n + ends
        take(data, last)
        rest = { data:sub(last + 1) }
      end
    elseif n == 0 then
      local data = table.concat(rest)
      return take(data, #data)
    elseif ffi.errno() ~= EINTR then
      error("the pipe that tells what happens cannot be read: errno " .. ffi.errno(), 0)
    end
  end
end

-- Reports what is in the lines of *data* up to *last*: events, and between them text.
local function report(data, last)
  local at = 1
  while at <= last do
    local mark = data:find(wire.MARK, at, true) or last + 1
    if mark > at then base.write(data:sub(at, math.min(mark - 1, last))) end
    if mark > last then break end
    local kind = mark + #wire.MARK
    local stop = data:find("\n", kind, true)
    handlers[data:sub(kind, kind)](wire.unpack(data, kind, stop - 1))
    at = stop + 1
  end
  base.flush_now()
end

-- Reports what comes: beside what workers tell, "R run seed" when a run begins and "r" when it ends.
function M.run()
  local root
  handlers.R = function(fields)
    local run, seed = tonumber(fields[1]), tonumber(fields[2])
    context.clear()
    root = context.root()
    root.starttime = time()
    if run > 1 then busted.tell({ "suite", "reset" }, root, run, plan.runs) end
    busted.tell({ "suite", "start" }, root, run, plan.runs, seed)
    for _, problem in ipairs(plan.problems) do outside(problem) end
  end
  handlers.r = function(fields)
    local run = tonumber(fields[1])
    root.endtime = time()
    root.duration = root.endtime - root.starttime
    busted.tell({ "suite", "end" }, root, run, plan.runs)
    busted.tell({ "suite", "report" }, root, run, plan.runs)
  end
  base.flush = function() end -- but once for all that has come
  if plan.printed then quiet() end
  collectgarbage("setpause", PAUSE)
  each_chunk(plan.commands, report)
  busted.tell({ "exit" })
end

return M
