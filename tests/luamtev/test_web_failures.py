"""Lua handlers that fail, and answers that cannot be sent as meant: the client is told, the log knows more."""

import http.client
import re
import socket

import pytest
from h2client import Client
from waiting import until
from webprogram import WS, Socket, Web

FAILING = """
function handler(rest)
  local http = rest:http()
  local how = http:request():querystring("how")
  if how == "table" then error({ code = 7, why = "no <way>", deep = { 1 } })
  elseif how == "html" then error("<script>alert('1')</script>" .. http:request():querystring("m"))
  elseif how == "path" then io.lines("/opt/secret/place/file.txt")
  elseif how == "require" then require("not.here")
  elseif how == "object" then error(setmetatable({}, { __tostring = function() return "an <object>" end }))
  elseif how == "later" then mtev.sleep(0.01) error("later") end
  nothing.at_all()
end
"""
QUIET = "<mount_get>web:GET:/</mount_get>"


PAGES = [
    ("table", "a table was thrown: { code = 7, deep = table: ", 'why = "no <way>"'),
    ("html&m=%22", "&lt;script&gt;alert('1')&lt;/script&gt;\"", "<script>alert('1')</script>\""),
    ("path", "file.txt: No such file or directory", "/opt/secret/place/file.txt: No such file"),
    ("require", "module 'not.here' not found", "module 'not.here' not found"),
    ("object", "an &lt;object&gt;", "an <object>"),
    ("later", "later", "later"),
    ("", "attempt to index global 'nothing'", "web.lua:12: attempt to index global 'nothing'"),
]


def test_the_page_is_escaped_and_holds_no_path_and_the_log_says_it_all(web: Web) -> None:
    web.start(FAILING, web=QUIET)
    for how, page, _ in PAGES:
        reply = web.ask(f"/x%41?how={how}")
        body = reply.body.decode()
        assert reply.status == 500
        assert page in body
        assert "<" not in body
        assert not any(each in body for each in ("/opt", str(web.directory), "web.lua:"))
    web.stop()
    for how, _, log in PAGES:
        assert log in web.errors()
        assert f"serving GET /x%41?how={how} of 127.0.0.1, mount_get (web), thread: 0x" in web.errors()


def test_a_setting_has_the_page_tell_it_whole(web: Web) -> None:
    web.start(FAILING, web=QUIET + "<full_errors>true</full_errors>")
    assert "/opt/secret/place/file.txt" in web.text("/?how=path")
    assert "web.lua:12: attempt" in web.text("/")
    assert "&lt;script&gt;" in web.text("/?how=html&m=")


HEADERS = """
function handler(rest)
  local http = rest:http()
  local q = http:request():querystring()
  if q.flush == "early" then http:flush() end
  if q.try then
    local ok, why = pcall(http.header, http, q.n, q.v)
    http:write(tostring(ok) .. " " .. tostring(why))
  else
    http:header(q.n, q.v)
    http:write("body")
  end
  if q.flush then http:flush() end
  http:flush_end()
end
"""
SIDES = [pytest.param("", id="in the engine"), pytest.param("<loop_assign_get>side</loop_assign_get>", id="elsewhere")]


