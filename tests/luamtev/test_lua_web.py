"""lua_web: Lua modules as web handlers, in the real program, asked by real clients."""

import gzip
import http.client
import json
import re
import signal
import socket
import threading
import time

import pytest
from waiting import until
from webprogram import WS, Socket, Web

pytestmark = pytest.mark.parametrize("web", ["lua", "python"], indirect=True)


def test_a_handler_answers_as_it_says(web: Web) -> None:
    web.start(
        """
        function handler(rest, config)
          local http = rest:http()
          local req = http:request()
          http:status(201, "Made")
          http:header("Content-Type", "text/x-lua")
          http:header("X-Key", config.key)
          http:set_cookie("name", "va lue", { path = "/", httponly = true })
          print(http:write("one "), http:write(2))
          http:write(" " .. req:method() .. " " .. req:uri())
          print(http:flush_end(), http:flush_end(), http:write("late"), http:status(500), http:header("a", "b"))
        end
        """
    )
    reply = web.ask("/some/path?a=b", "POST", b"x")
    assert (reply.status, reply.reason, reply.body) == (201, "Made", b"one 2 POST /some/path")
    assert reply.headers["content-type"] == "text/x-lua"
    assert reply.headers["x-key"] == "of the listener"
    assert reply.headers["set-cookie"] == "name=va%20lue; Path=/; HttpOnly"
    assert web.stop() == 0
    assert web.errors().startswith("true\ttrue\ntrue\tfalse\tfalse\tfalse\tfalse\n")
    line = (web.directory / "access.log").read_text()
    assert re.search(r'^127\.0\.0\.1 - - \[.*\] "POST /some/path\?a=b HTTP/1\.1" 201 \d+\|1 \d+\.\d{3}$', line), line


def test_a_request_is_read(web: Web) -> None:
    web.start(
        """
        function handler(rest)
          local http = rest:http()
          local req = http:request()
          local function say(...) for i = 1, select("#", ...) do http:write(tostring(select(i, ...)) .. "|") end end
          local all = req:headers()
          say(all["x-twice"], req:headers("X-Twice"), req:headers("none"))
          say(req:querystring("a"), req:querystring("e"), req:querystring().b, req:querystring("none"))
          say(req:cookie("c"), req:cookie().d, req:form("f"), (req:form() or {}).g)
          say(req:payload(), req:opts() > 0, req:opts(http.GZIP))
          say(req:opts(http.CHUNKED + http.GZIP), req:opts(http.DEFLATE))
          say(http:url_encode("a b"), http:url_decode("a%20b"), http:htmlentities("\\195\\169<", true))
          http:flush_end()
        end
        """
    )
    body = web.text(
        "/x?a=1%202&b=+&e",
        "POST",
        "f=1+2&g=%00",
        X_Twice="one",
        Cookie="c=d%20e; d=2",
        Content_Type="application/x-www-form-urlencoded",
        Accept_Encoding="gzip",
    )
    assert body.split("|")[:-1] == [
        *("one", "one", "nil", "1 2", "", " ", "nil"),
        *("d e", "2", "1 2", "\0", "f=1+2&g=%00", "true", "true", "true", "false"),
        *("a%20b", "a b", "&eacute;&lt;"),
    ]
    assert web.text("/x").split("|")[11] == "nil"


def test_a_handler_that_fails_or_says_nothing(web: Web) -> None:
    web.start(
        """
        function handler(rest)
          local http = rest:http()
          local path = http:request():uri()
          http:status(200)
          http:write("half")
          if path == "/error" then error("it <broke>", 0)
          elseif path == "/table" then error({})
          elseif path == "/late" then http:flush() error("too late")
          elseif path == "/ended" then http:flush_end() error("after the end")
          elseif path == "/flushed" then http:flush() end
        end
        """
    )
    reply = web.ask("/error")
    assert (reply.status, reply.headers["content-type"], reply.body) == (500, "text/html", b"it &lt;broke&gt;")
    assert web.ask("/table").status == 500
    assert web.ask("/nothing").status == 404
    assert web.ask("/ended").body == b"half"
    assert web.ask("/flushed").body == b"half"
    with pytest.raises(http.client.IncompleteRead):
        web.ask("/late")
    web.stop()
    errors = web.errors()
    assert "lua error: it <broke>" in errors and "after the end" in errors and "web.lua:" in errors


