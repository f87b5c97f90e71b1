-- contract: HTTP client (mtev.Api).  The service is a socket of the spec's own.

-- Runs ask(api, port) against a service that gives *answer* to one request; returns the request as it came, then what ask
-- returned.
local function asked(answer, ask, options)
  local server = mtev.socket("inet")
  server:bind("127.0.0.1", 0)
  server:listen(4)
  local address, port = server:sock_name()
  local request
  mtev.coroutine_spawn(function()
    local mine = server:own()
    local peer = mine:accept()
    request = peer:read("\r\n\r\n")
    local length = request:match("[Cc]ontent%-[Ll]ength: (%d+)")
    if length and length ~= "0" then request = request .. peer:read(length) end
    peer:write(answer)
    if options and options.hold then mtev.waitfor("let go", 10) end
    peer:close()
    mine:close()
  end)
  return (function(...)
    if options and options.hold then mtev.notify("let go") end
    return request, ...
  end)(ask(mtev.Api:http(address, port), port))
end

local OK = "HTTP/1.1 200 OK\r\n"
local EMPTY = OK .. "Content-Length: 0\r\n\r\n"

local function body(text) return OK .. "Content-Length: " .. #text .. "\r\n\r\n" .. text end

local function get(api) return api:get("/") end

describe("mtev.Api", function()
  it("is the module of that name, and keeps what it is made of", function()
    assert.equal(mtev.Api, require("mtev.Api"))
    local api = mtev.Api:http("127.0.0.1", "80", { A = "1" })
    assert.same({ "127.0.0.1", 80, { A = "1" } }, { api.host, api.port, api.headers })
    assert.is_nil(api.sslconfig)
    assert.same({}, mtev.Api:https("127.0.0.1", 443).sslconfig)
    assert.equal("https", mtev.Api:new("127.0.0.1", 443, {}, {}).scheme)
    assert.equal("http", mtev.Api:new("127.0.0.1", 80).scheme)
  end)

  it("wants a host and a port", function()
    assert.error_matches(function() mtev.Api:http() end, "api_spec.lua:%d+: No host given")
    assert.error_matches(function() mtev.Api:https("127.0.0.1") end, "api_spec.lua:%d+: No port given")
    for _, port in ipairs({ "many", 0, 65536, 80.5, 0 / 0, "nan" }) do
      assert.error_matches(function() mtev.Api:http("127.0.0.1", port) end, "port expected, got " .. tostring(port), 1, true)
    end
    assert.error_matches(function() mtev.Api:http("127.0.0.1", 80, "A: 1") end, "table expected, got string")
  end)

  it("takes an IPv6 address with and without the brackets of URLs", function()
    for _, host in ipairs({ "::1", "[::1]" }) do
      local server = mtev.socket("inet6")
      server:bind("::1", 0)
      server:listen(1)
      local _, port = server:sock_name()
      mtev.coroutine_spawn(function()
        local mine = server:own()
        local peer = mine:accept()
        peer:write(body(peer:read("\r\n\r\n"):match("Host: ([^\r]*)")))
        peer:close()
        mine:close()
      end)
      assert.equal("[::1]:" .. port, mtev.Api:http(host, port):get("/"):text())
    end
  end)

  it("sends each method, a payload, a table as JSON", function()
    assert.matches("^GET /p%?q=1 HTTP/1.1\r\n", (asked(EMPTY, function(api) return api:get("/p?q=1") end)))
    assert.matches("^PUT /p HTTP/1.1\r\n.*\r\n\r\nx$", (asked(EMPTY, function(api) return api:put("/p", "x") end)))
    assert.matches("^POST /p HTTP/1.1\r\n.*\r\n\r\ntext$", (asked(EMPTY, function(api) return api:post("/p", "text") end)))
    assert.matches("^OPTIONS /p HTTP/1.1\r\n", (asked(EMPTY, function(api) return api:request("OPTIONS", "/p") end)))
    local sent = asked(EMPTY, function(api) return api:post("/p", { a = { 1, 2 } }) end)
    assert.matches('\r\n\r\n{ "a": %[ 1, 2 %] }$', sent)
  end)

  it("asks for JSON unless it is told otherwise", function()
    assert.matches("\r\nAccept: application/json\r\n", (asked(EMPTY, get)))
    local sent = asked(EMPTY, function(api) return api:get("/", nil, { accept = "a/b" }) end)
    assert.matches("\r\naccept: a/b\r\n", sent)
    assert.is_nil(sent:find("application/json", 1, true))
  end)

  it("sends its own headers, or those given instead, and leaves both alone", function()
    local own, given = { ["X-Own"] = "1" }, { ["X-Given"] = "2" }
    local sent = asked(EMPTY, function(_, port) return mtev.Api:http("127.0.0.1", port, own):get("/") end)
    assert.matches("\r\nX%-Own: 1\r\n", sent)
    sent = asked(EMPTY, function(_, port) return mtev.Api:http("127.0.0.1", port, own):get("/", nil, given) end)
    assert.matches("\r\nX%-Given: 2\r\n", sent)
    assert.is_nil(sent:find("X-Own", 1, true))
    assert.same({ { ["X-Own"] = "1" }, { ["X-Given"] = "2" } }, { own, given })
  end)
end)

