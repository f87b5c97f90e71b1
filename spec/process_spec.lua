-- contract: Processes

local TERM, KILL, STOP, CONT = 15, 9, mtev.uname().sysname == "Linux" and 19 or 17, mtev.uname().sysname == "Linux" and 18 or 19
local ENOENT, EACCES, ESRCH, EINVAL, ECHILD = 2, 13, 3, 22, 10

local function results(...) return { n = select("#", ...), ... } end

local function shell(script, env) return mtev.spawn("/bin/sh", { "sh", "-c", script }, env) end

local function raises(fragment, f, ...)
  local arguments = { n = select("#", ...), ... }
  assert.error_matches(function() f(unpack(arguments, 1, arguments.n)) end, "process_spec.lua:%d+: bad argument " .. fragment)
end

describe("mtev.spawn", function()
  it("gives the process and its three streams", function()
    local process, stdin, stdout, stderr = shell("cat; echo done >&2")
    assert.are.equal("mtev.process", tostring(process))
    assert.is_true(process:pid() > 1)
    assert.are.equal(7, stdin:write("through"))
    stdin:close()
    assert.are.equal("through", stdout:read(100))
    assert.are.equal("done\n", stderr:read("\n"))
    assert.is_nil(stderr:read("\n"))
    assert.are.same({ n = 1, 0 }, results(process:wait(10)))
  end)

  it("searches the PATH and hands over the arguments, empty ones too", function()
    local process, _, stdout = mtev.spawn("sh", { "name", "-c", 'echo "$0|$#|$1|$2"', "zero", "", "a b" })
    assert.are.equal("zero|2||a b\n", stdout:read("\n"))
    assert.are.equal(0, process:wait(10))
  end)

  it("hands over the environment, and none at all when it is omitted", function()
    local _, _, stdout = mtev.spawn("/usr/bin/env", { "env" }, { "A=1", "B=x=y", "C=" })
    assert.are.equal("A=1\nB=x=y\nC=\n", stdout:read(1000))
    _, _, stdout = mtev.spawn("/usr/bin/env", { "env" })
    assert.is_nil(stdout:read(1000))
  end)

  it("puts the process into a group of its own", function()
    local process, _, stdout = shell("ps -o pgid= -p $$", { "PATH=/bin:/usr/bin" })
    assert.are.equal(process:pid(), tonumber(stdout:read("\n")))
  end)

  it("gives a process and an errno when it cannot start", function()
    local got = results(mtev.spawn("no-such-program", { "x" }))
    assert.are.equal(2, got.n)
    assert.are.equal(ENOENT, got[2])
    assert.are.equal(-1, got[1]:pid())
    assert.are.same({ n = 2, 127 * 256, nil }, results(got[1]:wait()))
    assert.are.same({ n = 2, 127 * 256, nil }, results(got[1]:wait(1)))
    assert.are.same({ n = 2, false, ENOENT }, results(got[1]:kill()))
    assert.are.same({ n = 2, false, ENOENT }, results(got[1]:pgkill()))
    assert.are.equal(EACCES, (select(2, mtev.spawn("/", { "/" }))))
  end)

  it("raises for wrong arguments", function()
    raises("#1 to 'spawn' %(path expected, got nil%)", mtev.spawn)
    raises("#1 to 'spawn' %(path expected, got ''%)", mtev.spawn, "")
    raises("#1 to 'spawn' %(path expected, got 'a%z", mtev.spawn, "a\0b")
    raises("#2 to 'spawn' %(array of arguments expected, got string%)", mtev.spawn, "true", "true")
    raises("#2 to 'spawn' %(array of strings expected, got table at 2%)", mtev.spawn, "true", { "true", {} })
    raises("#2 to 'spawn' %(array of strings expected, got string at 1%)", mtev.spawn, "true", { "a\0b" })
    raises("#3 to 'spawn' %(array of K=V strings expected, got 'nothing'%)", mtev.spawn, "true", {}, { "nothing" })
    raises("#3 to 'spawn' %(array of K=V strings expected, got table at 1%)", mtev.spawn, "true", {}, { {} })
    raises("#3 to 'spawn' %(array of K=V strings expected, got number%)", mtev.spawn, "true", {}, 3)
  end)
end)