def test_misuse_raises_in_the_handler(web: Web) -> None:
    web.start(
        """
        function handler(rest)
          local http = rest:http()
          local req = http:request()
          local function try(f, ...) http:write(select(2, pcall(f, ...)):gsub("^.-:%d+: ", "") .. "\\n") end
          try(http.status, http)
          try(http.status, http, 99)
          try(http.status, http, 200, "O\\nK")
          try(http.header, http, "name")
          try(http.header, http, "na me", "value")
          try(http.header, http, "name", "va\\r\\nlue")
          try(http.header, http, "name", {})
          try(http.write, http)
          try(http.write, http, {})
          try(http.option, http, 99)
          try(http.write_fd, http, "x")
          try(http.write_fd, http, 1, -1)
          try(http.write_fd, http, nil)
          try(http.write_fd, http, 1e10)
          try(http.write_fd, http, 1, 1e308)
          try(http.url_encode, http)
          try(http.write, "x")
          try(req.headers, req, 1, 2)
          for _, name in ipairs({ "method", "uri", "raw_uri", "payload" }) do
            req[name](req, 1) -- as the original lets it pass
            try(req[name], req, 1, 2)
          end
          for _, name in ipairs({ "request", "flush", "flush_end" }) do try(http[name], http, 1) end
          try(function() return http.nothing end)
          try(function() return http.response end)
          try(function() return req.nothing end)
          try(function() return rest.nothing end)
          http:flush_end()
        end
        """
    )
    assert web.text("/").splitlines() == [
        "wrong number of arguments to 'status' (1 to 2 expected, got 0)",
        "bad argument #1 to 'status' (200 to 999 expected, got 99)",
        "bad argument #2 to 'status' (control character in the reason)",
        "wrong number of arguments to 'header' (2 expected, got 1)",
        "bad argument #1 to 'header' (name of a header expected, got 'na me')",
        "bad argument #2 to 'header' (control character in the value of name)",
        "bad argument #2 to 'header' (string expected, got table)",
        "wrong number of arguments to 'write' (1 expected, got 0)",
        "bad argument #1 to 'write' (string expected, got table)",
        "bad argument #1 to 'option' (CHUNKED, CLOSE, GZIP or DEFLATE expected, got 99)",
        "bad argument #1 to 'write_fd' (whole number expected, got x)",
        "bad argument #2 to 'write_fd' (whole number expected, got -1)",
        "bad argument #1 to 'write_fd' (whole number expected, got nil)",
        "bad argument #1 to 'write_fd' (whole number expected, got 10000000000)",
        "bad argument #2 to 'write_fd' (whole number expected, got 1e+308)",
        "wrong number of arguments to 'url_encode' (1 expected, got 0)",
        "must be called as method",
        "wrong number of arguments to 'headers' (0 to 1 expected, got 2)",
        *(
            f"wrong number of arguments to '{name}' (none expected)"
            for name in ("method", "uri", "raw_uri", "payload", "request", "flush", "flush_end")
        ),
        "mtev.http_ctx no such element: nothing",
        "mtev.http_ctx no such element: response",
        "mtev.http_request no such element: nothing",
        "mtev.http_rest no such element: nothing",
    ]


def test_bodies_flow_chunked_compressed_and_from_files(web: Web) -> None:
    (web.directory / "data").write_bytes(bytes(range(256)) * 4096)
    web.start(
        f"""
        function handler(rest)
          local http = rest:http()
          local path = http:request():uri()
          if path == "/chunks" then
            for i = 1, 3 do http:write(i .. ",") http:flush() mtev.sleep(0.001) end
          elseif path == "/gzip" then
            http:option(http.GZIP)
            http:write(("zip"):rep(10000))
          elseif path == "/close" then
            http:option(http.CLOSE)
          else
            local fd = mtev.open("{web.directory}/data", O_RDONLY)
            http:write("before ")
            http:write_fd(fd, 3, 65)
            http:write(" between ")
            assert(http:write_fd(fd))
            assert(not http:write_fd(fd, 10, 1048570))
            mtev.close(fd)
          end
          http:flush_end()
        end
        """
    )
    chunked = web.ask("/chunks")
    assert (chunked.headers["transfer-encoding"], chunked.body) == ("chunked", b"1,2,3,")
    zipped = web.ask("/gzip", Accept_Encoding="gzip")
    assert gzip.decompress(zipped.body) == b"zip" * 10000
    assert web.ask("/gzip").body == b"zip" * 10000
    assert web.ask("/close").headers["connection"] == "close"
    assert web.ask("/file").body == b"before ABC between " + bytes(range(256)) * 4096