describe("an answer", function()
  it("has a status, a text, headers", function()
    local _, answer = asked(body("hello"), get)
    assert.same({ 200, "hello", 200, "hello", "5" },
      { answer:rc(), answer:text(), answer.code, answer.output, answer.headers["CONTENT-LENGTH"] })
    assert.equal(answer, answer:check())
  end)

  it("is read as JSON and as XML; an empty one is nil", function()
    local _, answer = asked(body('{"a":[1,2]}'), get)
    assert.same({ a = { 1, 2 } }, answer:json())
    _, answer = asked(body("<a>text</a>"), get)
    assert.equal("text", answer:xml():root():contents())
    assert.error_matches(function() answer:json() end, "api_spec.lua:%d+: GET http://127.0.0.1:%d+/: .* at byte 0")
    _, answer = asked(EMPTY, get)
    assert.is_nil(answer:json())
    assert.is_nil(answer:xml())
    _, answer = asked(body("no xml"), get)
    assert.error_matches(function() answer:xml() end, "no XML")
  end)

  it("fails its check unless the status is 2xx", function()
    for status, good in pairs({ ["200"] = true, ["204"] = true, ["299"] = true, ["301"] = false, ["404"] = false, ["500"] = false }) do
      local _, answer = asked("HTTP/1.1 " .. status .. " X\r\nContent-Length: " .. (status == "204" and 0 or 3) .. "\r\n\r\nwhy", get)
      if good then
        assert.equal(answer, answer:check())
      else
        assert.error_matches(function() answer:check() end, "API requests failed %(" .. status .. "%): why")
      end
    end
  end)

  it("is there when there was no response, and says why", function()
    local answer = mtev.Api:http("127.0.0.1", 1):get("/")
    assert.same({ -1, "client:connect failed" }, { answer:rc(), answer:text() })
    assert.error_matches(function() answer:check() end, "API requests failed %(%-1%): client:connect failed")
    answer = mtev.Api:http("no-such-host.invalid", 80):set_timeout(0.01):get("/")
    assert.same({ -1, "DNS lookup failed" }, { answer:rc(), answer:text() })
    local _, late = asked("HTTP/1.1 200 OK\r\n", function(api) return api:set_timeout(0.05):get("/") end, { hold = true })
    assert.same({ -1, "timeout" }, { late:rc(), late:text() })
    _, late = asked("", function(_, port) return mtev.Api:https("127.0.0.1", port):set_timeout(0.05):get("/") end, { hold = true })
    assert.same({ -1, "client:connect failed" }, { late:rc(), late:text() })
  end)

  it("that is malformed raises", function()
    assert.error_matches(function() asked("SSH-2.0\r\n", get) end, "GET http://127.0.0.1:%d+/: malformed HTTP response:\nSSH%-2.0")
    assert.error_matches(function() asked("", get) end, "no response")
  end)
end)
