-- What a test leaves behind: coroutines that have not ended, sockets that are open, programs that run; each with the line
-- that made it.  Looked for when the run asks for it.

local use, plan = ...
local busted = use("core")
local context = use("context")
local failure = use("failure")
local tasks = use("tasks")

local M = {}

local made = {} -- what the running test made: kind, place, is_left()
local found = {} -- what it left, as it is to be told
local status = coroutine.status

local function note(kind, is_left)
  local file, line = failure.location()
  made[#made + 1] = { kind = kind, file = file, line = line, is_left = is_left }
end

local function runs(process)
  if not process:kill(0) then return false end
  local stat = io.open("/proc/" .. process:pid() .. "/stat")
  if not stat then return true end
  local text = stat:read("*a")
  stat:close()
  return text:match("%) (%a)") ~= "Z"
end

-- Has *name* of mtev noted whenever it makes something.
local function watch(name, kind, is_left)
  local original = mtev[name]
  mtev[name] = function(...)
    local results = { n = select("#", ...), original(...) }
    local thing = results[1]
    if thing then note(kind, function() return is_left(thing) end) end
    return unpack(results, 1, table.maxn(results))
  end
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
    if thing.is_left() then
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
  watch("socket", "an open socket", function(socket) return socket.guard ~= nil and socket.guard ~= false and
    socket.guard[0] >= 0 end)
  watch("spawn", "a running program", runs)
end

return M
