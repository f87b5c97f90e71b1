-- contract: mtev.extras

local extras = require("mtev.extras")

describe("mtev.extras", function()
  it("is a module and a table", function() assert.equal(mtev.extras, extras) end)
end)

describe("split", function()
  it("gives the pieces between matches of a pattern", function()
    assert.same({ "a", "b", "c" }, extras.split("a,b,c", ","))
    assert.same({ "a", "b", "c" }, extras.split("a1b22c", "%d+"))
    assert.same({ "", "a", "", "b" }, extras.split(",a,,b,", ","))
    assert.same({ "abc" }, extras.split("abc", ","))
    assert.same({}, extras.split("", ","))
  end)

  it("splits at most so many times", function()
    assert.same({ "a", "b,c" }, extras.split("a,b,c", ",", 1))
    assert.same({ "a", "b", "c" }, extras.split("a,b,c", ",", 5))
  end)

  it("comes to an end where the pattern matches nothing", function()
    assert.same({ "a", "b", "c" }, extras.split("abc", ""))
    assert.same({ "a", "b", "c" }, extras.split("a1bc", "%d*"))
  end)

  it("raises for wrong arguments", function()
    assert.error_matches(function() extras.split() end, "extras_spec.lua:%d+: bad argument #1 to 'split'")
    assert.error_matches(function() extras.split("a", ",", {}) end, "bad argument #3 to 'split'")
  end)
end)

describe("iptonumber", function()
  it("is the address as a number", function()
    assert.equal(16909060, extras.iptonumber("1.2.3.4"))
    assert.equal(4294967295, extras.iptonumber("255.255.255.255"))
    assert.error_matches(function() extras.iptonumber() end, "bad argument #1 to 'iptonumber'")
  end)
end)

describe("check_host_header_against_certificate", function()
  local check = extras.check_host_header_against_certificate
  local MISMATCH = "host header does not match CN or SANs in certificate"

  it("accepts the common name and the alternative names", function()
    assert.is_nil(check("www.example.com", "/C=US/CN=www.example.com", nil))
    assert.is_nil(check("api.example.com", "/CN=other", "DNS:www.example.com, DNS:api.example.com"))
    assert.is_nil(check("API.Example.com", "/CN=api.example.com/O=x", ""))
  end)

  it("lets a star stand for one label", function()
    assert.is_nil(check("a.example.com", "/CN=*.example.com"))
    assert.equal(MISMATCH, check("a.b.example.com", "/CN=*.example.com"))
    assert.equal(MISMATCH, check("axexample.com", "/CN=a.example.com"))
    assert.equal(MISMATCH, check("aXexample.com", "/CN=*.example.com"))
  end)

  it("says what is wrong", function()
    assert.equal(MISMATCH, check("evil.com", "/CN=www.example.com", "DNS:www.example.com"))
    assert.equal(MISMATCH, check("evil.com", "/O=x"))
  end)
end)

describe("urls, forms and cookies", function()
  local function request(headers, payload)
    return { headers = function(_, name) return headers[name] end, payload = function() return payload end }
  end

  it("are encoded and decoded", function()
    assert.equal("a%20b%2fc-_.~%c3%a9", extras.url_encode("a b/c-_.~é"))
    assert.equal("a b/c+%zz", extras.url_decode("a%20b%2Fc+%zz"))
    assert.equal(1, select("#", extras.url_encode("a")))
  end)

  it("decode a form, or one of its fields", function()
    local form = request({ ["content-type"] = "application/x-www-form-urlencoded; charset=utf-8" }, "a=1%202+3&b&c=x=y&d=")
    assert.same({ a = "1 2 3", b = true, c = "x=y", d = "" }, extras.decode_form(form))
    assert.equal("x=y", extras.decode_form(form, "c"))
    assert.is_nil(extras.decode_form(request({ ["content-type"] = "text/plain" }, "a=1")))
    assert.is_nil(extras.decode_form(request({}, "a=1")))
  end)

  it("decode cookies, or one of them", function()
    local cookies = request({ cookie = "a=1; b=%3b; flag" })
    assert.same({ a = "1", b = ";", flag = true }, extras.decode_cookie(cookies))
    assert.equal("1", extras.decode_cookie(cookies, "a"))
    assert.same({}, extras.decode_cookie(request({})))
  end)

  it("set a cookie", function()
    local sent
    local context = { header = function(_, name, value) sent = { name, value } end }
    extras.set_cookie(context, "key", "a b", { Path = "/", domain = "example.com", secure = true, httponly = true })
    assert.same({ "Set-Cookie", "key=a%20b; Domain=example.com; Path=/; Secure; HttpOnly" }, sent)
    extras.set_cookie(context, "key", "value")
    assert.same({ "Set-Cookie", "key=value" }, sent)
    extras.set_cookie(context, "key", "value", { expires = 60 })
    assert.is_truthy(sent[2]:match("^key=value; Expires=%a%a%a, %d%d%-%a%a%a%-%d%d%d%d %d%d:%d%d:%d%d GMT$"))
    assert.error_matches(function() extras.set_cookie(context, "k", "v", { path = "/\r\nX: y" }) end, "extras_spec.lua:%d+: set_cookie: Path")
    assert.error_matches(function() extras.set_cookie(context, "k") end, "extras_spec.lua:%d+: bad argument #3 to 'set_cookie'")
  end)
end)

describe("repl_eval", function()
  local function eval(code)
    local out = {}
    local ok = extras.repl_eval(code, function(text) out[#out + 1] = text end)
    return ok, table.concat(out)
  end

  it("evaluates expressions and runs statements", function()
    assert.same({ true, "3\tx\tnil\n" }, { eval("1 + 2, 'x', nil") })
    assert.same({ true, "3\n" }, { eval("= 3") })
    assert.same({ true, "" }, { eval("local x = 1") })
    assert.same({ true, "slept\n" }, { eval("mtev.sleep(0) return 'slept'") })
  end)

  it("hands over errors", function()
    local ok, text = eval("local x = 1\nerror('oops')")
    assert.is_false(ok)
    assert.equal("repl:2: oops\n", text)
    ok, text = eval("1 +")
    assert.is_false(ok)
    assert.is_truthy(text:match("^repl:1: "))
    assert.error_matches(function() extras.repl_eval("1") end, "bad argument #2 to 'repl_eval'")
  end)
end)
