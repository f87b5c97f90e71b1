-- contract: Files and system (getip_ipv4, getaddrinfo, inet_pton)

local function bytes(address, n)
  local values = {}
  for i = 1, n do values[i] = address[i - 1] end
  return values
end

describe("mtev.inet_pton", function()
  it("gives the family and the bytes of an address", function()
    local ok, family, address = mtev.inet_pton("192.0.2.1")
    assert.are.same({ true, "inet" }, { ok, family })
    assert.are.same({ 192, 0, 2, 1 }, bytes(address, 4))
    ok, family, address = mtev.inet_pton("2001:db8::ff")
    assert.are.same({ true, "inet6" }, { ok, family })
    assert.are.same({ 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff }, bytes(address, 16))
    assert.are.equal("inet6", (select(2, mtev.inet_pton("::ffff:192.0.2.1"))))
  end)

  it("gives the address as a userdata, which is its bytes as text", function()
    local _, _, address = mtev.inet_pton("192.0.2.1")
    assert.are.equal("userdata", type(address))
    assert.are.equal(4, #address)
    assert.are.equal("\192\0\2\1", tostring(address))
    local _, _, other = mtev.inet_pton("::")
    assert.are.equal("userdata", type(other))
    assert.are.equal(("\0"):rep(16), tostring(other))
    assert.are.equal("\192\0\2\1", tostring(address))
  end)

  it("says false for anything else", function()
    local wrong = { "", "1.2.3", "1.2.3.256", "1.2.3.4.5", "1.2.3.4 ", "127.1", "::g", ":::", "1:2:3:4:5:6:7:8:9",
      "localhost", "1.2.3.4\0.evil", "::1\0", "fe80::1%lo", 12 }
    for _, text in ipairs(wrong) do
      assert.are.same({ false }, { mtev.inet_pton(text) })
    end
  end)

  it("raises for wrong arguments", function()
    assert.error_matches(function() mtev.inet_pton() end,
      "addresses_spec.lua:%d+: bad argument #1 to 'inet_pton' %(string expected, got nil%)")
    assert.error_matches(function() mtev.inet_pton({}) end, "bad argument #1 to 'inet_pton'")
  end)
end)

describe("mtev.getip_ipv4", function()
  it("gives the local address by which a target is reached", function()
    assert.are.same({ "127.0.0.1" }, { mtev.getip_ipv4("127.0.0.1") })
  end)

  it("asks for the way to 8.8.8.8 by default", function()
    local address, reason = mtev.getip_ipv4()
    if address then
      assert.are.equal("inet", (select(2, mtev.inet_pton(address))))
    else
      assert.are.equal("string", type(reason))
    end
  end)

  it("gives nil and the reason when there is no way", function()
    local address, reason = mtev.getip_ipv4("255.255.255.255") -- broadcasting takes a socket that asked for it
    assert.is_nil(address)
    assert.are.equal("Permission denied", reason)
  end)

  it("raises for a bad address", function()
    for _, wrong in ipairs({ "nonsense", "", "::1", "1.2.3", "127.0.0.1\0" }) do
      assert.error_matches(function() mtev.getip_ipv4(wrong) end,
        "addresses_spec.lua:%d+: bad argument #1 to 'getip_ipv4' %(IPv4 address expected, got ")
    end
    assert.error_matches(function() mtev.getip_ipv4({}) end, "bad argument #1 to 'getip_ipv4'")
  end)
end)

describe("mtev.getaddrinfo", function()
  it("resolves names of /etc/hosts", function()
    assert.are.same({ "127.0.0.1", "inet" }, { mtev.getaddrinfo("localhost") })
  end)

  it("gives an address back in its usual form", function()
    assert.are.same({ "10.1.2.3", "inet" }, { mtev.getaddrinfo("10.1.2.3") })
    assert.are.same({ "::1", "inet6" }, { mtev.getaddrinfo("0:0:0::0001") })
    assert.are.same({ "127.0.0.1", "inet" }, { mtev.getaddrinfo("127.1") })
  end)

  it("gives false and what failed for a name that does not resolve", function()
    local found, message = mtev.getaddrinfo("no-such-host.invalid")
    assert.is_false(found)
    assert.is_truthy(message:find("getaddrinfo(no-such-host.invalid) failed: ", 1, true))
    assert.is_true(#message > #"getaddrinfo(no-such-host.invalid) failed: ")
    for _, wrong in ipairs({ "", "a b", "\255\254", ("x"):rep(5000) }) do
      assert.is_false((mtev.getaddrinfo(wrong)))
    end
    assert.are.same({ false, "getaddrinfo(localhost\0) failed: zero byte in the name" },
      { mtev.getaddrinfo("localhost\0") })
  end)

  it("lets other coroutines run meanwhile", function()
    local order = {}
    mtev.coroutine_spawn(function()
      mtev.getaddrinfo("localhost")
      order[#order + 1] = "resolved"
      mtev.notify("resolved")
    end)
    order[#order + 1] = "meanwhile"
    mtev.waitfor("resolved", 10)
    assert.are.same({ "meanwhile", "resolved" }, order)
  end)

  it("answers many at once", function()
    local n = 0
    for _ = 1, 100 do
      mtev.coroutine_spawn(function()
        if mtev.getaddrinfo("localhost") == "127.0.0.1" then n = n + 1 end
        mtev.notify("one of many")
      end)
    end
    for _ = 1, 100 do mtev.waitfor("one of many", 10) end
    assert.are.equal(100, n)
  end)

  it("raises for wrong arguments", function()
    assert.error_matches(function() mtev.getaddrinfo() end,
      "addresses_spec.lua:%d+: bad argument #1 to 'getaddrinfo' %(string expected, got nil%)")
  end)
end)
