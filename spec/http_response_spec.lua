-- Responses as peers send them, well and badly, torn anywhere.  The peer is a socket of the test's own.

local HttpClient = require("mtev.HttpClient")

-- A client connected to a peer that reads a request and then runs serve(peer, request head).
local function connected(serve, hooks)
  local server = mtev.socket("inet")
  server:bind("127.0.0.1", 0)
  server:listen(4)
  local address, port = server:sock_name()
  mtev.coroutine_spawn(function()
    local mine = server:own()
    local peer = mine:accept()
    mine:close()
    local head = peer:read("\r\n\r\n")
    serve(peer, head)
    peer:close()
  end)
  local client = HttpClient:new(hooks)
  assert.equal(0, (client:connect(address, port)))
  return client
end

local function answering(bytes, hooks)
  return connected(function(peer) peer:write(bytes) end, hooks)
end

local function get(bytes, limit)
  local client = answering(bytes)
  client:do_request("GET", "/")
  local body = client:get_response(limit)
  client:close()
  return body, client
end

local function failure(bytes)
  local client = answering(bytes)
  client:do_request("GET", "/")
  local ok, err = pcall(client.get_response, client)
  assert.is_false(ok)
  assert.is_nil(client.e) -- closed
  return err
end

local DEFLATED = mtev.base64_decode("eNrLSM3JyVcozy/KSQEAGgsEXQ==") -- zlib
local GZIPPED = mtev.base64_decode("H4sIAAAAAAACA8tIzcnJVyjPL8pJAQCFEUoNCwAAAA==")