describe("a process", function()
  it("is waited for: not at all, for a time, more than once", function()
    local process, stdin = shell("read line; exit 3")
    assert.are.same({ n = 2, nil, 110 }, results(process:wait()))
    assert.are.same({ n = 2, nil, 110 }, results(process:wait(0.01)))
    stdin:write("go\n")
    assert.are.same({ n = 1, 768 }, results(process:wait(10)))
    assert.are.same({ n = 2, nil, ECHILD }, results(process:wait()))
    assert.are.same({ n = 2, nil, ECHILD }, results(process:wait(1)))
    assert.are.same({ n = 2, false, ESRCH }, results(process:kill()))
  end)

  it("is waited for by several coroutines", function()
    local process, stdin = shell("read line; exit 1")
    for i = 1, 3 do
      mtev.coroutine_spawn(function() mtev.notify("waited", i, process:wait(10)) end)
    end
    stdin:write("go\n")
    local sum = 0
    for _ = 1, 3 do
      local _, i, status = mtev.waitfor("waited", 10)
      assert.are.equal(256, status)
      sum = sum + i
    end
    assert.are.equal(6, sum)
  end)

  it("takes signals", function()
    local process = shell("sleep 100")
    assert.are.same({ n = 2, true, nil }, results(process:kill(STOP)))
    assert.are.same({ n = 2, true, nil }, results(process:kill(CONT)))
    assert.are.same({ n = 2, true, nil }, results(process:kill(0)))
    assert.are.same({ n = 2, false, EINVAL }, results(process:kill(1000)))
    assert.are.same({ n = 2, true, nil }, results(process:kill()))
    local status = process:wait(10)
    assert.is_true(mtev.WIFSIGNALED(status))
    assert.are.equal(TERM, mtev.WTERMSIG(status))
  end)

  it("takes its descendants with it", function()
    local process, _, stdout = shell("sleep 100 & echo $!; wait")
    assert.is_true(tonumber(stdout:read("\n")) > 1)
    assert.are.same({ n = 2, true, nil }, results(process:pgkill(KILL)))
    assert.are.equal(KILL, mtev.WTERMSIG(process:wait(10)))
    assert.is_nil(stdout:read(1), "nobody holds the pipe")
  end)

  it("raises for wrong arguments and names", function()
    local process = shell("exit 0")
    raises("#1 to 'kill' %(signal number expected, got TERM%)", process.kill, process, "TERM")
    raises("#1 to 'pgkill' %(signal number expected, got 1.5%)", process.pgkill, process, 1.5)
    assert.error_matches(function() process:wait("long") end, "number of seconds expected")
    assert.error_matches(function() return process.nothing end, "mtev.process no such element: nothing")
    assert.error_matches(function() process.pid() end, "must be called as method")
  end)
end)

describe("a wait status", function()
  it("tells how the process ended", function()
    local cases = {
      { 0, exited = true, status = 0 }, { 768, exited = true, status = 3 }, { 15, signaled = true, signal = 15 },
      { 139, signaled = true, signal = 11, core = true }, { 0x137f, stopped = true, by = 19 }, { 0xffff, continued = true },
    }
    for _, case in ipairs(cases) do
      local status = case[1]
      assert.are.equal(case.exited or false, mtev.WIFEXITED(status))
      assert.are.equal(case.signaled or false, mtev.WIFSIGNALED(status))
      assert.are.equal(case.stopped or false, mtev.WIFSTOPPED(status))
      assert.are.equal(case.continued or false, mtev.WIFCONTINUED(status))
      if case.exited then assert.are.equal(case.status, mtev.WEXITSTATUS(status)) end
      if case.signaled then
        assert.are.equal(case.signal, mtev.WTERMSIG(status))
        assert.are.equal(case.core or false, mtev.WCOREDUMP(status))
      end
      if case.stopped then assert.are.equal(case.by, mtev.WSTOPSIG(status)) end
    end
  end)

  it("is a number", function()
    for _, name in ipairs({ "WIFEXITED", "WEXITSTATUS", "WIFSIGNALED", "WTERMSIG", "WCOREDUMP", "WIFSTOPPED", "WSTOPSIG",
      "WIFCONTINUED" }) do
      raises("#1 to '" .. name .. "' %(wait status expected, got nil%)", mtev[name], nil)
    end
  end)
end)