def test_a_file_that_cannot_be_written_is_told_of_with_the_line_of_lua(web: Web) -> None:
    web.start(
        f"""
        function handler(rest)
          local http = rest:http()
          http:write_fd(999)
          http:write_fd(mtev.open("{web.directory}", O_RDONLY))
          http:write_fd(mtev.open("{web.directory}/out", O_WRONLY + O_CREAT, 384))
          http:flush_end()
        end
        """
    )
    assert web.ask("/").body == b""
    said = re.findall(r"web\.lua:(\d+): write_fd\(\d+\): (.*)", web.errors())
    assert [line for line, _ in said] == ["5", "6", "7"]
    assert "Bad file descriptor" in said[0][1] and "Is a directory" in said[1][1]


def test_a_client_that_does_not_read_holds_up_its_handler_only(web: Web) -> None:
    web.start(
        """
        local written = 0
        function handler(rest)
          local http = rest:http()
          if http:request():uri() == "/written" then
            http:write(tostring(written))
          else
            local piece = ("x"):rep(65536)
            for i = 1, 1000 do
              if not (http:write(piece) and http:flush()) then break end
              written = written + #piece
            end
          end
          http:flush_end()
        end
        """
    )
    with socket.create_connection(("127.0.0.1", web.port)) as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        lazy.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        seen, before = -1, -2
        while seen != before:  # until it stands still
            time.sleep(0.1)
            before, seen = seen, int(web.text("/written"))
        assert 0 < seen < 20_000_000
    while int(web.text("/written")) != seen and seen < 65_536_000:  # the handler sees that the client has gone
        seen = int(web.text("/written"))


def test_access_control_of_a_public_mount_is_the_handlers_to_apply(web: Web) -> None:
    web.start(
        """
        function handler(rest)
          local http = rest:http()
          if http:request():querystring("apply") then
            if not rest:apply_acl() then return end
          end
          http:write("served")
          http:flush_end()
        end
        """,
        web="<mount_get>web:GET:/</mount_get><public_get>true</public_get>",
    )
    assert web.text("/denied") == "served"
    assert web.ask("/denied?apply=1").status == 403
    assert web.text("/granted?apply=1") == "served"