describe("a response", function()
  it("has a code, a protocol, headers in any case, and cookies", function()
    local body, client = get("HTTP/1.1 404 Not Here\r\nContent-Type: text/plain\r\nSet-Cookie: a=1\r\nset-cookie: b=2; path=/\r\n"
      .. "X-Twice: one\r\nX-Twice: two\r\nX-Folded: one\r\n  two\r\nContent-Length: 4\r\n\r\nnope")
    assert.equal("nope", body)
    assert.same({ 404, "1.1", "Not Here" }, { client.code, client.protocol, client.reason })
    assert.equal("text/plain", client.headers["CONTENT-type"])
    assert.equal("two", client.headers["X-Twice"], "the last counts")
    local names = {}
    for name in pairs(client.headers) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "Content-Length", "Content-Type", "X-Folded", "X-Twice" }, names, "as they came")
    assert.equal("one two", client.headers["x-folded"])
    assert.same({ "a=1", "b=2; path=/" }, client.cookies)
    assert.same({ 4, 4, false }, { client.raw_bytes, client.content_bytes, client.truncated })
  end)

  it("ends with its length, its last chunk, or the stream", function()
    assert.equal("abc", (get("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef")))
    assert.equal("abcdef", (get("HTTP/1.0 200 OK\r\n\r\nabcdef")))
    assert.equal("", (get("HTTP/1.1 204 None\r\nContent-Length: 3\r\n\r\nabc")))
    local body, client = get("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;ext=1\r\n0123456789\r\n0\r\nX-Sum: 9\r\n\r\n")
    assert.equal("abc0123456789", body)
    assert.equal("9", client.trailers["X-Sum"])
  end)

  it("may follow informational ones, and need no reason", function()
    assert.equal("x", (get("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx")))
  end)

  it("is decoded", function()
    for encoding, data in pairs({ gzip = GZIPPED, deflate = DEFLATED, ["x-gzip"] = GZIPPED, identity = "hello world" }) do
      local body, client = get("HTTP/1.1 200 OK\r\nContent-Encoding: " .. encoding .. "\r\nContent-Length: " .. #data .. "\r\n\r\n" .. data)
      assert.equal("hello world", body)
      assert.same({ #data, 11 }, { client.raw_bytes, client.content_bytes })
    end
  end)

  it("is decoded by a list of encodings too", function()
    assert.equal("hello world", (get("HTTP/1.1 200 OK\r\nContent-Encoding: identity, GZIP\r\nContent-Length: " .. #GZIPPED
      .. "\r\n\r\n" .. GZIPPED)))
  end)

  it("that ends right behind its headers has no body, and is marked", function()
    local body, client = get("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n")
    assert.same({ "", true }, { body, client.truncated })
  end)

  it("hands on each chunk in one piece", function()
    local pieces = {}
    local client = connected(function(peer)
      for _, piece in ipairs({ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nab", "cd", "ef\r\n9\r\nabc" }) do
        peer:write(piece)
        mtev.sleep(0.01)
      end
    end, { consume = function(text) pieces[#pieces + 1] = text end })
    client:do_request("GET", "/")
    assert.same({ false, "short chunked read" }, { pcall(client.get_response, client) })
    assert.same({ "abcdef" }, pieces)
  end)

  it("leaves what follows it to be read", function()
    local client = answering("HTTP/1.1 101 Switching\r\nUpgrade: lines\r\n\r\nfirst\nsecond\n")
    client:do_request("GET", "/")
    client:get_headers()
    assert.same({ "first\n", "sec", "ond\n" }, { client:read("\n"), client:read(3), client:read("\n") })
    client:close()
  end)

  it("is cut at the limit", function()
    local body, client = get("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", 4)
    assert.same({ "0123", true, 4 }, { body, client.truncated, client.content_bytes })
    body, client = get("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", 10)
    assert.same({ "0123456789", false }, { body, client.truncated })
  end)

  it("goes to hooks", function()
    local seen = {}
    local client = answering("HTTP/1.1 200 OK\r\nA: b\r\nSet-Cookie: c\r\nContent-Length: 2\r\n\r\nhi", {
      connected = function() seen[#seen + 1] = "connected" end,
      headers = function(headers, cookies) seen[#seen + 1] = headers.a .. cookies[1] end,
      consume = function(text) seen[#seen + 1] = text end,
    })
    client:do_request("GET", "/")
    assert.is_nil(client:get_response())
    assert.same({ "connected", "bc", "hi" }, seen)
  end)

  it("is the same wherever it is torn", function()
    local responses = {
      "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nX: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nT: t\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
      "HTTP/1.0 200 OK\r\nX:1\r\n\r\nhello world",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " .. #GZIPPED .. "\r\n\r\n" .. GZIPPED,
    }
    for _, whole in ipairs(responses) do
      local expected, seen = get(whole)
      for at = 1, #whole - 1 do
        local client = connected(function(peer)
          peer:write(whole:sub(1, at))
          mtev.sleep(0)
          peer:write(whole:sub(at + 1))
        end)
        client:do_request("GET", "/")
        assert.equal(expected, client:get_response())
        assert.same(seen.headers, client.headers)
        assert.same({ seen.code, seen.raw_bytes, seen.content_bytes }, { client.code, client.raw_bytes, client.content_bytes })
        client:close()
      end
    end
  end)
end)

describe("a malformed response raises and closes:", function()
  for what, bytes in pairs({
    ["malformed HTTP response:\nSSH-2.0-x"] = "SSH-2.0-x\r\n",
    ["malformed HTTP response:\nHTTP/1.1 20 OK"] = "HTTP/1.1 20 OK\r\n\r\n",
    ["malformed HTTP response:\nHTTP/1.1 2000 OK"] = "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    ["malformed HTTP response:\nHTTP/1.1 100x"] = "HTTP/1.1 100x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ["no response"] = "",
    ["malformed response: the stream ends inside a line"] = "HTTP/1.1 200",
    ["malformed response: the stream ends inside the headers"] = "HTTP/1.1 200 OK\r\nA: b\r\n",
    ["malformed header line"] = "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
    ["malformed response: a continued line before the first header"] = "HTTP/1.1 200 OK\r\n b\r\n\r\n",
    ["malformed response: Content-Length: -5"] = "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    ["malformed response: Content-Length: 5, 6"] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
    ["malformed response: Content-Length: 0x5"] = "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n",
    ["malformed response: the stream ends after 2 of 5 bytes"] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12",
    ["malformed response: Transfer-Encoding: gzip, chunked"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    ["unknown content-encoding: br"] = "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx",
    ["bad chunk length: -3"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
    ["bad chunk length: ffffffffffffffff"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    ["short chunked boundary read"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
    ["short chunked read"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
    ["bad chunk length: 5x"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5x\r\nhello\r\n",
    ["bad chunk trailers"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y",
    ["malformed response: the body ends inside its gzip stream"] = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
      .. GZIPPED:sub(1, -10),
    ["bad chunk transfer"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
  }) do
    it(what, function() assert.equal(what, failure(bytes)) end)
  end

  it("endless lines and headers", function()
    local function endless(piece)
      local client = connected(function(peer)
        peer:write("HTTP/1.1 200 OK\r\n")
        repeat until peer:write(piece) < 0
      end)
      client:do_request("GET", "/")
      return select(2, pcall(client.get_response, client))
    end
    assert.equal("malformed response: a line of more than 65536 bytes", endless(("x"):rep(1000)))
    assert.equal("malformed response: more than 1048576 bytes of headers", endless(("X-Y: " .. ("z"):rep(500) .. "\r\n"):rep(20)))
  end)

  it("a name with a blank behind it", function()
    assert.equal("malformed header line", failure("HTTP/1.1 200 OK\r\nA : b\r\n\r\n"))
  end)

  it("a body cut inside its compressed stream, however it is framed", function()
    local half = GZIPPED:sub(1, 12)
    for _, framing in ipairs({ "\r\n" .. half, "Content-Length: 12\r\n\r\n" .. half,
      "Transfer-Encoding: chunked\r\n\r\nc\r\n" .. half .. "\r\n0\r\n\r\n" }) do
      assert.equal("malformed response: the body ends inside its gzip stream",
        failure("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n" .. framing))
    end
  end)

  it("compressed data that is none", function()
    assert.matches("zlib", failure("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n\255\255nonsense"))
  end)
end)

describe("a request", function()
  local function sent(...)
    local request
    local client = connected(function(peer, head)
      request = head
      local length = head:match("[Cc]ontent%-[Ll]ength: (%d+)")
      if length and length ~= "0" then request = head .. peer:read(tonumber(length)) end
      peer:write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    end)
    local n = client:do_request(...)
    client:get_response()
    client:close()
    assert.equal(#request, n)
    return request
  end

  it("carries what every request does unless given", function()
    local head = sent("GET", "/path?q=1")
    assert.matches("^GET /path%?q=1 HTTP/1%.1\r\n", head)
    assert.matches("\r\nHost: 127%.0%.0%.1:%d+\r\n", head)
    assert.matches("\r\nUser%-Agent: [^\r]+\r\n", head)
    assert.matches("\r\nAccept: %*/%*\r\n", head)
    assert.matches("\r\nAccept%-Encoding: gzip, deflate\r\n", head)
    head = sent("GET", "/", { host = "other", ["user-agent"] = "me", accept = "text/plain", ["ACCEPT-ENCODING"] = "identity" })
    assert.matches("\r\nhost: other\r\n", head)
    for _, name in ipairs({ "Host", "User-Agent", "Accept", "Accept-Encoding" }) do
      assert.is_nil(head:find("\r\n" .. name .. ":", 1, true))
    end
  end)

  it("carries a payload with its length", function()
    assert.matches("\r\nX%-B: b\r\nX%-B: c\r\n.*\r\nContent%-Length: 5\r\n\r\nhello$", sent("POST", "/", { ["X-B"] = { "b", "c" } }, "hello"))
    assert.matches("Content%-Length: 0\r\n", sent("PUT", "/", nil, "", "1.0"))
  end)

  it("has the length of its payload, whatever its headers say", function()
    local headers = { ["content-LENGTH"] = "99" }
    assert.matches("\r\nContent%-Length: 3\r\n.*abc$", sent("POST", "/", headers, "abc"))
    assert.is_nil(sent("POST", "/", headers, "abc"):find(": 99", 1, true))
    assert.is_nil(sent("GET", "/", headers):lower():find("content-length", 1, true))
    assert.same({ ["content-LENGTH"] = "99" }, headers, "the caller's table is left alone")
  end)

  it("names libmtev as the agent, and the method in lower case", function()
    assert.matches("\r\nUser%-Agent: libmtev/0\r\n", sent("GET", "/"))
    local client = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    client:do_request("DELETE", "/")
    assert.equal("delete", client.method)
    client:close()
  end)

  it("is refused when it would break the protocol", function()
    local client = answering("")
    local function refusal(...) return select(2, pcall(client.do_request, client, ...)) end
    assert.matches("method expected, got A B", refusal("A B", "/"))
    assert.matches("uri expected, got /a b", refusal("GET", "/a b"))
    assert.matches("uri expected, got /\r\nX: y", refusal("GET", "/\r\nX: y"))
    assert.matches("line break in header 'X'", refusal("GET", "/", { X = "a\r\nInjected: yes" }))
    assert.matches("header 'X': string expected, got table", refusal("GET", "/", { X = { "a", {} } }))
    assert.matches("no name of a header: 'X Y'", refusal("GET", "/", { ["X Y"] = "a" }))
    assert.matches("table of headers expected", refusal("GET", "/", "X: y"))
    assert.matches("string expected, got table", refusal("POST", "/", {}, {}))
    client:close()
    assert.same({ -1, "not connected" }, { client:do_request("GET", "/") })
    assert.matches("not connected", select(2, pcall(client.get_response, client)))
  end)

  it("may follow another on the same connection", function()
    local client = connected(function(peer)
      for i = 1, 3 do
        peer:write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n" .. (i == 3 and "Connection: close\r\n" or "") .. "\r\n" .. i)
        if i < 3 then peer:read("\r\n\r\n") end
      end
    end)
    local bodies = {}
    for i = 1, 3 do
      client:do_request(i == 2 and "POST" or "GET", "/" .. i)
      bodies[i] = client:get_response()
    end
    assert.same({ "1", "2", "3" }, bodies)
    assert.is_nil(client.e)
  end)

  it("of HEAD has no body", function()
    local client = answering("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    client:do_request("HEAD", "/")
    assert.equal("", client:get_response())
    client:close()
  end)
end)

describe("time", function()
  local function silent() return connected(function(peer) peer:read(1) end) end

  it("that is up raises, or goes to the function that was given", function()
    local client = silent()
    client:set_timeout(0.01)
    client:do_request("GET", "/")
    assert.same({ false, "timeout" }, { pcall(client.get_response, client) })
    assert.is_nil(client.e)
    client = silent()
    local called = 0
    client:set_timeout(0.01, function() called = called + 1 end)
    client:do_request("GET", "/")
    assert.same({ false, "no response" }, { pcall(client.get_response, client) })
    assert.equal(1, called)
  end)

  -- Sends a byte as soon as the one before it was taken, for good.
  local function dripping()
    return connected(function(peer)
      peer:write("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
      repeat mtev.sleep(0.005) until peer:write("x") < 0
    end)
  end

  it("is that of the whole response, not of each piece", function()
    local client = dripping()
    client:set_timeout(0.1)
    client:do_request("GET", "/")
    assert.same({ false, "timeout" }, { pcall(client.get_response, client) })
    client = dripping()
    client:set_deadline(0.1)
    client:do_request("GET", "/")
    assert.same({ false, "timeout" }, { pcall(client.get_response, client) })
    assert.same({ -1, "timeout" }, { client:connect("127.0.0.1", 1) }, "the deadline is over")
    client:set_deadline(nil)
    assert.same({ -1, "Connection refused" }, { client:connect("127.0.0.1", 1) })
  end)

  it("is limited for sending, too", function()
    local client = connected(function() mtev.waitfor("never", 5) end)
    client:set_timeout(0.1)
    assert.same({ -1, "timeout" }, { client:do_request("POST", "/", {}, ("x"):rep(20000000)) })
    client:close()
    mtev.notify("never")
  end)

  it("of connecting includes the handshake of TLS", function()
    local silent_server = mtev.socket("inet")
    silent_server:bind("127.0.0.1", 0)
    silent_server:listen(4)
    local address, port = silent_server:sock_name()
    local client = HttpClient:new()
    client:set_connect_timeout(0.05)
    assert.same({ -1, "timeout" }, { client:connect(address, port, true) })
    client:set_connect_timeout(10)
    client:set_deadline(0.05)
    assert.same({ -1, "timeout" }, { client:connect(address, port, true) })
    silent_server:close()
  end)

  it("is without limit when it is none or nothing", function()
    for _, none in ipairs({ 0, -1, false }) do
      local client = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
      client:set_timeout(none or nil)
      client:do_request("GET", "/")
      assert.equal("ok", client:get_response())
    end
  end)

  it("and addresses are checked", function()
    local client = HttpClient:new()
    assert.error_matches(function() client:connect("localhost", 80) end, "mtev.socket family for localhost unknown")
    assert.same({ -1, "Connection refused" }, { client:connect("127.0.0.1", 1) })
    assert.matches("address expected, got nil", select(2, pcall(client.connect, client)))
    assert.matches("number of seconds expected", select(2, pcall(client.set_timeout, client, "soon")))
    assert.matches("table of hooks expected", select(2, pcall(HttpClient.new, HttpClient, 1)))
  end)
end)

describe("auth_digest", function()
  it("answers the challenge of RFC 2617", function()
    local challenge = 'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
      .. 'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    local answer = HttpClient:new():auth_digest("GET", "/dir/index.html", "Mufasa", "Circle Of Life", challenge)
    local cnonce, response = answer:match('cnonce="(%x+)"'), answer:match('response="(%x+)"')
    local expected = mtev.md5_hex(table.concat({ "939e7578ed9e3c518a452acee763bce9", "dcd98b7102dd2f0e8b11d0f600bfb0c093",
      "00000001", cnonce, "auth", "39aff3a2bab6126f332b942af96d3366" }, ":"))
    assert.equal(expected, response)
    assert.matches('^username="Mufasa", realm="testrealm@host.com", nonce="dcd9', answer)
    assert.equal(8, #cnonce)
    assert.matches('opaque="5ccc069c403ebaf9f0171e9517f40e41"', answer)
    assert.matches("qop=auth, nc=00000001", answer)
  end)

  local function answer_to(challenge, ...)
    local answer = HttpClient:new():auth_digest("POST", "/x", "u", "p", challenge, ...)
    return answer, answer:match('cnonce="(%x+)"'), answer:match('response="(%x+)"')
  end

  it("protects the payload where the server wants that alone", function()
    local answer, cnonce, response = answer_to('realm="r", nonce="n", qop="auth-int"', "payload")
    assert.matches("qop=auth%-int, nc=00000001", answer)
    local request = mtev.md5_hex("POST:/x:" .. mtev.md5_hex("payload"))
    local secret = mtev.md5_hex("u:r:p")
    assert.equal(mtev.md5_hex(table.concat({ secret, "n", "00000001", cnonce, "auth-int", request }, ":")), response)
    answer, cnonce, response = answer_to('realm="r", nonce="n", qop="auth-int"')
    assert.matches("qop=auth%-int", answer)
    request = mtev.md5_hex("POST:/x:" .. mtev.md5_hex(""))
    assert.equal(mtev.md5_hex(table.concat({ secret, "n", "00000001", cnonce, "auth-int", request }, ":")), response)
  end)

  it("answers with and without the word, with and without a quality of protection", function()
    for _, word in ipairs({ "Digest ", "" }) do
      local answer, _, response = answer_to(word .. 'realm="r", nonce="n"')
      assert.equal(mtev.md5_hex(mtev.md5_hex("u:r:p") .. ":n:" .. mtev.md5_hex("POST:/x")), response)
      assert.is_nil(answer:find("qop", 1, true))
      assert.matches("^username=", answer)
    end
    assert.matches("qop=auth, ", (answer_to('realm="r", nonce="n", qop="auth-int, auth"')))
    assert.error_matches(function() answer_to('realm="r", nonce="n", qop="other"') end, "qop=other is unsupported")
  end)
end)
