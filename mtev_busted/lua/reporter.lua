-- The reporter: has what workers tell, in the order of the files, reported by the output as if it happened here.

local use, plan = ...
local base = use("outputs/base")
local busted = use("core")
local context = use("context")
local wire = use("wire")

local time = mtev.time

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
  local info = { kind = kind, message = text_of(fields[8]), traceback = fields[9], file = text_or_nil(fields[10]),
    line = tonumber(fields[11]), late = fields[12] == "late", try = tonumber(fields[14]) }
  info.short_src, info.currentline = info.file, info.line
  busted.tell({ kind, element.descriptor }, element, parent, info.message, info)
end

-- The worker of the file *path* died: one error, of the test that ran or of the file.
local function killed(path, message)
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
  C = function(fields) use("coverage").merge(fields[1], fields[2]) end,
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
handlers.P = function(fields) outside(fields[1]) end

-- Reports what comes as lines: events, and between them "R run seed" when a run begins and "r" when it ends.
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
  for line in assert(io.open("/dev/fd/" .. plan.commands, "r")):lines() do
    local mark = line:find(wire.MARK, 1, true)
    if not mark then
      base.write(line, "\n")
    else
      if mark > 1 then base.write(line:sub(1, mark - 1)) end
      local kind, fields = wire.unpack(line:sub(mark + #wire.MARK))
      handlers[kind](fields)
    end
  end
  busted.tell({ "exit" })
end

return M