def test_handlers_suspend_and_no_answer_is_mixed_up(web: Web) -> None:
    web.start(
        """
        function handler(rest)
          local http = rest:http()
          local n = tonumber(http:request():querystring("n"))
          if n % 7 == 0 then mtev.sleep(0.005) end
          if n % 11 == 0 then mtev.sleep(0) end
          if n % 13 == 0 then mtev.notify("n" .. n, n) assert(select(2, mtev.waitfor("n" .. n)) == n) end
          if n % 17 == 0 then error("failed " .. n, 0) end
          if n % 19 == 0 then http:write("a") http:flush() end
          http:write("answer " .. n)
          http:flush_end()
        end
        """,
        threads=2,
    )
    wrong: list[str] = []

    def ask(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
        for n in range(first, first + 500):
            connection.request("GET", f"/?n={n}")
            answer = connection.getresponse()
            body = answer.read().decode()
            expected = f"failed {n}" if n % 17 == 0 else f"{'a' if n % 19 == 0 else ''}answer {n}"
            if body != expected or answer.status != (500 if n % 17 == 0 else 200):
                wrong.append(f"{n}: {answer.status} {body}")
        connection.close()

    clients = [threading.Thread(target=ask, args=(1 + 1000 * i,)) for i in range(16)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert wrong == []


@pytest.mark.parametrize("requests", [2_000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_thirty_two_connections_get_their_own_answers_only(web: Web, requests: int) -> None:
    web.start(
        """
        local counter = 0
        function handler(rest)
          local http = rest:http()
          local n = http:request():querystring("n")
          counter = counter + 1
          if counter % 97 == 0 then mtev.sleep(0.001) elseif counter % 31 == 0 then mtev.sleep(0) end
          if counter % 101 == 0 then error("[" .. n .. "]", 0) end
          http:header("X-N", n)
          http:write("<" .. n .. ">")
          http:flush_end()
        end
        """,
        threads=2,
    )
    wrong: list[str] = []

    def ask(first: int) -> None:
        with socket.create_connection(("127.0.0.1", web.port), 60) as client:
            for start in range(first, first + requests, 50):
                numbers = range(start, start + 50)
                client.sendall(b"".join(b"GET /?n=%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in numbers))
                data = b""
                while data.count(b">") + data.count(b"]") < 50:
                    received = client.recv(65536)
                    if not received:
                        break
                    data += received
                answers = re.findall(rb"[<[](\d+)[]>]", data)
                named = re.findall(rb"X-N: (\d+)", data)
                if answers != [b"%d" % n for n in numbers] or len(named) + data.count(b"HTTP/1.1 500") != 50:
                    wrong.append(f"{start}: {data[:500]!r}")
                    return

    clients = [threading.Thread(target=ask, args=(1_000_000 * i,)) for i in range(1, 33)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert wrong == []


def test_pipelined_requests_are_answered_in_order(web: Web) -> None:
    web.start(
        """
        function handler(rest)
          local http = rest:http()
          local n = http:request():querystring("n")
          if n == "1" then mtev.sleep(0.05) end
          http:write("[" .. n .. "]")
          http:flush_end()
        end
        """
    )
    with socket.create_connection(("127.0.0.1", web.port), 20) as client:
        client.sendall(b"".join(b"GET /?n=%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(1, 51)))
        data = b""
        while data.count(b"]") < 50:
            data += client.recv(65536)
    assert re.findall(rb"\[(\d+)\]", data) == [b"%d" % n for n in range(1, 51)]


def test_a_client_that_goes_away_leaves_its_handler_to_end(web: Web) -> None:
    web.start(
        """
        local ended = 0
        function handler(rest)
          local http = rest:http()
          if http:request():uri() == "/ended" then
            http:write(tostring(ended))
          else
            mtev.sleep(0.1)
            http:write("x")
            assert(http:flush_end() == false)
            ended = ended + 1
          end
          http:flush_end()
        end
        """
    )
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", web.port)) as client:
            client.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    until(lambda: web.text("/ended") == "5", web.errors)


def test_handlers_call_other_services(web: Web) -> None:
    web.start(
        f"""
        function handler(rest)
          local http = rest:http()
          if http:request():uri() == "/inner" then
            http:write("inner")
          else
            http:write(mtev.Api:http("127.0.0.1", {web.port}):get("/inner"):check():text() .. " of outer")
          end
          http:flush_end()
        end
        """
    )
    assert web.text("/outer") == "inner of outer"


def test_mounts_are_told_apart_and_assigned_to_loops(web: Web) -> None:
    source = """
        function handler(rest)
          local http = rest:http()
          http:write("%s " .. select(3, mtev.thread_self()))
          http:flush()
          mtev.sleep(0.01)
          http:write(" end")
          http:flush_end()
        end
        """
    web.start(
        source % "web",
        web="<mount_a>web:GET:/a/:^[0-9]+$</mount_a><mount_b>other:GET:/b/</mount_b><loop_assign_b>slow</loop_assign_b>",
        eventer="<loop_slow>1</loop_slow>",
        other=source % "other",
    )
    assert web.text("/a/12") == "web e:default/0 end"
    assert web.ask("/a/x").status == 404
    assert web.ask("/a/12", "POST", b"").status == 405
    assert web.text("/b/anything") == "other e:slow/0 end"
    (web.directory / "files").mkdir(exist_ok=True)
    (web.directory / "files" / "f.txt").write_text("a file")
    assert web.text("/f.txt") == "a file"


def test_a_module_that_does_not_load_is_a_500_until_it_does(web: Web) -> None:
    web.start("function handler(rest) end", web="<mount_a>later:GET:/</mount_a>")
    reply = web.ask("/")
    assert reply.status == 500
    assert b"module 'later' not found" in reply.body
    (web.directory / "later.lua").write_text(
        "return { handler = function(rest) local c = rest:http() c:write('here') c:flush_end() end }"
    )
    assert web.text("/") == "here"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("<mount_x>web</mount_x>", "Invalid lua_web mount syntax in 'mount_x'"),
        ("<mount_x>web:GET</mount_x>", "Invalid lua_web mount syntax in 'mount_x'"),
        ("<mount_x>web:GET:prefix</mount_x>", "mount_x: a base begins with a slash"),
        ("<mount_x>web:GET:/:(</mount_x>", "mount_x: bad regular expression"),
        ("<mount_x>web:GET:/</mount_x><loop_assign_y>z</loop_assign_y>", "loop_assign_y: there is no mount_y"),
        ("<mount_x>web:GET:/</mount_x><loop_assign_x>z</loop_assign_x>", "there is no loop 'z'"),
    ],
)
def test_a_mount_that_makes_no_sense_keeps_the_program_from_starting(web: Web, config: str, message: str) -> None:
    with pytest.raises(AssertionError, match="(?s)" + re.escape(message)):
        web.start("", web=config)
    assert web.process is not None and web.process.wait(10) == 2


def test_term_finishes_what_was_asked_and_refuses_what_is_new(web: Web) -> None:
    web.start(
        """
        function handler(rest)
          local http = rest:http()
          http:write("begun ")
          http:flush()
          mtev.sleep(0.5)
          http:write("and ended")
          http:flush_end()
        end
        """
    )
    idle = socket.create_connection(("127.0.0.1", web.port), 20)
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=20)
    connection.request("GET", "/slow")
    answer = connection.getresponse()
    assert answer.read(6) == b"begun "
    assert web.process is not None
    web.process.send_signal(signal.SIGTERM)
    with idle:
        assert idle.recv(10) == b""
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", web.port), 5)
    assert answer.read() == b"and ended"
    connection.close()
    assert web.process.wait(10) == 0


def test_the_states_tell_of_themselves(web: Web) -> None:
    web.start(
        """
        mtev.coroutine_spawn(function() mtev.waitfor("for ever") end)
        function _G.mtev_xcall(query)
          if query.fail then error("as asked", 0) end
          return { query.a, (select(2, mtev.thread_self())) }
        end
        function handler(rest) local c = rest:http() c:write("x") c:flush_end() end
        """,
        threads=2,
    )
    for _ in range(20):
        web.text("/")  # both threads have loaded the module then
    found = json.loads(web.text("/module/lua/state.json"))
    assert set(found) == {"lua_general", "lua_web"}
    assert set(found["lua_web"]) == {"e:default/0", "e:default/1"}
    one = found["lua_web"]["e:default/1"]
    assert one["memory"] > 100_000
    assert any("waitfor" in each["stack"] or "web.lua" in each["stack"] for each in one["coroutines"])
    found = json.loads(web.text("/module/lua/xcall.json?a=b%20c"))
    assert found["lua_web"]["e:default/1"] == {"result": ["b c", 1]}
    assert found["lua_general"]["e:default/0"] == {"error": "no function mtev_xcall"}
    found = json.loads(web.text("/module/lua/xcall.json?fail=1"))
    assert found["lua_web"]["e:default/0"] == {"error": "as asked"}


def test_web_sockets_talk_with_lua(web: Web) -> None:
    web.start(
        """
        local ended = "nobody"
        websocket = {
          ready = function(ws, config)
            mtev.sleep(0.01)
            ws:send("hello " .. ws:request():uri() .. " " .. ws:request():querystring("q") .. " " .. config.key)
          end,
          message = function(ws, opcode, payload)
            if payload == "bye" then return false end
            if payload == "slow" then mtev.sleep(0.05) end
            if payload == "refuse" then ws:close(3000, "no") return end
            if payload == "break" then error("as asked") end
            if payload == "misuse" then
              for _, f in ipairs({ function() ws:send() end, function() ws:send("x", "y") end,
                  function() ws:send(3, "y") end, function() ws:close(5) end, function() return ws.nothing end }) do
                ws:send((select(2, pcall(f)):gsub("^.-:%d+: ", "")))
              end
              return
            end
            assert(ws:send(opcode, (opcode == ws.TEXT and "text " or "bytes ") .. payload))
          end,
          cleanup = function(ws, code) ended = code .. " " .. tostring(ws:send("late")) end,
        }
        function handler(rest) local c = rest:http() c:write(ended) c:flush_end() end
        """,
        web=WS,
    )
    client = Socket(web.port, "/chat/room?q=1")
    assert client.next() == "open"
    client.send("slow")
    client.send(b"\0quick")
    assert client.next() == "hello /chat/room 1 of the listener"
    assert client.next() == "text slow"
    assert client.next() == b"bytes \0quick"
    client.send("misuse")
    assert [client.next() for _ in range(5)] == [
        "wrong number of arguments to 'send' (1 to 2 expected, got 0)",
        "bad argument #1 to 'send' (opcode expected, got string)",
        "websocket: 3 is no opcode to send",
        "websocket: 5 is no code to close with",
        "mtev.http_websocket no such element: nothing",
    ]
    client.send("bye")
    assert client.next() == 1000
    client.close()
    assert web.text("/ended") == "1000 false"
    for message, code in (("refuse", 3000), ("break", 1011)):
        client = Socket(web.port, "/chat/room?q=2")
        assert (client.next(), client.next()) == ("open", "hello /chat/room 2 of the listener")
        client.send(message)
        assert client.next() == code
        client.close()
    web.stop()
    assert "as asked" in web.errors()


def test_web_sockets_that_vanish_are_cleaned_up(web: Web) -> None:
    web.start(
        """
        local open, ended = 0, 0
        websocket = {
          ready = function(ws) open = open + 1 end,
          message = function(ws, opcode, payload) mtev.sleep(0.001) ws:send(payload) end,
          cleanup = function(ws, code) ended = ended + 1 end,
        }
        function handler(rest) local c = rest:http() c:write(open .. " " .. ended) c:flush_end() end
        """,
        web=WS,
        threads=1,
    )
    clients = [Socket(web.port, "/chat/") for _ in range(50)]
    for number, each in enumerate(clients):
        assert each.next() == "open"
        for n in range(20):
            each.send(f"{number}.{n}")
    for number, each in enumerate(clients[:25]):
        assert [each.next() for _ in range(20)] == [f"{number}.{n}" for n in range(20)]
    for each in clients:
        each.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        each.close()
    until(lambda: web.text("/") == "50 50", lambda: web.text("/"))


def test_a_module_without_callbacks_closes_the_connection(web: Web) -> None:
    web.start("function handler() end", web=WS)
    client = Socket(web.port, "/chat/")
    assert (client.next(), client.next()) == ("open", 1011)
    client.close()
    assert web.ask("/chat/x").status == 426
    assert "module 'web' has no table 'websocket'" in web.errors()


@pytest.mark.parametrize(
    ("setting", "requests"), [("<gc_full>5</gc_full>", 6), ("<gc_full>0</gc_full><gc_step>9</gc_step>", 200)]
)
def test_requests_are_visits_for_the_collector(web: Web, setting: str, requests: int) -> None:
    web.start(
        """
        collectgarbage("collect")
        collectgarbage("setpause", 100000) -- far too late to help
        local weak = setmetatable({ {} }, { __mode = "v" })
        function handler(rest)
          rest:http():write(tostring(weak[1] == nil))
          rest:http():flush_end()
        end
        """,
        web="<mount_get>web:GET:/</mount_get>" + setting,
    )
    said = [web.text("/") for _ in range(requests)]
    assert (said[0], said[-1]) == ("false", "true")


def test_memory_stays_flat_over_many_requests(web: Web) -> None:
    web.start(
        """
        function handler(rest)
          local http = rest:http()
          local n = #(http:request():headers("x-long") or "")
          http:header("X-N", n)
          http:write(("x"):rep(1000))
          http:flush_end()
        end
        """,
        settled=True,
    )

    def ask(times: int) -> None:
        with socket.create_connection(("127.0.0.1", web.port), 20) as client, client.makefile("rb") as answers:
            for first in range(0, times, 50):
                for n in range(first, first + 50):
                    client.sendall(b"GET /%d HTTP/1.1\r\nHost: a\r\nX-Long: %b\r\n\r\n" % (n % 500, b"y" * (n % 2000)))
                for _ in range(50):
                    while answers.readline() != b"\r\n":
                        pass
                    assert answers.read(1000) == b"x" * 1000

    ask(30_000)  # answers that are remembered, and garbage that a small heap may keep, come up to their bounds
    before = web.resident()
    ask(30_000)
    assert web.resident() - before < 8 << 20
