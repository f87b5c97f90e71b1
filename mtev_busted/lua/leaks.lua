-- What a test leaves behind: coroutines that have not ended, sockets that are open, programs that run; each with the line
-- that made it.  What the blocks around it made is theirs, and so is what coroutines make that these started.  Looked for when the run asks for it.

local use, plan = ...
local busted = use("core")
local context = use("context")
local failure = use("failure")
local tasks = use("tasks")

local M = {}

local made = {} -- by tests and blocks since the last test: kind, place, owner, is_left()
local found = {} -- what it left, as it is to be told
local status = coroutine.status

local function note(kind, is_left)
  local file, line = failure.location()
  made[#made + 1] = { kind = kind, owner = tasks.owner(), file = file, line = line, is_left = is_left }
end

local function runs(process)
  if not process:kill(0) then return false end
  local stat = io.open("/proc/" .. process:pid() .. "/stat")
  if not stat then return true end
  local text = stat:read("*a")
  stat:close()
  return text:match("%) (%a)") ~= "Z"
end

-- Has *name* of a library noted whenever it makes something.
local function watch(library, name, kind, is_left)
  local original = library[name]
  local function noted(thing, ...)
    if thing then note(kind, function() return is_left(thing) end) end
    return thing, ...
  end
  library[name] = function(...) return noted(original(...)) end
end

-- Tells what was found.
function M.tell(test)
  local list = found
  found = {}
  for _, info in ipairs(list) do
    busted.tell({ info.kind, test.descriptor }, test, context.parent(test), info.message, info)
  end
end

-- Finds out what *test* left, and tells of it; where its end is told later, M.tell is to be called then.
function M.check(test)
  if plan.leaks == "" or test.descriptor ~= "it" then return end
  local things = made
  made = {}
  if #things == 0 then return end
  tasks.give_way()
  for _, thing in ipairs(things) do
    if thing.owner == test and thing.is_left() then
      local where = thing.file and (" (%s:%d)"):format(thing.file, thing.line) or ""
      found[#found + 1] = { kind = plan.leaks == "fail" and "error" or "leak", message = "the test left " .. thing.kind .. where,
        file = thing.file, line = thing.line, short_src = thing.file, currentline = thing.line, traceback = "",
        late = true }
    end
  end
  if not busted.held then M.tell(test) end
end

if plan.leaks ~= "" then
  tasks.on_spawn = function()
    local co
    note("a coroutine that has not ended", function() return co == nil or status(co) ~= "dead" end)
    return function(started) co = started end
  end
  watch(mtev, "socket", "an open socket", function(socket) return socket.guard ~= nil and socket.guard ~= false and
    socket.guard[0] >= 0 end)
  watch(mtev, "spawn", "a running program", runs)
  watch(io, "popen", "an open pipe of io.popen", function(pipe) return io.type(pipe) == "file" end)
  watch(mtev.Proc, "start", "a running program", function(proc) return proc.process and runs(proc.process) end)
end

return M
