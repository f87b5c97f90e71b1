-- contract: The program (globals); Coroutines (thread_self, loop concurrency, watchdog); Files and system (getpid …, uname); uuid

describe("the process", function()
  it("knows itself, its parent and its user", function()
    local status = {}
    for line in io.lines("/proc/self/status") do
      local key, value = line:match("^(%w+):%s+(%d+)")
      if key then status[key] = tonumber(value) end
    end
    assert.are.equal(status.Tgid, mtev.getpid())
    assert.are.equal(status.PPid, mtev.getppid())
    assert.are.equal(status.Uid, mtev.getuid())
    assert.are.equal(status.Gid, mtev.getgid())
    assert.are.equal(mtev.getuid(), mtev.geteuid())
    assert.are.equal(mtev.getgid(), mtev.getegid())
  end)

  it("knows its threads", function()
    local tid, index, name = mtev.thread_self()
    assert.is_true(tid > 0)
    assert.are.equal(0, index)
    assert.are.equal("e:default/0", name)
    assert.are.equal(tid, (mtev.thread_self("more", {}, nil)))
    assert.is_true(mtev.eventer_loop_concurrency() >= 1)
  end)

  it("takes no port that is none", function()
    for _, port in ipairs({ 0 / 0, -1, 1.5, 65536, 1e308 }) do
      assert.has_error(function() mtev.reverse_start("127.0.0.1", port) end, "reverse_start(host,port,sslconfig,config)")
      assert.has_error(function() mtev.reverse_stop("127.0.0.1", port) end, "reverse_stop(host,port)")
    end
  end)

  it("knows the system it runs on", function()
    local details = mtev.uname()
    for _, key in ipairs({ "sysname", "nodename", "release", "version", "machine" }) do
      assert.are.equal("string", type(details[key]))
    end
    local pipe = io.popen("uname -sm")
    assert.are.equal(pipe:read("*l"), details.sysname .. " " .. details.machine)
    pipe:close()
  end)

  it("has no watchdog unless one is configured", function()
    assert.are.equal("number", type(mtev.watchdog_child_heartbeat()))
    assert.is_nil(mtev.watchdog_timeout())
  end)
end)

describe("mtev.uuid", function()
  it("gives lower-case version 4 UUIDs, never twice", function()
    local seen = {}
    for _ = 1, 10000 do
      local uuid = mtev.uuid()
      assert.is_truthy(uuid:match("^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"))
      assert.are.equal(uuid:lower(), uuid)
      assert.is_nil(seen[uuid])
      seen[uuid] = true
    end
  end)
end)

describe("the globals", function()
  it("hold the constants of the system", function()
    assert.are.equal(0x8000, S_IFREG)
    assert.are.equal(0x4000, S_IFDIR)
    assert.are.equal(0xf000, S_IFMT)
    assert.are.equal(0, O_RDONLY)
    assert.are.equal(1, O_WRONLY)
    assert.are.same({ 0, 1, 2 }, { MTEV_HOOK_CONTINUE, MTEV_HOOK_DONE, MTEV_HOOK_ABORT })
    assert.are.equal(require("bit"), bit)
    assert.are.equal(require("ffi"), ffi)
  end)

  it("hold the environment", function()
    assert.are.equal(os.getenv("PATH"), ENV.PATH)
    assert.is_nil(ENV[""])
  end)

  it("have no Python in them", function()
    assert.is_nil(rawget(_G, "python"))
    assert.is_false((pcall(require, "python")))
  end)
end)

describe("errorf", function()
  it("raises a formatted message at its caller", function()
    local ok, message = pcall(function() errorf("%s is %d", "x", 3) end)
    assert.is_false(ok)
    assert.is_truthy(message:match("system_spec.lua:%d+: x is 3$"))
  end)
end)
