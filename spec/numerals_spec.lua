-- Where a number is taken, a text that is one is taken too, as Lua's own libraries do: values of the configuration and of
-- requests are texts.

local shell = { "sh", "-c", "exit 3" }

describe("A number may be a text", function()
  it("for files", function()
    local path = os.tmpname()
    local fd = mtev.open(path, tostring(O_RDWR))
    assert.is_true(fd >= 0)
    assert.equal(1, (mtev.write(tostring(fd), "x")))
    assert.equal(0, mtev.close(tostring(fd)))
    assert.is_true(mtev.unlink(path))
    assert.equal(-1, mtev.lockfile_release("-1"))
  end)

  it("for times and statuses of processes", function()
    local process = mtev.spawn("sh", shell)
    local status = process:wait("5")
    assert.is_true(mtev.WIFEXITED(tostring(status)))
    assert.equal(3, mtev.WEXITSTATUS(tostring(status)))
    assert.equal(768, (mtev.exec("sh", shell, nil, "5")))
    assert.equal(768, (mtev.sh("exit 3", "5")))
    local child = mtev.Proc:new { path = "sh", argv = { "sh", "-c", "echo ready >&2; sleep 60" }, boot_timeout = "5" }
    local watch = child:logwatch("r", "1")
    child:start()
    assert.is_true(child:ready())
    assert.equal("ready\n", watch:wait("5"))
    assert.is_true((child:kill("5")))
  end)

  it("for sockets", function()
    local socket = mtev.socket("inet", "udp")
    assert.equal(0, socket:setsockopt("SO_BROADCAST", "1"))
    assert.equal(0, socket:bind("127.0.0.1", "0"))
    local ip, port = socket:sock_name()
    assert.equal(1, socket:sendto("x", ip, tostring(port)))
    assert.equal(1, (socket:recv("5")))
  end)

  it("for the rest", function()
    assert.equal(1970, mtev.timezone("UTC"):extract("86400", "year"))
    assert.is_true((mtev.pcre("a+")("aa", { limit = "1000", limit_recurse = "1000" })))
    assert.equal("", mtev.gunzip()("", "10"))
    assert.equal("{ \"a\": \"[depth elided]\" }", mtev.tojson({ a = { b = 1 } }, "1"):tostring())
    local name = "numerals " .. mtev.uuid()
    assert.is_true(mtev.semaphore(name, "1"):acquire("0.01"))
    assert.is_false(mtev.semaphore(name):acquire("0.01"))
    assert.equal(5, #mtev.rand_bytes("5"))
    assert.is_true(mtev.sleep("0.001").sec >= 0)
    assert.is_nil((mtev.waitfor(name, "0")))
  end)
end)

describe("A text that is no number is told of", function()
  local function refuses(f) assert.error_matches(f, "expected, got") end

  it("everywhere", function()
    refuses(function() mtev.write("one", "x") end)
    refuses(function() mtev.WEXITSTATUS("") end)
    refuses(function() mtev.exec("true", nil, nil, "soon") end)
    refuses(function() mtev.Proc:new { path = "true", boot_timeout = "soon" } end)
    refuses(function() mtev.socket():setsockopt("SO_BROADCAST", "on") end)
    for _, nan in ipairs({ 0 / 0, "nan" }) do
      refuses(function() mtev.socket():setsockopt("SO_BROADCAST", nan) end)
      refuses(function() mtev.WEXITSTATUS(nan) end)
      refuses(function() mtev.gunzip()("", nan) end)
    end
    refuses(function() mtev.timezone("UTC"):extract("now", "year") end)
    refuses(function() mtev.gunzip()("", "much") end)
    refuses(function() mtev.semaphore("numerals", "0.5") end)
  end)
end)

describe("A port that is none", function()
  it("is told of, or nothing is begun", function()
    for _, port in ipairs({ -1, 65536, 80.5, 0 / 0, "nan", "x" }) do
      local told = "port expected, got " .. tostring(port)
      assert.error_matches(function() mtev.socket():connect("127.0.0.1", port) end, told, 1, true)
      assert.error_matches(function() mtev.socket():bind("127.0.0.1", port) end, told, 1, true)
      assert.error_matches(function() mtev.socket("inet", "udp"):sendto("x", "127.0.0.1", port) end, told, 1, true)
      assert.error_matches(function() mtev.Api:http("127.0.0.1", port) end, told, 1, true)
      assert.has_error(function() mtev.dns("127.0.0.1:" .. tostring(port)) end)
      assert.is_false(mtev.websocket_client_connect("127.0.0.1", port, "/", "", {}))
    end
  end)
end)
