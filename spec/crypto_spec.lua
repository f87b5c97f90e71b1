-- contract: rand_bytes, pseudo_rand_bytes, newrsa, newreq

local function refused(part, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  assert.is_truthy(tostring(message):find(part, 1, true), message)
end

for _, name in ipairs({ "rand_bytes", "pseudo_rand_bytes" }) do
  describe("mtev." .. name, function()
    it("gives as many bytes as asked for", function()
      for _, count in ipairs({ 1, 16, 255, 256, 257, 1024, 100000, "32" }) do
        assert.equal(tonumber(count), #mtev[name](count))
      end
    end)

    it("gives other bytes every time, and all of them", function()
      assert.is_true(mtev[name](16) ~= mtev[name](16))
      local seen, count = {}, 0
      for byte in mtev[name](20000):gmatch(".") do
        if not seen[byte] then seen[byte], count = true, count + 1 end
      end
      assert.is_true(count > 200)
      assert.is_true(mtev[name](600):sub(-300) ~= ("\0"):rep(300))
    end)

    it("raises unless it gets a positive number", function()
      for _, wrong in ipairs({ 0, -1, 1.5, 0 / 0, 1 / 0, 2 ^ 31, "x", {}, true }) do
        refused("bad argument #1 to '" .. name .. "'", mtev[name], wrong)
      end
      refused("got nil", mtev[name])
    end)
  end)
end

describe("mtev.newrsa", function()
  it("makes a key of so many bits while others run", function()
    local ticks, running = 0, true
    mtev.coroutine_spawn(function()
      while running do
        mtev.sleep(0)
        ticks = ticks + 1
      end
    end)
    local key = mtev.newrsa(1024)
    running = false
    assert.is_true(ticks > 0)
    assert.is_truthy(key:pem():match("^%-+BEGIN PRIVATE KEY%-+\n.*%-+END PRIVATE KEY%-+\n$"))
  end)

  it("makes one of 2048 bits by default", function()
    local key = mtev.newrsa()
    assert.is_true(#key:pem() > 1600 and #key:pem() < 1800)
    assert.is_true(key:pem() ~= mtev.newrsa(nil):pem())
  end)

  it("takes a key in PEM form", function()
    local pem = mtev.newrsa(1024):pem()
    assert.equal(pem, mtev.newrsa(pem):pem())
    assert.equal(pem, mtev.newrsa("before\n" .. pem .. "behind\n"):pem())
  end)

  it("works where the caller cannot suspend", function()
    local pem = mtev.newrsa(1024):pem()
    local key
    local suspending = setmetatable({}, { __index = function() return mtev.newrsa(pem) end })
    table.sort({ 2, 1 }, function(a, b)
      key = key or suspending.key
      return a < b
    end)
    assert.equal(pem, key:pem())
  end)

  it("gives nil and a message when there is no key", function()
    for _, text in ipairs({ "", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "\255\0" }) do
      local key, message = mtev.newrsa(text)
      assert.is_nil(key)
      assert.is_truthy(message:find("newrsa: not a private key in PEM form", 1, true), message)
    end
    for _, bits in ipairs({ 0, -1, 512, 1e6, 1e300 }) do
      local key, message = mtev.newrsa(bits)
      assert.is_nil(key)
      assert.is_truthy(message:find("newrsa: a key has 1024 to 16384 bits", 1, true), message)
    end
  end)

  it("raises for anything else", function()
    for _, wrong in ipairs({ {}, true, 1024.5, 0 / 0, 1 / 0 }) do
      refused("bad argument #1 to 'newrsa'", mtev.newrsa, wrong)
    end
  end)

  it("has the members of the contract", function()
    local key = mtev.newrsa(1024)
    refused("crypto.rsa no such element: unheard_of", function() return key.unheard_of end)
    refused("must be called as method", key.pem)
  end)
end)

describe("key:gencsr", function()
  local key
  before_each(function() key = key or mtev.newrsa(1024) end)

  it("makes a signing request", function()
    local request = key:gencsr({ subject = { CN = "a.example", O = "Example", C = "US", ST = "Maryland" } })
    assert.equal("/C=US/ST=Maryland/O=Example/CN=a.example", request.subject)
    assert.is_truthy(request:pem():match("^%-%-%-%-%-BEGIN CERTIFICATE REQUEST%-%-%-%-%-\n"))
    refused("crypto.req no such element: unheard_of", function() return request.unheard_of end)
    assert.equal("string", type(request.subject))
  end)

  it("takes long names and object identifiers, leaves out what is blank or unknown", function()
    local request = key:gencsr({
      subject = { commonName = "é", ["2.5.4.10"] = 5, ["1.2.3.4"] = "x", L = "", nonsense = "y" },
    })
    assert.equal("/O=5/CN=\\xC3\\xA9/1.2.3.4=x", request.subject)
    assert.equal("", key:gencsr({ subject = {} }).subject)
  end)

  it("takes a digest and extensions", function()
    for _, digest in ipairs({ "sha256", "SHA384", "sha512", "RSA-SHA256" }) do
      assert.equal("/CN=x", key:gencsr({ subject = { CN = "x" }, digest = digest }).subject)
    end
    local plain = key:gencsr({ subject = { CN = "x" } }):pem()
    local extended = key:gencsr({
      subject = { CN = "x" },
      addext = {
        subjectAltName = { "DNS:a.example", "DNS:b.example, IP:10.0.0.1", "IP:::1", "email:a@b.example", "URI:http:a" },
        basicConstraints = { "critical", "CA:TRUE", "pathlen:1" },
        keyUsage = { "digitalSignature", "keyCertSign" },
        extendedKeyUsage = "serverAuth,1.2.3.4",
        subjectKeyIdentifier = "hash",
        ["1.2.3.5"] = "DER:05:00",
      },
    }):pem()
    assert.is_true(#extended > #plain + 200)
  end)

  it("raises for what it cannot put into a request", function()
    for part, options in pairs({
      ["expects a table in 'subject'"] = {},
      ["got CN = table"] = { subject = { CN = {} } },
      ["got 1 = string"] = { subject = { "x" } },
      ["subject C=USA"] = { subject = { C = "USA" } },
      ["ASCII text expected"] = { subject = { C = "é" } },
      ["UTF-8 text expected"] = { subject = { CN = "\255" } },
      ["unknown digest 'nonsense'"] = { subject = { CN = "x" }, digest = "nonsense" },
      ["unknown digest 'md5'"] = { subject = { CN = "x" }, digest = "md5" },
      ["expects a table in 'addext'"] = { subject = { CN = "x" }, addext = "x" },
      ["addext', got keyUsage = boolean"] = { subject = { CN = "x" }, addext = { keyUsage = true } },
      ["keyUsage has a table"] = { subject = { CN = "x" }, addext = { keyUsage = { {} } } },
      ["extension keyUsage: unknown usage x"] = { subject = { CN = "x" }, addext = { keyUsage = { "x" } } },
      ["extension nonsense"] = { subject = { CN = "x" }, addext = { nonsense = { "x" } } },
      ["extension subjectAltName"] = { subject = { CN = "x" }, addext = { subjectAltName = { "IP:x" } } },
      ["extension extendedKeyUsage"] = { subject = { CN = "x" }, addext = { extendedKeyUsage = { "x" } } },
      ["extension basicConstraints"] = { subject = { CN = "x" }, addext = { basicConstraints = { "x" } } },
    }) do
      refused(part, key.gencsr, key, options)
    end
    refused("bad argument #1 to 'gencsr' (table expected, got nil)", key.gencsr, key)
    refused("must be called as method", key.gencsr, {})
  end)
end)

describe("mtev.newreq", function()
  it("takes a request in PEM form", function()
    local request = mtev.newrsa(1024):gencsr({ subject = { CN = "a.example" } })
    local again = mtev.newreq(request:pem())
    assert.equal("/CN=a.example", again.subject)
    assert.equal(request:pem(), again:pem())
  end)

  it("gives nil and a message when there is none", function()
    for _, text in ipairs({ "", "x", 5, mtev.newrsa(1024):pem() }) do
      local request, message = mtev.newreq(text)
      assert.is_nil(request)
      assert.is_truthy(message:find("newreq: not a signing request in PEM form", 1, true), message)
    end
  end)

  it("raises for what is no text", function()
    refused("bad argument #1 to 'newreq' (string expected, got nil)", mtev.newreq)
    refused("got table", mtev.newreq, {})
  end)
end)