describe("mtev.exec", function()
  it("gives the status and what was written", function()
    assert.are.same({ n = 3, 768, "out\n", "err\n" },
      results(mtev.exec("/bin/sh", { "sh", "-c", "echo out; echo err >&2; exit 3" }, {}, 10)))
  end)

  it("takes the environment as an array, as a map, or this process's own", function()
    local argv = { "sh", "-c", "echo $A" }
    assert.are.equal("1\n", (select(2, mtev.exec("/bin/sh", argv, { "A=1" }))))
    assert.are.equal("2\n", (select(2, mtev.exec("/bin/sh", argv, { A = 2 }))))
    assert.are.equal(ENV.PATH .. "\n", (select(2, mtev.exec("sh", { "sh", "-c", "echo $PATH" }))))
  end)

  it("gives the program an empty input", function() assert.are.same({ 0, "", "" }, { mtev.exec("cat", { "cat" }) }) end)

  it("ends what hangs, even if it ignores TERM", function()
    assert.are.same({ n = 3, nil, "before\n", "" },
      results(mtev.exec("sh", { "sh", "-c", "echo before; sleep 100" }, nil, 1)))
    local status, out = mtev.exec("sh", { "sh", "-c", "trap '' TERM; echo armed; while :; do sleep 100; done" }, nil, 1)
    assert.is_nil(status)
    assert.are.equal("armed\n", out)
  end)

  it("does not wait for others who hold the pipes beyond its time", function()
    local status, out = mtev.exec("sh", { "sh", "-c", "echo here; sleep 100 & exit 4" }, nil, 2)
    assert.are.equal(1024, status)
    assert.are.equal("here\n", out)
  end)

  it("gives 127 for what cannot start", function()
    assert.are.same({ 127 * 256, "", "" }, { mtev.exec("no-such-program", { "x" }) })
  end)

  it("raises for wrong arguments", function()
    raises("#1 to 'exec' %(path expected, got nil%)", mtev.exec)
    raises("#2 to 'exec' %(array of arguments expected, got number%)", mtev.exec, "true", 1)
    raises("#4 to 'exec' %(number of seconds expected, got soon%)", mtev.exec, "true", {}, {}, "soon")
  end)
end)

describe("mtev.sh", function()
  it("runs a command of the shell", function()
    assert.are.same({ n = 3, 0, "3\n", "" }, results(mtev.sh("echo $((1 + 2))")))
    assert.are.equal(768, (mtev.sh("exit 3")))
  end)

  it("gives nothing when the time is up", function()
    assert.are.same({ n = 3, nil, nil, nil }, results(mtev.sh("echo x; sleep 100", 0.1)))
  end)

  it("takes another shell", function()
    assert.are.equal("-c said\n", (select(2, mtev.sh("said", 5, "/bin/echo"))))
    assert.are.equal(127 * 256, (mtev.sh("true", 5, "/no/shell")))
  end)

  it("raises for wrong arguments", function()
    raises("#1 to 'sh' %(command expected, got nil%)", mtev.sh)
    raises("#2 to 'sh' %(number of seconds expected, got x%)", mtev.sh, "true", "x")
  end)
end)

