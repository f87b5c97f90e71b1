-- The helpers for specs that start programs and talk to services.

local SERVER = [[
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        text = {"/json": b'{"a": [1, 2]}', "/xml": b"<a><b/></a>"}.get(self.path, self.command.encode() + b" " + body)
        self.send_response(404 if self.path == "/none" else 200)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-Test", self.headers.get("X-Test", "none"))
        self.end_headers()
        self.wfile.write(text)
    do_GET = do_POST = do_PUT = do_DELETE = answer
    def log_message(self, *args):
        print("asked for", self.path, file=sys.stderr, flush=True)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("listening on", server.server_port, "ready", file=sys.stderr, flush=True)
server.serve_forever()
]]

local shell = function(script) return { argv = { "/bin/sh", "-c", script }, boot_match = "ready" } end

describe("start_child", function()
  it("gives a process that is ready, to be watched and ended", function()
    local child = start_child(shell("echo now ready >&2; read x; while :; do echo tick >&2; sleep 0.01; done"))
    assert.is_true(child:pid() > 1)
    assert.are.equal("tick\n", child:logwatch("tick"):wait(5))
    local ended, status = kill_child(child)
    assert.is_true(ended)
    assert.is_true(mtev.WIFSIGNALED(status))
  end)

  it("waits for nothing without boot_match", function()
    local child = start_child({ argv = { "/bin/sleep", "100" } })
    assert.is_true(kill_child(child))
  end)

  it("takes a directory, an environment and places for the log", function()
    local file = os.tmpname()
    local child = start_child({ argv = { "/bin/sh", "-c", "echo $PWD $A ready >&2; sleep 100" }, dir = "/", env = { A = "b" },
      boot_match = "ready", log = file, stream = "debug/children", name = "here" })
    kill_child(child)
    assert.are.equal("/ b ready\n", io.open(file):read("*a"))
    os.remove(file)
  end)

  it("raises with the last lines when the child is not ready", function()
    assert.error_matches(function() start_child(shell("echo trouble >&2; exit 3")) end,
      "children_spec.lua:%d+: start_child: .*not ready within 5 s and ended with status 3; the last of its stderr:\ntrouble\n")
    local slow = shell("sleep 100")
    slow.boot_timeout, slow.name = 0.05, "slow one"
    assert.error_matches(function() start_child(slow) end, "slow one: not ready within 0.05 s and was ended by signal 15")
    assert.error_matches(function() start_child({ argv = { "/no/program" } }) end, "/no/program: No such file or directory")
  end)

  it("raises for wrong arguments", function()
    assert.error_matches(function() start_child() end, "children_spec.lua:%d+: bad argument #1 to 'start_child'")
    assert.error_matches(function() start_child({}) end, "path or argv expected, got nil")
    assert.error_matches(function() kill_child({}) end, "bad argument #1 to 'kill_child'")
  end)
end)

