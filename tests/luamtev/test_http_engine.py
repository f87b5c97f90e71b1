"""The engine of HTTP/1 in Lua: what stays in it, what leaves and comes back, and that limits hold there."""

import contextlib
import json
import re
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
import waiting
from certificates import Authority
from launching import free_port, free_ports
from webprogram import Web, secure_listener

HELLO = """
function handler(rest)
  local http = rest:http()
  http:write("hello " .. (http:request():querystring("n") or ""))
  http:flush_end()
end
"""
GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


def counts(web: Web) -> dict[str, float]:
    """What the engine has counted, by name and by reason."""
    found = {}
    for name, labels, value in re.findall(r"^\w*http_engine_(\w+?)(?:\{(.*)\})? (\S+)$", web.text("/metrics"), re.M):
        reason = re.search(r'reason="(\w+)"', labels)
        found[reason[1] if reason else name.removesuffix("_total")] = float(value)
    return found


def connected(web: Web, sent: bytes = b"") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", web.port), timeout=20)
    sock.sendall(sent)
    return sock


def answer(sock: socket.socket, sent: bytes = GET) -> bytes:
    """The answer to *sent*, which is one with a length."""
    sock.sendall(sent)
    data = b""
    while b"\r\n\r\n" not in data:
        data += received(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(re.search(rb"Content-Length: (\d+)", head)[1])  # type: ignore[index]
    while len(body) < length:
        body += received(sock)
    return body


def until(sock: socket.socket, sent: bytes, end: bytes, times: int = 1) -> bytes:
    """What comes up to *end*, *times* of it."""
    sock.sendall(sent)
    data = b""
    while data.count(end) < times:
        data += received(sock)
    return data


def received(sock: socket.socket) -> bytes:
    chunk = sock.recv(1 << 16)
    assert chunk, "closed"
    return chunk


def test_requests_of_lua_stay_and_others_leave_and_come_back(web: Web) -> None:
    (web.directory / "files").mkdir(exist_ok=True)
    (web.directory / "files" / "page").write_text("a page")
    web.start(HELLO, web="<mount_get>web:GET:/lua/</mount_get>")
    lua = GET.replace(b"/x", b"/lua/x?n=1")
    page = GET.replace(b"/x", b"/page")
    with connected(web) as sock:
        for _ in range(10):
            assert answer(sock, lua) == b"hello 1"
        assert answer(sock, page) == b"a page"
        for _ in range(10):
            assert answer(sock, lua) == b"hello 1"
        assert until(sock, page + lua, b"hello 1").count(b"a page") == 1
        for _ in range(5):
            assert answer(sock, page) == b"a page"
        assert answer(sock, lua) == b"hello 1"
        assert answer(sock, lua) == b"hello 1"
    found = counts(web)
    assert 21 <= found["taken"] <= 24
    assert 3 <= found["route"] <= 7


def test_the_example_service_stays_in_lua(tmp_path: Path) -> None:
    port, ops, console = free_ports(3)
    top = Path(__file__).parents[2]
    web = Web(tmp_path, port)
    with (tmp_path / "errors").open("wb") as errors:
        web.process = subprocess.Popen(
            [top / ".venv/bin/luamtev", "-c", "examples/web/web.conf", "examples/web/main.lua"],
            cwd=top,
            env={"PORT": str(port), "OPS_PORT": str(ops), "CONSOLE_PORT": str(console), "PATH": "/usr/bin:/bin"},
            stderr=errors,
            stdout=errors,
        )
    try:
        web.await_port(port)
        asked = 0
        with connected(web) as sock:
            for n in range(40):
                if n % 10 == 0:
                    assert b"<title>" in answer(sock, GET.replace(b"/x", b"/"))
                body = json.dumps({"text": f"note {n}"}).encode()
                made = answer(
                    sock, b"POST /notes/ HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
                )
                path = f"/notes/{json.loads(made)['id']}".encode()
                assert json.loads(answer(sock, GET.replace(b"/x", path)))["text"] == f"note {n}"
                asked += 2
        found = counts(web)
        assert found["taken"] >= 0.95 * asked
    finally:
        assert web.stop() == 0


@pytest.mark.parametrize(
    ("key", "sent"),
    [
        ("header_timeout", b"GET /x HTT"),
        ("header_timeout", b"G"),
        ("body_timeout", b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"),
        ("idle_timeout", b""),
        ("idle_timeout", GET),
    ],
)
def test_a_connection_that_takes_too_long_is_closed(web: Web, key: str, sent: bytes) -> None:
    web.listener = f"<{key}>200</{key}>"
    web.start(HELLO)
    with connected(web) as sock, contextlib.suppress(ConnectionError):  # who is late is told so at its first byte
        sock.sendall(sent)
        while sock.recv(1 << 16):
            pass
    assert web.stop() == 0


@pytest.mark.parametrize("web", ["lua", "python"], indirect=True)
def test_nobody_is_told_to_go_on_in_a_version_that_does_not_know_that(web: Web) -> None:
    web.start("function handler(rest) rest:http():write(rest:http():request():payload()) rest:http():flush_end() end")
    with socket.create_connection(("127.0.0.1", web.port), 20) as client:
        head = b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\n"
        assert answer(client, head + b"Connection: keep-alive\r\n\r\none") == b"one"
        client.sendall(head + b"Expect: 100-continue\r\n\r\n")
        for _ in range(3):
            assert web.text("/", "POST", b"other") == "other"  # that head has been read
        client.sendall(b"abc")
        with client.makefile("rb") as stream:
            said = stream.read()
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith(b"\r\n\r\nabc")


def test_a_handler_that_waits_is_not_idle(web: Web) -> None:
    web.listener = "<idle_timeout>100</idle_timeout>"
    web.start(HELLO.replace("http:write", "mtev.sleep(0.6) http:write"))

    def served() -> bool:
        with contextlib.suppress(ConnectionError):  # the client was not as quick as that
            return web.text("/x") == "hello "
        return False

    waiting.until(served)


def test_an_encrypted_connection_is_served_by_the_engine_too(web: Web, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("localhost", "localhost")
    port = free_port()
    web.start(
        """
        function handler(rest)
          local http = rest:http()
          local req = http:request()
          if req:uri() == "/big" then
            for _ = 1, 40 do http:write(("x"):rep(50000)) http:flush() end
          elseif req:uri() == "/slow" then
            mtev.sleep(0.01)
          end
          http:write(tostring(#(req:payload() or "")))
          http:flush_end()
        end
        """,
        web="".join(
            f"<mount_{method}{path}>web:{method}:/{path}</mount_{method}{path}>"
            for method, path in (("GET", "x"), ("POST", "x"), ("GET", "big"), ("GET", "slow"))
        ),
        listeners=secure_listener(port, issued),
    )
    web.await_port(port)
    context = ssl.create_default_context(cafile=str(authority.issued.certificate))
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 20), server_hostname="localhost") as sock:
        assert answer(sock) == b"0"
        assert answer(sock, GET.replace(b"/x", b"/slow")) == b"0"
        upload = b"u" * 1_000_000
        head = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
        assert answer(sock, head + upload) == b"1000000"
        until(sock, GET * 20, b"\r\n\r\n0", 20)
        sock.sendall(GET.replace(b"/x", b"/big"))
        time.sleep(0.05)  # it is let wait
        assert until(sock, b"", b"\r\n0\r\n\r\n").count(b"x") == 2_000_000
        until(sock, GET.replace(b"/x", b"/slow") + GET, b"\r\n\r\n0", 2)
    assert counts(web)["taken"] == 26


def test_operators_see_the_connections(web: Web) -> None:
    web.start(HELLO)
    with connected(web) as sock:
        answer(sock)
        here = {"address": "127.0.0.1", "port": sock.getsockname()[1]}
        rows = json.loads(web.text("/eventer/sockets.json"))
        (row,) = [each for each in rows if each["remote"] == here]
        assert (row["callback"], row["local"]["port"], row["impl"]) == ("http/lua", web.port, "POSIX")


def test_whoever_watches_requests_sees_them_all(web: Web) -> None:
    web.start(
        HELLO,
        main="""
        function main()
          mtev.coroutine_spawn(function()
            while not mtev.shared_get("hook") do mtev.sleep(0.01) end
            mtev.hook("http_request_complete", "main", "seen")
          end)
        end
        local count = 0
        function seen(request) count = count + 1 mtev.shared_set("seen", tostring(count)) end
        """,
        web="<mount_get>web:GET:/x</mount_get><mount_tell>tell:GET:/tell</mount_tell>",
        tell="""
        function handler(rest)
          local http = rest:http()
          if http:request():querystring("hook") then mtev.shared_set("hook", "yes") end
          http:write(mtev.shared_get("seen") or "0")
          http:flush_end()
        end
        """,
    )
    with connected(web) as sock:
        assert answer(sock, GET.replace(b"/x", b"/tell")) == b"0"
        assert answer(sock, GET.replace(b"/x", b"/tell?hook=1")) == b"0"
        waiting.until(lambda: answer(sock, GET.replace(b"/x", b"/tell")) != b"0")
        before = int(answer(sock, GET.replace(b"/x", b"/tell")))
        assert int(answer(sock, GET.replace(b"/x", b"/tell"))) > before
    assert counts(web)["watched"] >= 1


def test_many_pipelined_requests_leave_others_their_turn(web: Web) -> None:
    web.start(HELLO)
    with connected(web) as greedy, connected(web) as modest:
        answered = 0

        def ask() -> None:
            greedy.sendall(GET * 20_000)

        def read() -> None:
            nonlocal answered
            data = 0
            while data < 20_000 * len(b"\r\n\r\nhello "):
                chunk = greedy.recv(1 << 16)
                answered += chunk.count(b"hello ")
                data += len(chunk)
                if answered >= 19_990:
                    return

        threads = [threading.Thread(target=each) for each in (ask, read)]
        for each in threads:
            each.start()
        for n in range(20):
            assert answer(modest, GET.replace(b"/x", b"/x?n=%d" % n)) == b"hello %d" % n
        for each in threads:
            each.join()


BUSY = """
function handler(rest)
  local http = rest:http()
  if http:request():uri() == "/busy" then
    local began = os.clock() -- of CPU
    while os.clock() - began < 0.01 or not io.open("go") do end
  end
  http:write(http:request():uri())
  http:flush_end()
end
"""


def test_an_answer_does_not_wait_for_a_handler_that_is_known_to_take_long(web: Web) -> None:
    web.start(BUSY)
    (web.directory / "go").touch()
    busy = GET.replace(b"/x", b"/busy")
    with connected(web) as sock:
        assert answer(sock, busy) == b"/busy"
        (web.directory / "go").unlink()
        until(sock, GET + busy, b"/x")
        (web.directory / "go").touch()
        until(sock, b"", b"/busy")