describe("mtev.Proc", function()
  local function proc(script, options)
    options = options or {}
    options.path, options.argv = "/bin/sh", { "sh", "-c", script }
    return mtev.Proc:new(options)
  end

  it("is the module of that name", function() assert.are.equal(mtev.Proc, require("mtev.Proc")) end)

  it("starts a process and learns when it is ready", function()
    local running = proc("echo booting >&2; echo 'now ready.' >&2; sleep 100")
    assert.are.equal(-1, running:pid())
    assert.are.equal(running, running:start())
    assert.is_true(running:ready())
    assert.is_true(running:ready())
    assert.is_true(running:pid() > 1)
    assert.are.same({ n = 3, true, TERM, nil }, results(running:kill()))
    assert.are.same({ n = 3, false, TERM, nil }, results(running:wait()))
  end)

  it("kills a process that is not ready in time", function()
    local slow = proc("sleep 100", { boot_timeout = 0.1 }):start()
    local pid = slow:pid()
    assert.is_false(slow:ready())
    assert.are.equal(-1, slow:pid())
    assert.are.equal("", (select(2, mtev.exec("ps", { "ps", "-o", "stat=", "-p", tostring(pid) }))))
  end)

  it("is not ready when the process ends before it says so", function()
    local short = proc("echo almost >&2; exit 7", { boot_timeout = 60 }):start()
    assert.is_false(short:ready())
    assert.are.same({ n = 2, true, 7 }, results(short:wait()))
  end)

  it("is not ready when the process cannot start", function()
    local none = mtev.Proc:new({ path = "no-such-program" })
    local same, why = none:start()
    assert.are.equal(none, same)
    assert.are.equal("no-such-program: No such file or directory", why)
    assert.is_false(none:ready())
    assert.are.same({ n = 2, true, 127 }, results(none:wait()))
  end)

  it("has a directory, an environment and a match of its own", function()
    local running = proc("echo $PWD $X >&2; sleep 100", { dir = "/", env = { X = "set", PATH = ENV.PATH }, boot_match = "^/ set$" })
    assert.is_true(running:start():ready())
    running:kill()
    local _, why = proc("true", { dir = "/no/directory" }):start()
    assert.are.equal("/no/directory: No such file or directory", why)
  end)

  it("finds its program from where this process is, whatever its directory", function()
    local name = "program-" .. mtev.uuid()
    local fd = mtev.open(name, O_WRONLY + O_CREAT, tonumber("700", 8))
    mtev.write(fd, "#!/bin/sh\necho $PWD >&2\n")
    mtev.close(fd)
    local program = mtev.Proc:new({ path = "./" .. name, dir = "/" })
    local watch = program:logwatch(".")
    local _, why = program:start()
    assert.is_nil(why)
    assert.are.equal("/\n", watch:wait(10))
    mtev.unlink(name)
  end)

  it("kills what ignores TERM, and what is stopped", function()
    local deaf = proc("trap '' TERM; echo ready >&2; while :; do sleep 1; done"):start()
    assert.is_true(deaf:ready())
    assert.are.same({ n = 3, true, KILL, nil }, results(deaf:kill(0.1)))
    local stopped = proc("echo ready >&2; sleep 100"):start()
    assert.is_true(stopped:ready())
    assert.is_true(stopped:pause())
    assert.are.same({ n = 3, true, TERM, nil }, results(stopped:kill()))
    assert.is_false(stopped:resume())
  end)

  it("says nothing of an end before the start", function()
    local new = proc("true")
    assert.are.same({ n = 1, nil }, results(new:wait(1)))
    assert.are.same({ n = 0 }, results(new:kill()))
  end)

  it("tells a kill the status that a wait would give", function()
    local over = proc("echo ready >&2; exit 3"):start()
    local last = over:logwatch("never")
    assert.is_nil(last:wait(10), "the stream has ended")
    assert.is_true(over:wait(10))
    assert.are.same({ n = 3, true, 3, nil }, results(over:kill()))
    assert.are.same({ n = 2, true, 3 }, results(over:wait()))
    local killed = proc("kill -9 $$"):start()
    assert.are.same({ n = 3, false, KILL, nil }, results(killed:wait(10)))
    assert.are.same({ n = 3, true, KILL, nil }, results(killed:kill()))
  end)

  it("is ready by a pattern of Lua, with or without the end of the line", function()
    for _, match in ipairs({ "port %d+$", "port %d+\n", "^on port", function(line) return line == "on port 80\n" end }) do
      local running = proc("echo on port 80 >&2; sleep 100", { boot_match = match }):start()
      assert.is_true(running:ready())
      running:kill()
    end
    local never = proc("echo aab >&2", { boot_match = "a{2}b" }):start()
    assert.is_false(never:ready(), "it is no regular expression")
  end)

  it("drops what a watch found when it is stopped", function()
    local speaking = proc("read go; echo one >&2; echo two >&2; echo three >&2")
    local watch, all = speaking:logwatch("t"), speaking:logwatch("three")
    speaking:start()
    assert.are.equal("three\n", all:wait(10))
    assert.are.same({ n = 0 }, results(watch:stop()))
    assert.is_nil(watch:wait(1))
  end)

  it("writes its lines to a file in its directory, which is emptied first", function()
    local directory = "/tmp/proc-spec-" .. mtev.getpid()
    mtev.mkdir(directory, 493)
    for _, text in ipairs({ "longer than the second", "second" }) do
      local speaking = proc("echo " .. text .. " >&2", { dir = directory }):logwrite("said.log")
      local ended = speaking:logwatch("never")
      speaking:start()
      assert.is_nil(ended:wait(10))
      local file = assert(io.open(directory .. "/said.log"))
      assert.are.equal(text .. "\n", file:read("*a"))
      file:close()
    end
    mtev.unlink(directory .. "/said.log")
    mtev.rmdir(directory)
    assert.error_matches(function() proc("true", { dir = directory }):logwrite("x") end, "Could not open: ")
  end)

  it("pauses and resumes", function()
    local running = proc("while :; do echo ready >&2; sleep 0.01; done"):start()
    assert.is_true(running:ready())
    assert.is_true(running:pause())
    local state
    for _ = 1, 500 do
      state = select(2, mtev.exec("ps", { "ps", "-o", "stat=", "-p", tostring(running:pid()) })):sub(1, 1)
      if state == "T" then break end
      mtev.sleep(0.01)
    end
    assert.are.equal("T", state)
    assert.is_true(running:resume())
    local watch = running:logwatch("ready")
    assert.are.equal("ready\n", watch:wait(10))
    running:kill()
  end)

  it("watches lines by expression, by function, up to a limit", function()
    local counting = proc("read go; for i in 1 2 3 4 5 6; do echo line $i >&2; done; printf rest >&2")
    local even = counting:logwatch("[246]$")
    local two = counting:logwatch("line", 2)
    local last = counting:logwatch(function(line) return not line:find("\n") end)
    local stopped = counting:logwatch(".")
    stopped:stop()
    counting:start()
    assert.are.same({ "line 2\n", "line 4\n", "line 6\n" }, { even:wait(10), even:wait(10), even:wait(10) })
    assert.is_nil(even:wait(10), "the stream has ended")
    assert.are.same({ "line 1\n", "line 2\n", nil }, { two:wait(10), two:wait(10), two:wait(10) })
    assert.are.equal("rest", last:wait(10))
    assert.is_nil(stopped:wait(10))
    local late = counting:logwatch(".")
    assert.is_nil(late:wait(10))
  end)

  it("gives up waiting for a line in time", function()
    local quiet = proc("echo ready >&2; sleep 100"):start()
    assert.is_true(quiet:ready())
    local watch = quiet:logwatch("never")
    assert.is_nil(watch:wait(0.01))
    assert.is_nil(watch:wait(0))
    quiet:kill()
    assert.is_nil(watch:wait())
  end)

  it("hands lines to functions, streams and files", function()
    local file = os.tmpname()
    local lines = {}
    local speaking = proc("echo one >&2; echo two >&2")
    speaking:loglisten(function(line) lines[#lines + 1] = line end)
      :loglisten(function() error("this one fails") end)
      :loglog("debug/spec", "said: ")
      :logwrite(file)
    local done = speaking:logwatch("two")
    mtev.enable_log("error", false)
    speaking:start()
    assert.are.equal("two\n", done:wait(10))
    assert.is_true(speaking:wait(10))
    mtev.enable_log("error", true)
    assert.are.same({ "one\n", "two\n" }, lines)
    for line in io.lines(file) do assert.are.equal(table.remove(lines, 1), line .. "\n") end
    assert.are.same({}, lines)
    os.remove(file)
  end)

  it("does not stall a process that fills its output", function()
    local loud = proc("yes | head -c 1000000; echo ready >&2"):start()
    assert.is_true(loud:ready())
    assert.are.same({ n = 2, true, 0 }, results(loud:wait(10)))
  end)

  it("raises for wrong use", function()
    local message = "process_spec.lua:%d+: "
    assert.error_matches(function() mtev.Proc:new() end, message .. "bad argument #1")
    assert.error_matches(function() mtev.Proc:new({}) end, message .. "bad option 'path'.*string expected, got nil")
    assert.error_matches(function() mtev.Proc:new({ path = "x", argv = "y" }) end, message .. "bad option 'argv'")
    assert.error_matches(function() mtev.Proc:new({ path = "x", boot_timeout = "y" }) end, message .. "bad option 'boot_timeout'")
    assert.error_matches(function() mtev.Proc:new({ path = "x", boot_match = "(" }) end, message .. "bad option 'boot_match' to 'mtev.Proc:new' %(unfinished capture")
    local new = proc("true")
    for _, name in ipairs({ "ready", "pause", "resume" }) do
      assert.error_matches(function() new[name](new) end, message .. "mtev.Proc:" .. name .. ": not started")
    end
    assert.error_matches(function() new:logwatch(5) end, message .. "bad argument #1 to 'logwatch'")
    assert.error_matches(function() new:logwatch("x", 0) end, message .. "bad argument #2 to 'logwatch'")
    assert.error_matches(function() new:loglisten() end, message .. "bad argument #1 to 'loglisten'")
    assert.error_matches(function() new:loglog() end, message .. "bad argument #1 to 'loglog'")
    assert.error_matches(function() new:logwrite("/no/such/file") end, message .. "Could not open: /no/such/file: No such file")
    new:start()
    assert.error_matches(function() new:start() end, message .. "can't start already started proc")
  end)
end)