describe("start_child with the original's options", function()
  local dir
  setup(function()
    dir = os.tmpname()
    os.remove(dir)
    mtev.mkdir(dir, tonumber("700", 8))
  end)
  teardown(function() run_command_synchronously_return_output({ "rm", "-r", dir }) end)

  local function child_of(script, more)
    local props = { path = "/bin/sh", argv = { "sh", "-c", script }, dir = dir, boot_match = "u[p]", timeout = 10 }
    for name, value in pairs(more or {}) do props[name] = value end
    return start_child(props)
  end

  it("gives an object that watches stderr, which is copied to a file", function()
    local child = child_of("echo up $A >&2; sleep 0.1; echo one >&2; echo two >&2; sleep 100", { env = { "A=b" },
      logname = "copied" })
    assert.is_true(child:pid() > 0)
    local key = child:watchfor(mtev.pcre("(one|two)"), true)
    assert.are.equal("one\n", child:waitfor(key, 10))
    assert.are.equal("two\n", child:waitfor(key, 10))
    assert.is_nil(child:waitfor(key, 0.01))
    child:watchfor_stop(key)
    assert.is_nil(child:waitfor(key, 0.01))
    assert.are.equal("up b\none\ntwo\n", io.open(dir .. "/copied.out"):read("*a"))
    assert.has_error(function() child:start() end, "can't start already started proc")
    assert.is_true(child:pause())
    assert.is_true(child:resume())
    assert.is_true(kill_child(child))
  end)

  it("one line is enough unless many are asked for", function()
    local child = child_of("echo up >&2; sleep 0.1; echo one >&2; echo one >&2; echo last >&2; sleep 100")
    local key, last = child:watchfor(mtev.pcre("one")), child:watchfor(mtev.pcre("last"))
    assert.are.equal("last\n", child:waitfor(last, 10))
    assert.are.equal("one\n", child:waitfor(key, 1))
    assert.is_nil(child:waitfor(key, 0.01))
    child:kill()
  end)

  it("waits for eventer_loops started unless told for what", function()
    local child = start_child({ path = "/bin/sh", dir = dir,
      argv = { "sh", "-c", "echo eventer_loops started >&2; sleep 100" } })
    assert.is_not_nil(child.proc)
    kill_child(child)
  end)

  it("gives an object without a process when there is none that is ready", function()
    for _, child in ipairs({ child_of("echo no >&2; exit 1"), child_of("sleep 100", { timeout = 0.05 }),
      start_child({ path = "/no/program", argv = { "x" }, dir = dir }) }) do
      assert.is_nil(child.proc)
      assert.are.equal(-1, child:pid())
      kill_child(child)
    end
    assert.has_error(function() child_of("true", { dir = "/nowhere" }) end,
      "Could not open: /nowhere/sh.out: No such file or directory")
  end)

  it("says how it ended", function()
    local child = child_of("echo up >&2; exit 3", { boot_match = false })
    assert.are.equal(768, child:wait(10))
  end)

  it("a matcher that fails is dropped", function()
    local child = child_of("echo up >&2; sleep 0.1; echo one >&2; echo two >&2; sleep 100")
    local bad = child:watchfor(function(line) error("no " .. tostring(line)) end)
    local good = child:watchfor(mtev.pcre("two"))
    assert.are.equal("two\n", child:waitfor(good, 10))
    assert.is_nil(child:waitfor(bad, 0.01))
    child:kill()
  end)
end)

describe("run_command_synchronously_return_output", function()
  it("takes a table", function()
    assert.are.same({ 768, "hi\n", "e\n" }, { run_command_synchronously_return_output({ path = "/bin/sh",
      argv = { "sh", "-c", "echo $A; echo e >&2; exit 3" }, env = { "A=hi" } }) })
    assert.error_matches(function() run_command_synchronously_return_output({ argv = { "/no/program" } }) end,
      "cannot start proc: /no/program: ")
  end)

  it("runs a command or a program", function()
    assert.are.same({ 768, "out\n", "err\n" },
      { run_command_synchronously_return_output("echo out; echo err >&2; exit 3") })
    assert.are.same({ 0, "a b\n", "" }, { run_command_synchronously_return_output({ "echo", "a b" }) })
    assert.are.same({ 0, "c\n", "" }, { run_command_synchronously_return_output("echo $B", { B = "c" }) })
    assert.is_nil((run_command_synchronously_return_output("sleep 100", nil, 0.05)))
    assert.has_error(function() run_command_synchronously_return_output(5) end)
  end)
end)

