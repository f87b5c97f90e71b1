-- mtev.socket and mtev.eventer: results, errors, ownership and misuse.

local function listener(family, address)
  local server = assert(mtev.socket(family or "inet", "tcp"))
  server:setsockopt("SO_REUSEADDR", 1)
  assert.equal(0, (server:bind(address or "127.0.0.1", 0)))
  assert.equal(0, (server:listen(16)))
  local _, port = server:sock_name()
  return server, port
end

-- Two connected sockets that belong to the caller.
local function pair(family, address)
  local server, port = listener(family, address)
  local client = mtev.socket(family or "inet", "tcp")
  assert.equal(0, (client:connect(address or "127.0.0.1", port)))
  local peer = assert(server:accept())
  server:close()
  return client, peer
end

local function message(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

-- Runs f in a coroutine of its own and returns what it returned, once it ended.
local function elsewhere(f)
  local results, key = nil, mtev.uuid()
  mtev.coroutine_spawn(function()
    results = { pcall(f) }
    mtev.notify(key)
  end)
  return function()
    if not results then mtev.waitfor(key, 10) end
    return unpack(results, 1, table.maxn(results))
  end
end

describe("mtev.socket", function()
  it("makes sockets by family and by address", function()
    for _, target in ipairs({ "inet", "inet6", "unix", "127.0.0.1", "::1", "reverse:somebody" }) do
      local socket = mtev.socket(target)
      assert.equal("mtev.eventer", tostring(socket))
      socket:close()
    end
  end)

  it("refuses what is no family and no address", function()
    for _, text in ipairs({ "nowhere.example", "", "1.2.3", "ipv4" }) do
      assert.matches("mtev.socket family for " .. text .. " unknown", message(mtev.socket, text))
    end
    assert.matches("mtev.socket called with invalid arguments", message(mtev.socket, "inet", "sctp"))
    assert.matches("mtev.socket called with invalid arguments", message(mtev.socket, "inet", 6))
    assert.matches("mtev.socket called with invalid arguments", message(mtev.socket, "inet", "tcp", nil))
  end)

  it("makes one of IPv4 when it is told no family", function()
    for _, target in ipairs({ false, 5, {}, n = 3 }) do
      local socket = mtev.socket(target)
      assert.equal(0, (socket:bind("127.0.0.1", 0)))
      socket:close()
    end
    for _, make in ipairs({ function() return mtev.socket() end, function() return mtev.socket(nil, "udp") end }) do
      local socket = make()
      assert.equal(0, (socket:bind("127.0.0.1", 0)))
      socket:close()
    end
  end)

  it("answers unknown members and dot calls as every object", function()
    local socket = mtev.socket("inet")
    assert.matches("mtev.eventer no such element: reed", message(function() return socket.reed end))
    assert.matches("must be called as method", message(socket.close))
    socket:close()
  end)
end)

describe("connect", function()
  it("connects", function()
    local client, peer = pair()
    assert.same({ client:sock_name() }, { peer:peer_name() })
    assert.same({ client:peer_name() }, { peer:sock_name() })
    client:close()
    peer:close()
  end)

  it("connects over IPv6", function()
    local client, peer = pair("inet6", "::1")
    assert.equal("::1", (peer:peer_name()))
    client:close()
    peer:close()
  end)

  it("connects to a path", function()
    local path = os.tmpname()
    os.remove(path)
    local server = mtev.socket("unix")
    assert.equal(0, (server:bind(path)))
    assert.equal(0, (server:listen(4)))
    assert.equal(path, (server:sock_name()))
    local client = mtev.socket("unix")
    assert.equal(0, (client:connect(path)))
    local peer = server:accept()
    client:write("hello")
    assert.equal("hello", peer:read(5))
    for _, each in ipairs({ server, client, peer }) do each:close() end
    os.remove(path)
  end)

  it("says that a connection was refused", function()
    local server, port = listener()
    server:close()
    local socket = mtev.socket("inet")
    assert.same({ -1, "Connection refused" }, { socket:connect("127.0.0.1", port) })
    socket:close()
  end)

  it("does not resolve names", function()
    local socket = mtev.socket("inet")
    assert.same({ -1, "Cannot translate 'localhost' to IP\n" }, { socket:connect("localhost", 80) })
    socket:close()
  end)

  it("says when no reverse connection has that name", function()
    local socket = mtev.socket("reverse:nobody")
    local rv, err = socket:connect("reverse:nobody")
    assert.equal(-1, rv)
    assert.equal("Reverse connection unavailable", err)
    socket:close()
  end)

  it("gives up when its time is up", function()
    -- a full backlog: the kernel drops what comes after
    local server = mtev.socket("inet")
    server:bind("127.0.0.1", 0)
    server:listen(0)
    local _, port = server:sock_name()
    local sockets, rv, err = {}, nil, nil
    for i = 1, 8 do
      sockets[i] = mtev.socket("inet")
      rv, err = sockets[i]:connect("127.0.0.1", port, 0.05)
      if rv ~= 0 then break end
    end
    assert.same({ -1, "timeout" }, { rv, err })
    for _, each in ipairs(sockets) do each:close() end
    server:close()
  end)

  it("refuses an address of another family and a port that is none", function()
    local socket = mtev.socket("inet")
    local rv, err = socket:connect("::1", 80)
    assert.equal(-1, rv)
    assert.equal("Address family not supported by protocol", err)
    assert.same({ -1, "Address family not supported by protocol" }, { socket:bind("::1", 0) })
    assert.matches("port expected, got nil", message(socket.connect, socket, "127.0.0.1"))
    assert.matches("port expected, got 65536", message(socket.connect, socket, "127.0.0.1", 65536))
    assert.matches("address expected, got table", message(socket.connect, socket, {}, 80))
    for _, name in ipairs({ "nil", "nowhere.example", "/a/path", "" }) do
      local target = name ~= "nil" and name or nil
      assert.same({ -1, "Cannot translate '" .. name .. "' to IP\n" }, { socket:connect(target, 80) })
    end
    socket:close()
  end)

  it("refuses a socket that is connected already", function()
    local server, port = listener()
    local client = mtev.socket("inet")
    assert.equal(0, (client:connect("127.0.0.1", port)))
    assert.same({ -1, "Transport endpoint is already connected" }, { client:connect("127.0.0.1", 1) })
    assert.same({ -1, "Transport endpoint is already connected" }, { client:connect("127.0.0.1", port) })
    client:close()
    server:close()
  end)
end)

describe("bind and listen", function()
  it("report what the system says", function()
    local server, port = listener()
    local second = mtev.socket("inet")
    assert.same({ -1, "Address already in use" }, { second:bind("127.0.0.1", port) })
    assert.same({ -1, "Cannot assign requested address" }, { second:bind("192.0.2.1", 0) })
    second:close()
    server:close()
    local datagrams = mtev.socket("inet", "udp")
    local rv, errno, text = datagrams:listen(1)
    assert.equal(-1, rv)
    assert.is_number(errno)
    assert.equal("Operation not supported", text)
    datagrams:close()
  end)

  it("bind the address that is given", function()
    local server = mtev.socket("inet")
    server:bind("127.0.0.2", 0)
    assert.equal("127.0.0.2", (server:sock_name()))
    server:close()
  end)
end)

describe("read", function()
  local client, peer
  before_each(function() client, peer = pair() end)
  after_each(function()
    client:close()
    peer:close()
  end)

  it("returns exactly the number of bytes", function()
    client:write("abcdefgh")
    assert.equal("abc", peer:read(3))
    assert.equal("de", peer:read(2))
    assert.equal("", peer:read(0))
    assert.equal("fgh", peer:read("h"))
  end)

  it("returns everything up to a terminator, included", function()
    client:write("one\ntwo\nthree")
    assert.equal("one\n", peer:read("\n"))
    assert.equal("two\n", peer:read("\n"))
    client:write("\r\n\r\nrest")
    assert.equal("three\r\n\r\n", peer:read("\r\n\r\n"))
    assert.equal("rest", peer:read(4))
  end)

  it("finds a terminator that is split over packets", function()
    local reading = elsewhere(function()
      local mine = peer:own()
      peer = mine
      return mine:read("-END-"), mine:read("-END-")
    end)
    for byte in ("first-EN-END-second-END-"):gmatch(".") do
      client:write(byte)
      mtev.sleep(0)
    end
    assert.same({ true, "first-EN-END-", "second-END-" }, { reading() })
  end)

  it("returns what is left at the end of the stream, then nil", function()
    client:write("no newline")
    client:close()
    assert.equal("no newline", peer:read("\n"))
    assert.is_nil(peer:read("\n"))
    assert.is_nil(peer:read(1))
  end)

  it("returns what is there when fewer bytes come than asked for", function()
    client:write("short")
    client:close()
    assert.equal("short", peer:read(100))
    assert.is_nil(peer:read(100))
  end)

  it("calls the timeout function and leaves the socket usable", function()
    client:write("par")
    local called = 0
    assert.is_nil(peer:read("\n", nil, 0.01, function() called = called + 1 end))
    assert.equal(1, called)
    client:write("tial\n")
    assert.equal("partial\n", peer:read("\n", nil, 5, function() called = called + 1 end))
    assert.equal(1, called)
  end)

  it("takes what came while the process stood still, though its time is over", function()
    local result = elsewhere(function() return peer:own():read("\n", nil, 0.02) end)
    client:write("line\n")
    local ends = mtev.timeval.now() + mtev.timeval.new(0, 50000)
    while mtev.timeval.now() < ends do end
    assert.same({ true, "line\n" }, { result() })
  end)

  it("ends without a timeout function too when only a time is given", function()
    assert.same({ nil, "timeout" }, { peer:read(1, nil, 0.01) })
  end)

  it("takes a text that Lua takes for a number as a number of bytes", function()
    client:write("helloab2 12345abc\n")
    assert.equal("hello", peer:read("5\r\n"))
    assert.equal("ab", peer:read("0x2"))
    assert.equal("2 ", peer:read("2 "), "no number followed by a blank")
    assert.equal("123", peer:read(" 3"))
    assert.equal("", peer:read("0"))
    assert.equal("45abc\n", peer:read("c\n"), "no number")
  end)

  it("drops everything to the end of the stream when it is told no stop", function()
    client:write("first\nsecond\n")
    assert.equal("first\n", peer:read("\n"))
    client:write("third")
    client:close()
    assert.is_nil(peer:read())
    assert.is_nil(peer:read(1))
  end)

  it("drops no longer than its time", function()
    client:write("something")
    local called = 0
    assert.is_nil(peer:read(nil, nil, 0.01, function() called = called + 1 end))
    assert.equal(1, called)
    client:write("else")
    assert.equal("else", peer:read(4))
  end)

  it("waits ten seconds where the time is no number", function()
    client:write("ab")
    assert.equal("ab", peer:read(2, nil, "soon", function() end))
  end)

  it("refuses a stop that is none", function()
    for _, stop in ipairs({ "", -1, {}, true }) do
      assert.matches("number of bytes or terminator expected", message(peer.read, peer, stop))
    end
    assert.matches("function expected, got number", message(peer.read, peer, 1, nil, 1, 1))
  end)

  it("passes megabytes through", function()
    local piece = ("0123456789abcdef"):rep(65536)
    local writing = elsewhere(function()
      local mine = client:own()
      client = mine
      local total = 0
      for _ = 1, 16 do total = total + mine:write(piece) end
      mine:close()
      return total
    end)
    local same = 0
    for _ = 1, 16 do
      if peer:read(#piece) == piece then same = same + 1 end
    end
    assert.equal(16, same)
    assert.is_nil(peer:read(1))
    assert.same({ true, 16 * #piece }, { writing() })
  end)

  it("ends with nil when the peer resets", function()
    client:setsockopt("SO_LINGER", 0)
    client:close()
    local data, why = peer:read(1)
    assert.is_nil(data)
    assert.equal("Connection reset by peer", why)
  end)
end)

describe("write", function()
  it("returns the length of the data", function()
    local client, peer = pair()
    assert.equal(5, client:write("12345"))
    assert.equal(0, client:write(""))
    assert.equal(2, client:write(42))
    assert.equal("1234542", peer:read(7))
    assert.equal(-1, (client:write(nil)))
    assert.matches("string expected, got table", message(client.write, client, {}))
    client:close()
    peer:close()
  end)

  it("gives up when its time is up", function()
    local client, peer = pair()
    assert.same({ -1, "timeout" }, { client:write(("x"):rep(20000000), 0.05) })
    assert.matches("number of seconds expected", message(client.write, client, "x", "soon"))
    client:close()
    peer:close()
  end)

  it("fails when the peer has gone", function()
    local client, peer = pair()
    peer:setsockopt("SO_LINGER", 0)
    peer:close()
    local rv, why
    repeat rv, why = client:write("x") until rv == -1
    assert.is_true(why == "Broken pipe" or why == "Connection reset by peer")
    client:close()
  end)

  it("waits for a slow reader and loses nothing", function()
    local client, peer = pair()
    client:setsockopt("SO_SNDBUF", 4096)
    local data = ("x"):rep(300000)
    local writing = elsewhere(function()
      client = client:own()
      return client:write(data)
    end)
    local n = 0
    while n < #data do
      mtev.sleep(0)
      n = n + #peer:read(math.min(100000, #data - n))
    end
    assert.same({ true, #data }, { writing() })
    client:close()
    peer:close()
  end)
end)

describe("send, recv and sendto", function()
  it("send and receive what is there", function()
    local client, peer = pair()
    assert.equal(5, client:send("hello"))
    local n, data = peer:recv(100)
    assert.same({ 5, "hello" }, { n, data })
    client:close()
    assert.same({ 0, "" }, { (peer:recv(100)), (select(2, peer:recv(100))) })
    assert.matches("number of bytes expected, got 0", message(peer.recv, peer, 0))
    peer:close()
  end)

  it("return bytes that read left over", function()
    local client, peer = pair()
    client:write("line\nrest")
    assert.equal("line\n", peer:read("\n"))
    local n, data = peer:recv(2)
    assert.same({ 2, "re" }, { n, data })
    assert.equal("st", peer:read(2))
    client:close()
    peer:close()
  end)

  it("carry datagrams with their sender", function()
    for family, address in pairs({ inet = "127.0.0.1", inet6 = "::1" }) do
      local one, two = mtev.socket(family, "udp"), mtev.socket(family, "udp")
      one:bind(address, 0)
      two:bind(address, 0)
      local _, port_one = one:sock_name()
      local _, port_two = two:sock_name()
      assert.equal(4, one:sendto("ping", address, port_two))
      assert.same({ 4, "ping", address, port_one }, { two:recv(1000) })
      assert.equal(0, (two:connect(address, port_one)))
      assert.equal(4, two:send("pong"))
      assert.same({ 2, "po", address, port_two }, { one:recv(2) }) -- the rest of a datagram is lost
      one:close()
      two:close()
    end
  end)

  it("sendto refuses what is no address", function()
    local socket = mtev.socket("inet", "udp")
    assert.same({ -1, "Cannot translate 'x' to IP\n" }, { socket:sendto("data", "x", 1) })
    assert.matches("string expected, got nil", message(socket.sendto, socket, nil, "127.0.0.1", 1))
    local rv, why = socket:sendto(("x"):rep(100000), "127.0.0.1", 9)
    assert.same({ -1, "Message too long" }, { rv, why })
    socket:close()
  end)
end)

describe("setsockopt", function()
  it("sets each option of the contract", function()
    local socket = mtev.socket("inet")
    for _, name in ipairs({ "BROADCAST", "REUSEADDR", "REUSEPORT", "KEEPALIVE", "LINGER", "OOBINLINE", "SNDBUF", "RCVBUF",
      "DONTROUTE", "RCVLOWAT", "RCVTIMEO", "SNDTIMEO" }) do
      assert.equal(0, (socket:setsockopt("SO_" .. name, 1)), name)
    end
    socket:close()
  end)

  it("reports what is no option, and wrong values", function()
    local socket = mtev.socket("inet")
    assert.same({ -1, "Socket  operation 'SO_NONSENSE' not supported\n" }, { socket:setsockopt("SO_NONSENSE", 1) })
    assert.same({ -1, "Socket  operation 'AF_INET' not supported\n" }, { socket:setsockopt("AF_INET", 1) })
    local wrong = { -1, "setsockopt(type, value) wrong arguments" }
    assert.same(wrong, { socket:setsockopt("SO_KEEPALIVE") })
    assert.same(wrong, { socket:setsockopt() })
    assert.same(wrong, { socket:setsockopt("SO_KEEPALIVE", 1, 2) })
    assert.matches("number expected, got string", message(socket.setsockopt, socket, "SO_KEEPALIVE", "on"))
    assert.matches("option expected, got number", message(socket.setsockopt, socket, 9, 1))
    socket:close()
  end)
end)

describe("names", function()
  it("are absent where there are none", function()
    local socket = mtev.socket("inet")
    assert.equal(0, select("#", socket:peer_name()))
    assert.same({ "0.0.0.0", 0 }, { socket:sock_name() })
    socket:close()
  end)
end)

describe("ownership", function()
  it("keeps other coroutines out until they own the event", function()
    local client, peer = pair()
    local use = elsewhere(function() return client:read(1) end)
    local ok, err = use()
    assert.is_false(ok)
    assert.matches("cross%-coroutine socket call: use event:own%(%)", err)
    for _, call in ipairs({ "write", "connect", "accept" }) do
      ok, err = elsewhere(function() return client[call](client, "x", 1) end)()
      assert.is_false(ok)
      assert.matches("cross%-coroutine", err)
    end
    local written
    ok, written = elsewhere(function() return client:own():write("ok") end)()
    assert.is_true(ok)
    assert.equal(2, written)
    assert.matches("invalid event", message(client.read, client, 1))
    assert.equal("ok", peer:read(2))
    peer:close()
  end)

  it("ends with the coroutine, however that ends and whoever still knows the event", function()
    local ways = {
      returns = function() end,
      ["is cancelled while it waits"] = function()
        local self = coroutine.running()
        mtev.coroutine_spawn(function() mtev.cancel_coro(self) end)
        mtev.sleep(1000)
      end,
      ["is cancelled by another that ends"] = function()
        local self = coroutine.running()
        mtev.coroutine_spawn(function() mtev.sleep(0.001) mtev.cancel_coro(self) end)
        mtev.waitfor("spec.never")
      end,
    }
    for way, finish in pairs(ways) do
      local kept = {}
      local one, its_peer = pair()
      local other, other_peer = pair()
      mtev.coroutine_spawn(function()
        kept[1], kept[2] = one:own(), other:own()
        kept[3] = mtev.socket("inet")
        kept[3]:close()
        finish()
      end)
      assert.is_nil(its_peer:read("\n"), way)
      assert.is_nil(other_peer:read("\n"), way)
      assert.matches("invalid event", message(kept[1].read, kept[1], 1))
      assert.equal(0, kept[2]:close())
      its_peer:close()
      other_peer:close()
    end
  end)

  it("stays with a coroutine that yields on its own, and with what it gave away", function()
    local client, peer = pair()
    local kept
    mtev.coroutine_spawn(function()
      local mine = client:own()
      mtev.coroutine_spawn(function()
        kept = mine:own()
        mtev.waitfor("spec.go on", 5)
        kept:write("still here\n")
      end)
    end)
    mtev.notify("spec.go on")
    assert.equal("still here\n", peer:read("\n"))
    assert.is_nil(peer:read("\n"))
    local held, mine
    client, peer = pair()
    mtev.coroutine_spawn(function()
      mine, held = client:own(), coroutine.running()
      coroutine.yield()
    end)
    assert.equal("suspended", coroutine.status(held))
    mine = mine:own()
    mine:write("still here\n")
    assert.equal("still here\n", peer:read("\n"))
    peer:close()
  end)

  it("moves bytes that were read ahead", function()
    local client, peer = pair()
    client:write("a\nb\n")
    assert.equal("a\n", peer:read("\n"))
    local ok, line = elsewhere(function() return peer:own():read("\n") end)()
    assert.is_true(ok)
    assert.equal("b\n", line)
    client:close()
  end)

  it("ends the wait of the coroutine that had it", function()
    local client, peer = pair()
    local waiting = elsewhere(function()
      local mine = peer:own()
      peer = mine
      return mine:read(1)
    end)
    mtev.sleep(0)
    local taken = peer:own()
    assert.same({ true, nil, "invalid event" }, { waiting() })
    client:write("y")
    assert.equal("y", taken:read(1))
    taken:close()
    client:close()
  end)
end)

describe("close", function()
  it("makes the event invalid, and a second one is harmless", function()
    local socket = mtev.socket("inet")
    assert.equal(0, socket:close())
    assert.equal(0, socket:close())
    for _, call in ipairs({ "read", "write", "send", "recv", "accept", "connect", "bind", "listen", "own", "peer_name",
      "sock_name", "setsockopt", "sendto" }) do
      assert.matches("invalid event", message(socket[call], socket, "127.0.0.1", 1), call)
    end
  end)

  it("wakes a coroutine that reads, writes or accepts", function()
    local client, never_reads = pair()
    local never_writes, peer = pair()
    local server = listener()
    local reading = elsewhere(function()
      peer = peer:own()
      return peer:read(1)
    end)
    local accepting = elsewhere(function()
      server = server:own()
      return server:accept()
    end)
    local writing = elsewhere(function()
      client = client:own()
      return client:write(("x"):rep(50000000))
    end)
    mtev.sleep(0.01)
    peer:close()
    server:close()
    client:close()
    assert.same({ true, nil, "invalid event" }, { reading() })
    assert.same({ true, nil, "invalid event" }, { accepting() })
    local ok, rv = writing()
    assert.same({ true, -1 }, { ok, rv })
    never_reads:close()
    never_writes:close()
  end)

  it("happens when the object is collected", function()
    local peer = select(2, pair())
    collectgarbage()
    collectgarbage()
    assert.is_nil(peer:read(1, nil, 10))
    peer:close()
  end)
end)

describe("a descriptor that is always ready", function()
  it("leaves other coroutines their turns", function()
    local client, peer = pair()
    local turns, done = 0, false
    mtev.coroutine_spawn(function()
      while not done do
        turns = turns + 1
        mtev.sleep(0)
      end
    end)
    for _ = 1, 20000 do
      client:write("0123456789")
      peer:read(10)
    end
    done = true
    assert.is_true(turns > 2)
    client:close()
    peer:close()
  end)
end)
