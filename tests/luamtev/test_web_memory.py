"""Bodies of requests that are over stay with nobody: neither with idle connections nor with those that are gone."""

import resource
import socket
from pathlib import Path

import pytest
from waiting import until
from webprogram import Web

CLIENTS, SIZE = 20, 5 << 20
SPARE = 50 << 20  # bytes that may not be back yet: half of what was sent

LENGTH = """
function handler(rest)
  local http = rest:http()
  http:write(tostring(#(http:request():payload() or "")))
  http:flush_end()
end
"""


@pytest.mark.parametrize("encoding", ["", "Content-Encoding: identity\r\n"], ids=["in the engine", "in Python"])
def test_bodies_of_past_requests_are_back_soon(web: Web, encoding: str) -> None:
    web.start(LENGTH, settled=True)
    web.text("/", "POST", b"x")
    before = web.resident()

    def is_back() -> bool:
        for _ in range(100):  # or Lua, whose collector goes by visits of the loop, keeps garbage while nothing happens
            web.text("/", "POST", b"x")
        return web.resident() - before < SPARE

    clients = [socket.create_connection(("127.0.0.1", web.port), 30) for _ in range(CLIENTS)]
    try:
        for number, client in enumerate(clients):
            head = f"POST / HTTP/1.1\r\nHost: a\r\n{encoding}Content-Length: {SIZE}\r\n\r\n".encode()
            client.sendall(head + bytes([number]) * SIZE)
            data = b""
            while not data.endswith(str(SIZE).encode()):
                chunk = client.recv(65536)
                assert chunk, data
                data += chunk
        until(is_back)
    finally:
        for client in clients:
            client.close()
    until(is_back)


FLUSHED = """
function handler(rest)
  local http = rest:http()
  http:write("a")
  http:flush()
  if http:request():uri() == "/watched" then rest:on_abort(print) end
  http:write("b")
  http:flush_end()
end
"""


@pytest.mark.parametrize("path", ["/", "/watched"])
@pytest.mark.parametrize("web", ["lua", "python"], indirect=True)
def test_an_answer_in_pieces_leaves_nothing_behind(web: Web, path: str) -> None:
    web.start(FLUSHED, settled=True)
    ask = f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 100
    sizes = []
    with socket.create_connection(("127.0.0.1", web.port), 30) as client:
        for _ in range(60):
            client.sendall(ask)
            data = b""
            while data.count(b"\r\n0\r\n\r\n") < 100:
                data += client.recv(65536)
            sizes.append(web.resident())
    assert sizes[-1] - sizes[9] < 6 << 20  # bytes, after 5,000 answers; they were 11 MB when each was kept


HUGE = """
local body
function handler(rest)
  local http = rest:http()
  local what = http:request():uri()
  if what == "/make" then body = ("x"):rep(60e6) end
  if what == "/wait" then mtev.sleep(0) end
  http:write(what == "/make" and "made" or what == "/small" and "small" or body)
  http:flush_end()
end
"""


def allow(web: Web, size: int) -> None:
    """Let the program have *size* bytes more than it has."""
    assert web.process is not None
    pages = int(Path(f"/proc/{web.process.pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + size
    resource.prlimit(web.process.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


@pytest.mark.parametrize("path", ["/at-once", "/wait"])
def test_where_there_is_no_memory_for_an_answer_nothing_of_it_is_in_those_that_follow(web: Web, path: str) -> None:
    web.start(HUGE, settled=True)
    assert web.text("/make") == "made"
    asked = (
        f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\nGET /small HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    )

    allow(web, 40 << 20)  # not even where it is put together
    with socket.create_connection(("127.0.0.1", web.port), 20) as client, client.makefile("rb") as stream:
        client.sendall(asked)
        answers = stream.read()
    assert answers.startswith(b"HTTP/1.1 500 ")
    assert answers.endswith(b"not enough memory" + answers[answers.rindex(b"HTTP/1.1 200 ") :])
    assert answers.endswith(b"\r\n\r\nsmall")

    allow(web, 90 << 20)  # there, but not for what the network does not take
    with socket.create_connection(("127.0.0.1", web.port), 20) as client:
        client.sendall(asked)
        until(lambda: "not enough memory for what a client is sent" in web.errors())
        assert client.recv(13) == b"HTTP/1.1 200 "
    allow(web, 1 << 30)
    assert web.text("/small") == "small"
    assert len(web.text("/wait")) == 60_000_000, "nothing is before it"


LOUD = """
local body
function handler(rest)
  local http = rest:http()
  local what = http:request():uri()
  if what == "/make" then body = ("x<"):rep(20e6) end
  if what == "/wait" then mtev.sleep(0) end
  if what == "/wait" or what == "/at-once" then error(body) end
  http:write("small")
  http:flush_end()
end
"""


@pytest.mark.parametrize("web", ["lua", "python"], indirect=True)
@pytest.mark.parametrize("path", ["/at-once", "/wait"])
def test_where_there_is_no_memory_to_tell_of_a_failure_its_client_is_answered(web: Web, path: str) -> None:
    web.start(LOUD, settled=True)
    assert web.text("/make") == "small"
    for megabytes in (10, 60, 100, 140, 220):
        allow(web, megabytes << 20)
        with socket.create_connection(("127.0.0.1", web.port), 20) as client, client.makefile("rb") as stream:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            line = stream.readline()
        allow(web, 2 << 30)
        assert line.startswith(b"HTTP/1.1 500 "), megabytes
        assert web.text("/small") == "small"