describe("mk_coroutine_reader", function()
  it("with two keys and a stream reads all of it between them", function()
    local start, done = mtev.uuid(), mtev.uuid()
    local process, stdin, stdout, stderr = mtev.spawn("/bin/sh", { "sh", "-c", "echo one; echo two" })
    stdin:close()
    stderr:close()
    mk_coroutine_reader(start, done, stdout)
    mtev.notify(start, true)
    assert.are.equal("one\ntwo\n", select(2, mtev.waitfor(done, 10)))
    process:wait(5)
  end)

  it("reads lines in a coroutine of its own", function()
    local process, _, stdout = mtev.spawn("/bin/sh", { "sh", "-c", "echo one; echo two; printf rest" })
    local lines = {}
    mtev.coroutine_spawn(mk_coroutine_reader(stdout, function(line)
      lines[#lines + 1] = line
      if line == "rest" then mtev.notify("all read") end
    end))
    assert.are.equal("all read", (mtev.waitfor("all read", 10)))
    assert.are.same({ "one\n", "two\n", "rest" }, lines)
    process:wait(5)
    assert.has_error(function() mk_coroutine_reader(stdout, 5) end)
  end)
end)

describe("HTTP, HTTPS and API", function()
  local child, port

  setup(function()
    child = start_child({ path = "python3", argv = { "python3", "-c", SERVER }, dir = "/tmp", logname = "service" .. mtev.getpid(), boot_match = function(line)
      port = tonumber(line:match("listening on (%d+)"))
      return port
    end })
  end)
  teardown(function() kill_child(child) end)

  it("ask a service", function()
    local http = HTTP:new("127.0.0.1", port, { ["X-Test"] = "sent" })
    local code, body, headers = http:raw("POST", "/anything", "payload")
    assert.are.same({ 200, "POST payload", "sent" }, { code, body, headers["x-test"] })
    assert.are.same({ 200, { a = { 1, 2 } }, '{"a": [1, 2]}' }, { http:json("GET", "/json") })
    local _, doc = http:xml("GET", "/xml")
    assert.are.equal("a", doc:root():name())
    assert.are.same({ 404, nil, "GET " }, { http:json("GET", "/none") })
    assert.are.equal("DELETE ", http:delete("/x"):text())
    assert.has_error(function() http:get("/none"):check() end)
    assert.are.equal("asked for /late\n", (function()
      local watch = child:logwatch("/late")
      http:get("/late")
      return watch:wait(5)
    end)())
  end)

  it("know where the service is", function()
    set_api_host("127.0.0.1")
    set_api_port(port)
    assert.are.equal("GET ", API:get("/x"):text())
    assert.are.same({ 200, { a = { 1, 2 } }, '{"a": [1, 2]}' }, { API:json("GET", "/json") })
    set_api_port(1)
    assert.are.equal("GET ", API:new(port):get("/x"):check():text())
    assert.are.equal(-1, API:get("/x"):rc())
    assert.has_error(function() set_api_port("none") end)
    assert.has_error(function() set_api_host(nil) end)
  end)

  it("asks once, in the original's way", function()
    local headers = { ["x-test"] = "sent" }
    local code, document, body, answer = HTTP("GET", "127.0.0.1", port, "/json", headers, nil, nil, {})
    assert.are.same({ 200, { a = { 1, 2 } }, '{"a": [1, 2]}' }, { code, document, body })
    assert.are.equal("sent", answer["x-test"])
    assert.are.equal("application/json", headers.accept)
    local _, text = HTTP("POST", "localhost", port, "/x", {}, { a = 1 }, function(raw) return raw:upper() end, {})
    assert.matches('^POST {%s*"A": 1%s*}$', text)
    assert.are.same({ -1, { error = "client:connect failed" } }, { HTTP("GET", "127.0.0.1", 1, "/", {}, nil, nil, {}) })
    assert.has_error(function() HTTP("GET", "127.0.0.1", port, "/", {}) end,
      "bad argument #8 to 'HTTP' (table expected, got nil)")
  end)

  it("is a client with headers and TLS of its own", function()
    local api = API:new("127.0.0.1", port)
    assert.are.equal("127.0.0.1", api.host)
    assert.are.equal(port, api.port)
    assert.are.equal(api, api:headers({ ["X-Test"] = "mine" }))
    assert.are.equal(api, api:ssl({ use_ssl = true }))
    local code, document, _, headers = api:HTTP("GET", "/json")
    assert.are.same({ 200, { a = { 1, 2 } }, "mine" }, { code, document, headers["x-test"] })
    assert.are.same({ true, 200 }, { unpack({ api:HTTP_pcall("GET", "/json") }, 1, 2) })
    assert.are.same({ true, -1 }, { unpack({ api:HTTPS_pcall("GET", "/json") }, 1, 2) })
    assert.is_false((API:new("127.0.0.1", port):HTTPS_pcall("GET", "/json")))
  end)

  it("have no answer when it speaks no TLS", function() assert.are.equal(-1, HTTPS:new("127.0.0.1", port):get("/"):rc()) end)
end)

describe("files beside the spec", function()
  it("are read", function()
    assert.matches("files beside the spec", _file("children_spec.lua"))
    assert.is_nil(_file("nowhere"))
    assert.is_nil((_filejson("children_spec.lua")))
    assert.matches("nowhere", (select(2, _filejson("nowhere"))))
  end)

  it("C strings and signals have names", function()
    assert.are.equal("abc", ffi.string(charstar("abc")))
    assert.are.equal(1, ffi.sizeof(charstar(0)))
    assert.are.equal("Killed", strsignal(9))
  end)
end)

describe("find_test_dir", function()
  it("is the directory of the spec", function() assert.are.equal(sourcedir(), find_test_dir()) end)

  it("is the nearest directory of that name, here or above", function()
    assert.are.equal(mtev.realpath(sourcedir()) .. "/", find_test_dir("busted"))
    assert.matches("/spec/$", find_test_dir("spec"))
    assert.is_nil(find_test_dir("no such directory"))
  end)
end)
