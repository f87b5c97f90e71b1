-- Puts the runner together, runs the plan it is given, and ends the process.

local use, plan = ...

local exit = os.exit

local function write_junit()
  if plan.list or plan.junit == "" then return end
  local ok, message = use("outputs/junit").write_file(plan.junit)
  if ok then return end
  io.stderr:write("mtev-busted: cannot write ", plan.junit, ": ", message, "\n")
  plan.junit_failed = plan.junit_required
end

-- One search path of several, without those that are empty.
local function joined(...)
  local parts = {}
  for _, path in ipairs({ ... }) do
    if path ~= "" then parts[#parts + 1] = path end
  end
  return table.concat(parts, ";")
end

local function run()
  local library = use("luassert/luassert")
  local busted = use("core")
  local base = use("outputs/base")
  for name, value in pairs({ assert = library.assert, spy = library.spy, stub = library.stub, mock = library.mock,
    match = library.match }) do
    busted.exportApi(name, value)
    busted.export(name, value)
  end
  for name, module in pairs(library.modules) do package.loaded[name] = module end
  use("luassert/eventually")
  use("luassert/snapshots")
  use("modules")
  use("ffi")
  use("specs")
  use("children")
  use("services")
  use("arguments")
  os.exit = function(status)
    use("failure").raise("error", "os.exit(" .. tostring(status) .. ") in a spec would end the run")
  end
  package.path = joined(plan.lpath, package.path, plan.system_lpath)
  package.cpath = joined(plan.cpath, package.cpath, plan.system_cpath)
  for _, name in ipairs(plan.enable_logs) do mtev.enable_log(name) end
  for _, name in ipairs(plan.disable_logs) do mtev.enable_log(name, false) end
  if plan.role ~= "reporter" then use("interrupt").watch(exit) end
  if plan.coverage and plan.role ~= "reporter" then use("coverage").start() end
  if plan.role == "worker" then
    use("worker")()
    return 0
  end
  if plan.journal >= 0 then use("outputs/wire") end
  base.start()
  if plan.junit ~= "" or plan.output == "junit" then use("outputs/junit").start() end
  use("progress")
  if plan.list then use("outputs/list") else use("outputs").load(plan) end

  if plan.log_success ~= "" then
    busted.subscribe({ "suite", "report" }, function() assert(base.log_successes(plan.log_success)) end)
  end
  base.remember_failed(plan.failed_file)
  if plan.role == "reporter" then
    use("reporter").run()
  else
    use("suite").run(plan)
  end
  write_junit()
  return (base.wrong() == 0 and not busted.wrecked and not plan.junit_failed) and 0 or 2
end

-- A new state would run all specs again.
local function keeps_its_state() error("mtev.runtime_reload: the spec runner keeps its state", 2) end

local function main()
  mtev.runtime_reload = keeps_its_state
  local ok, result = xpcall(run, function(err) return debug.traceback(tostring(err), 2) end)
  if not ok then
    io.stderr:write("mtev-busted: ", result, "\n")
    result = 2
  end
  use("children").kill_all()
  local base = use("outputs/base")
  base.flush_now()
  if base.unwritten then
    io.stderr:write("mtev-busted: cannot write to standard output: ", base.unwritten, "\n")
    result = 2
  end
  if plan.journal >= 0 then
    local wire = use("outputs/wire")
    wire.tell_coverage()
    wire.tell("Z", "")
  end
  exit(result)
end

return { main = main }
