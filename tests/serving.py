"""What the tests of HTTP servers share: a handler, a listener, a client, and what it gets."""

import socket
from typing import Any

from runtime import net
from runtime.http import Request, Response


def echo(request: Request, response: Response) -> None:
    """Answers with what it was sent."""
    response.write(request.payload)
    response.flush_end()


def server(tls: Any = None, **config: str) -> int:
    """The port of a new listener with *config*."""
    listener = net.open_listener("http_rest_api", "127.0.0.1", 0, config, tls=tls)
    listener.start()
    return listener.port


def client(port: int) -> socket.socket:
    """Connected to *port*."""
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def received(sock: socket.socket) -> bytes:
    """All that comes until the end."""
    data = b""
    while chunk := sock.recv(1 << 16):
        data += chunk
    return data
