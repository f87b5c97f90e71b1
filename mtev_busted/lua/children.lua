-- The names by which specs start programs: start_child, kill_child, run_command_synchronously_return_output,
-- mk_coroutine_reader.  What a spec leaves running is ended after the last one.
--
-- start_child gives a TestProc, as the original's specs expect.  With an option that only mtev.Proc has (boot_timeout, log,
-- stream, name), or without a path, it gives an mtev.Proc and raises when the child does not get ready.

local use = ...
local busted = use("core")
local failure = use("failure")
local TestProc = use("testproc")

local LAST_LINES = 20 -- of stderr, shown when a child does not get ready
local SHUTDOWN = 5 -- seconds a child has to end after TERM

local running = {} -- children -> true

local function last_lines(proc)
  local lines = {}
  proc:loglisten(function(line)
    if #lines == LAST_LINES then table.remove(lines, 1) end
    lines[#lines + 1] = line
  end)
  return lines
end

local function describe(proc, params, lines)
  local name = params.name or table.concat(params.argv, " ")
  local ended, status = proc:wait()
  local what = ended and "ended with status " .. status
    or status and "was ended by signal " .. mtev.WTERMSIG(status)
    or "did not start"
  local text = table.concat(lines)
  return name .. ": not ready within " .. (params.boot_timeout or 5) .. " s and " .. what
    .. (text ~= "" and "; the last of its stderr:\n" .. text or "")
end

-- Starts a program and waits until a line of its stderr matches boot_match; returns its mtev.Proc.
-- params: path, argv, env, dir, boot_match, boot_timeout, as for mtev.Proc:new, where path may be argv's first and without
-- boot_match nothing is waited for; name, shown in messages; log, the file its stderr goes to; stream, the log stream.
local function start_proc(params)
  local path = params.path or (params.argv or {})[1]
  if type(path) ~= "string" then failure.refuse(1, "start_child", "path or argv", type(path)) end
  local argv = params.argv or { path }
  local proc = mtev.Proc:new({
    path = path, argv = argv, env = params.env, dir = params.dir,
    boot_match = params.boot_match, boot_timeout = params.boot_timeout,
  })
  local lines = last_lines(proc)
  if params.log then proc:logwrite(params.log) end
  if params.stream then proc:loglog(params.stream, params.name and params.name .. ": " or nil) end
  local _, why = proc:start()
  if why then error("start_child: " .. why, 3) end
  running[proc] = true
  if params.boot_match and not proc:ready() then
    running[proc] = nil
    error("start_child: " .. describe(proc, { name = params.name, argv = argv, boot_timeout = params.boot_timeout }, lines), 3)
  end
  return proc
end

local function start_child(params)
  if type(params) ~= "table" then failure.refuse(1, "start_child", "table", type(params)) end
  if not params.path or params.boot_timeout or params.log or params.stream or params.name then
    local proc = start_proc(params)
    return proc
  end
  local child = TestProc:new(params)
  child:start()
  return child
end

-- Ends a child: TERM, then KILL.  Returns whether it has ended, its wait status, an errno, as mtev.Proc:kill.
local function kill_child(child, timeout)
  if getmetatable(child) == TestProc then return child:kill() end
  if getmetatable(child) ~= mtev.Proc then
    failure.refuse(1, "kill_child", "what start_child gave", type(child))
  end
  running[child] = nil
  return child:kill(timeout or SHUTDOWN)
end

local function kill_children()
  for child in pairs(running) do kill_child(child) end
  TestProc.kill_all()
end

-- Runs a program to its end; returns its wait status and what it wrote to stdout and stderr.  The command: a table as
-- start_child takes it, a command of the shell as text, or an array of arguments.
local function run_command_synchronously_return_output(command, env, timeout)
  if type(command) == "table" and (command.argv or command.path) then
    return TestProc:new(command):capturecommand()
  end
  if type(command) == "string" then command = { "/bin/sh", "-c", command } end
  if type(command) ~= "table" or type(command[1]) ~= "string" then
    failure.refuse(1, "run_command_synchronously_return_output", "command or array of arguments", type(command))
  end
  return mtev.exec(command[1], command, env, timeout or math.huge)
end

-- With three arguments: has a coroutine wait for the key *start*, read all that *stream* gives, and notify the key *done*
-- with it.  Otherwise: a function for mtev.coroutine_spawn, which calls *f* with each line that *event* gives.
local function mk_coroutine_reader(event, f, stream)
  if stream ~= nil then
    local start, done = event, f
    return mtev.coroutine_spawn(function()
      local own, parts = stream:own(), {}
      mtev.waitfor(start)
      while true do
        local data = own:read(65536)
        if not data or data == "" then break end
        parts[#parts + 1] = data
      end
      own:close()
      mtev.notify(done, table.concat(parts))
    end)
  end
  if f ~= nil and type(f) ~= "function" then failure.refuse(2, "mk_coroutine_reader", "function", type(f)) end
  return function()
    local own = event:own()
    while true do
      local line = own:read("\n")
      if not line then break end
      if f then f(line) end
    end
    own:close()
  end
end

busted.export_global("start_child", start_child)
busted.export_global("kill_child", kill_child)
busted.export_global("run_command_synchronously_return_output", run_command_synchronously_return_output)
busted.export_global("mk_coroutine_reader", mk_coroutine_reader)

return { kill_all = kill_children }
