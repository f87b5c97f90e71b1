"""Bodies of requests that are over stay with nobody: neither with idle connections nor with those that are gone."""

import socket
import time
from collections.abc import Callable

import pytest
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


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("encoding", ["", "Content-Encoding: identity\r\n"], ids=["in the engine", "in Python"])
def test_bodies_of_past_requests_are_back_soon(web: Web, encoding: str) -> None:
    web.start(LENGTH)
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
