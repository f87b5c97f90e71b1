-- A worker: runs the files that the parent process names, one after the other, and tells what happens.

local use, plan = ...
local suite = use("suite")
local wire = use("outputs/wire")

-- Calls prepare() for each run and execute(path) for each file of it.  Commands come as lines: run, seed, path.
local function serve()
  local commands = assert(io.open("/dev/fd/" .. plan.commands, "r"))
  local session = suite.session(plan)
  if plan.problems[1] then
    wire.tell("P", table.concat(plan.problems, "\n"))
    return
  end
  for line in commands:lines() do
    local run, seed, path = line:match("^(%d+) (%d+) (.*)$")
    session.enter(tonumber(run), tonumber(seed))
    session.execute(path)
    wire.tell_coverage()
    wire.tell(".", path)
  end
  session.leave()
  wire.tell_coverage()
  wire.tell("Z", "")
end

return serve
