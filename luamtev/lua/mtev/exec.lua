-- mtev.exec and mtev.sh: run a program to its end and return what it wrote.

local home = ...

local getenv = os.getenv
local kernel = home.kernel
local refuse, numeral = home.need("arguments").refuse, home.need("arguments").numeral
local processes, eventer = home.need("mtev/process"), home.need("mtev/eventer")
local prepare, start, numbers, read_some = processes.prepare, processes.start, processes.numbers, eventer.read_some
local monotonic, concat, huge = kernel.monotonic, table.concat, math.huge
local type, tostring = type, tostring

local TIMEOUT = 1 -- seconds from TERM to KILL, and from KILL to giving up

-- Reads *event* to its end, in a coroutine of its own; gathered.pending counts those that still read.
local function gather(gathered, name, event)
  gathered.pending = gathered.pending + 1
  kernel.spawn(function()
    local pieces = gathered[name]
    while true do
      local data = read_some(event)
      if not data then break end
      pieces[#pieces + 1] = data
    end
    gathered.pending = gathered.pending - 1
    local waiting = gathered.waiting.all
    if gathered.pending == 0 and waiting then kernel.make_ready(waiting, true) end
  end)
end

-- Waits until all is read or the *deadline* passes.
local function await_end(gathered, deadline)
  if gathered.pending == 0 then return end
  local timeout = deadline < huge and deadline - monotonic() or nil
  if timeout and timeout <= 0 then return end
  kernel.park(gathered.waiting, "all", timeout)
end

-- Ends the process and all it started.
local function stop(process)
  process:pgkill(numbers.SIGTERM)
  process:wait(TIMEOUT)
  process:pgkill(numbers.SIGKILL)
  process:wait(TIMEOUT)
end

local function run(timeout, path, argv, env)
  kernel.parkable()
  local process, stdin, stdout, stderr = start(path, argv, env)
  if not stdout then return process:wait(), "", "" end
  stdin:close()
  local deadline = monotonic() + timeout
  local gathered = { out = {}, err = {}, pending = 0, waiting = {} }
  gather(gathered, "out", stdout)
  gather(gathered, "err", stderr)
  local status = process:wait(timeout)
  if not status then
    stop(process)
    deadline = monotonic() + TIMEOUT
  end
  await_end(gathered, deadline) -- others may hold the pipes for longer
  stdout:close()
  stderr:close()
  return status, concat(gathered.out), concat(gathered.err)
end

local function check_timeout(timeout, position, name, default)
  if timeout == nil then return default end
  local seconds = numeral(timeout)
  if not seconds or seconds ~= seconds then
    refuse(position, name, "number of seconds", tostring(timeout), 3)
  end
  return seconds > 0 and seconds or 0
end

-- exec(path[, argv[, env=ENV[, timeout=5]]]): the wait status, nil when the time was up, and what the program wrote.
function mtev.exec(path, argv, env, timeout)
  timeout = check_timeout(timeout, 4, "exec", 5)
  path, argv, env = prepare("exec", path, argv, env or ENV)
  return run(timeout, path, argv, env)
end

-- sh(command[, timeout[, shell=$SHELL or /bin/sh]]): the same for a command of the shell; all nil when the time was up.
function mtev.sh(command, timeout, shell)
  if type(command) ~= "string" then
    refuse(1, "sh", "command", type(command), 2)
  end
  timeout = check_timeout(timeout, 2, "sh", huge)
  shell = shell or getenv("SHELL") or "/bin/sh"
  local status, out, err = run(timeout, prepare("sh", shell, { shell, "-c", command }, ENV))
  if not status then return nil, nil, nil end
  return status, out, err
end