def head_and_body(web: Web, target: str) -> tuple[bytes, bytes]:
    with socket.create_connection(("127.0.0.1", web.port), 20) as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += client.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        if b"\r\nConnection: close" in head:
            while chunk := client.recv(65536):
                body += chunk
        else:
            client.sendall(b"GET /again?n=A&v=b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            while chunk := client.recv(65536):
                body += chunk
            assert b"HTTP/1.1 200 OK" in body
        return head, body


NAMED = [
    ("Connection", "close", 200),
    ("connection", "Close", 200),
    ("Connection", "keep-alive", 500),
    ("Connection", "Upgrade", 500),
    ("Transfer-Encoding", "chunked", 500),
    ("TRANSFER-ENCODING", "gzip", 500),
    ("Content-Length", "x", 500),
    ("Content-Length", "-1", 500),
    ("Content-Length", "", 500),
    ("Content-Length", "9" * 5000, 500),
    ("Content-Length", "4", 200),
]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("flush", ["", "&flush=1"])
def test_headers_that_tell_of_the_framing_are_answered(web: Web, side: str, flush: str) -> None:
    web.start(HEADERS, web=QUIET + side, eventer="<loop_side>1</loop_side>")
    for name, value, status in NAMED:
        head, body = head_and_body(web, f"/?n={name}&v={value}{flush}")
        assert head.startswith(b"HTTP/1.1 %d " % status), (name, value)
        if status == 200:
            assert b"body" in body
            assert (b"\r\nConnection: close" in head) == (name.lower() == "connection")


def test_what_header_refuses_it_refuses_where_it_is_called(web: Web) -> None:
    web.start(HEADERS, web=QUIET)
    ask = "/?try=1&n={}&v={}"
    assert web.text(ask.format("Transfer-Encoding", "chunked")).startswith("false")
    assert "Transfer-Encoding is the server's to send" in web.text(ask.format("Transfer-Encoding", "chunked"))
    assert "number of bytes expected, got 'x'" in web.text(ask.format("Content-Length", "x"))
    assert web.text(ask.format("Connection", "close")) == "true true"
    assert web.text(ask.format("Connection", "close") + "&flush=early") == "true false"


WITHOUT_AN_END = """
function handler(rest)
  local http = rest:http()
  local path = http:request():uri()
  if path == "/deep" then
    local function deep() return 1 + deep() end
    deep()
  elseif path == "/headers" then
    for number = 1, 5000 do http:header("X-" .. number, "v") end
  elseif path == "/cancelled" then
    mtev.cancel_coro(coroutine.running())
    mtev.sleep(1000)
  elseif path == "/by-another" then
    local co = coroutine.running()
    mtev.coroutine_spawn(function()
      mtev.sleep(0.01)
      mtev.cancel_coro(co)
    end)
    mtev.sleep(1000)
  elseif path == "/begun" then
    local co = coroutine.running()
    mtev.coroutine_spawn(function()
      mtev.sleep(0.01)
      mtev.cancel_coro(co)
    end)
    http:write("half")
    http:flush()
    mtev.sleep(1000)
  end
  http:write("whole")
  http:flush_end()
end
"""


@pytest.mark.parametrize("web", ["lua", "python"], indirect=True)
def test_a_handler_that_has_no_stack_left_or_is_cancelled_is_answered(web: Web) -> None:
    web.start(WITHOUT_AN_END)
    for _ in range(6):  # compiled code overflows elsewhere
        reply = web.ask("/deep")
        assert (reply.status, reply.body) == (500, b"stack overflow")
    for path in ("/cancelled", "/by-another"):
        assert web.ask(path).status == 500
    assert web.text("/headers") == "header: a response has no more than 1000 headers"
    with pytest.raises(http.client.IncompleteRead):
        web.ask("/begun")
    assert web.text("/") == "whole"
    web.stop()
    assert "stack overflow" in web.errors()


@pytest.mark.parametrize("web", ["lua", "python"], indirect=True)
def test_a_handler_without_stack_or_cancelled_is_answered_on_http2(web: Web) -> None:
    web.start(WITHOUT_AN_END)
    with Client(web.port) as client:
        numbers = [client.ask(path) for path in ("/deep", "/cancelled", "/by-another", "/deep", "/") * 3]
        found = [int(client.head(number)[":status"]) for number in numbers]
    assert found == [500, 500, 500, 500, 200] * 3


ADRIFT = """
local held
local acts = {
  nobody = function() coroutine.yield() end,
  deep = function() pcall(function() coroutine.yield("to", "nobody") end) end,
  later = function() mtev.sleep(0.001) coroutine.yield() end,
  forgotten = function()
    local co = coroutine.running()
    coroutine.yield(co)
  end,
  held = function()
    held = coroutine.running()
    coroutine.yield()
  end,
  resume = function() assert(coroutine.resume(held)) end,
  own = function()
    local own = coroutine.wrap(function() coroutine.yield() mtev.sleep(0.001) coroutine.yield() end)
    own() own()
  end,
}
function handler(rest)
  local http = rest:http()
  local half, name = http:request():uri():match("^/(%a-)%-?(%a+)$")
  if half == "half" then
    http:write("half")
    http:flush()
  end
  acts[name]()
  http:write("whole")
  http:flush_end()
end
websocket = {
  message = function(ws, opcode, payload)
    acts[payload]()
    ws:send("whole")
  end,
  cleanup = function(ws, code) mtev.log("error", "cleanup %d\\n", code) end,
}
"""
LOST = "it yielded to nobody: no one can resume this coroutine"


@pytest.mark.parametrize("web", ["lua", "python"], indirect=True)
def test_a_handler_that_yields_to_nobody_is_answered(web: Web) -> None:
    web.start(ADRIFT)
    for count, name in enumerate(("nobody", "deep", "later", "forgotten", "nobody"), 1):
        assert web.ask(f"/{name}").status == 500
        until(lambda count=count: web.errors().count(LOST) == count)
    assert re.search(r"lua error: .*yielded to nobody.*\nstack traceback:\n(.*\n)*?.*web\.lua:5: ", web.errors())
    for name in ("nobody", "forgotten"):
        with pytest.raises(http.client.IncompleteRead):
            web.ask(f"/half-{name}")
    assert web.text("/own") == "whole"
    with socket.create_connection(("127.0.0.1", web.port), 60) as client:
        client.sendall(b"".join(b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % each for each in (b"own", b"nobody", b"own")))
        data = b""
        while data.count(b"whole") < 2:
            piece = client.recv(65536)
            assert piece, data
            data += piece
    assert re.findall(rb"HTTP/1.1 (\d+)", data) == [b"200", b"500", b"200"]
    assert web.stop() == 0


@pytest.mark.parametrize("web", ["lua", "python"], indirect=True)
def test_a_handler_that_yields_to_somebody_goes_on(web: Web) -> None:
    web.start(ADRIFT)
    with socket.create_connection(("127.0.0.1", web.port), 60) as client:
        client.sendall(b"GET /held HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        until(lambda: web.text("/resume") == "whole")
        assert client.makefile("rb").read().endswith(b"whole")
    assert LOST not in web.errors()


def test_a_handler_that_yields_to_nobody_is_answered_on_http2(web: Web) -> None:
    web.start(ADRIFT)
    with Client(web.port) as client:
        numbers = [client.ask(f"/{name}") for name in ("nobody", "own", "forgotten", "nobody", "own")]
        found = [int(client.head(number)[":status"]) for number in numbers]
    assert found == [500, 200, 500, 500, 200]


@pytest.mark.parametrize("name", ["nobody", "later", "forgotten"])
def test_a_message_that_is_answered_by_nobody_ends_its_connection(web: Web, name: str) -> None:
    web.start(ADRIFT, web=WS)
    with Socket(web.port, "/chat/") as chat:
        assert chat.next() == "open"
        chat.send("own")
        assert chat.next() == "whole"
        chat.send(name)
        assert chat.next() == 1011
    until(lambda: "cleanup 1011" in web.errors())
    until(lambda: web.errors().count(LOST) == 1)


FILE = """
function handler(rest, config)
  local http = rest:http()
  local fd = mtev.open(config.document_root .. "/file", O_RDONLY)
  http:write("begun ")
  http:write_fd(fd)
  mtev.close(fd)
  if http:request():uri() == "/fails" then error("broken", 0) end
  if http:request():uri() == "/flushed" then http:flush() error("broken", 0) end
end
"""


@pytest.mark.parametrize("web", ["lua", "python"], indirect=True)
def test_nothing_of_a_file_that_was_to_be_sent_is_in_the_answer_that_says_why_it_is_not(web: Web) -> None:
    (web.directory / "files").mkdir()
    (web.directory / "files" / "file").write_bytes(b"<secret>" * 50_000)
    web.start(FILE)
    for _ in range(2):
        failed, ended = web.ask("/fails"), web.ask("/does-not-end")
        assert (failed.status, failed.body) == (500, b"broken")
        assert (ended.status, ended.body) == (404, b"Not Found\n")
    with Client(web.port) as client:
        number = client.ask("/fails")
        assert client.head(number)[":status"] == "500"
        assert client.body(number) == b"broken"
    with pytest.raises(http.client.IncompleteRead):
        web.ask("/flushed")
