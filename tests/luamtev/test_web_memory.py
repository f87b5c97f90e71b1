"""Bodies of requests that are over stay with nobody: neither with idle connections nor with those that are gone."""

import socket

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
        until(lambda: web.resident() - before < SPARE)
    finally:
        for client in clients:
            client.close()
    until(lambda: web.resident() - before < SPARE)


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
