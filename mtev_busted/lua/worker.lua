-- A worker: runs the files that the parent process names, one after the other, and tells what happens.

local use, plan = ...
local suite = use("suite")
local wire = use("wire")

-- Calls prepare() for each run and execute(path) for each file of it.  Commands come as lines: run, seed, path.
local function serve()
  local commands = assert(io.open("/dev/fd/" .. plan.commands, "r"))
  local out = io.stdout
  local function tell(kind, text)
    out:write(wire.pack_list("!" .. kind, 1, { text }))
    out:flush()
  end
  local function tell_coverage()
    if not plan.coverage then return end
    use("coverage").each(function(path, text) out:write(wire.pack_list("!C", 2, { path, text })) end)
  end
  if plan.coverage then use("coverage").start() end
  local session = suite.session(plan)
  if plan.problems[1] then
    tell("P", table.concat(plan.problems, "\n"))
    return
  end
  for line in commands:lines() do
    local run, seed, path = line:match("^(%d+) (%d+) (.*)$")
    session.enter(tonumber(run), tonumber(seed))
    session.execute(path)
    tell_coverage()
    tell(".", path)
  end
  session.leave()
  tell_coverage()
  tell("Z", "")
end

return serve
