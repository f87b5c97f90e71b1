"""What the tests of HTTP servers share: mountpoints, a handler, a listener, a client, and what it gets."""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

from certificates import Authority
from closing import close_house

from runtime import conf, http, net
from runtime.http import Request, Response
from runtime.net._tls import Tls

ALLOW = b'<app><rest><acl type="allow"/></rest></app>'


@contextlib.contextmanager
def house(*mounts: tuple[str, str, Callable[[Request, Response], object]], allow: bytes = ALLOW) -> Iterator[None]:
    """*mounts*, each a method, an expression for paths and a handler, for whom *allow* allows; then all is closed."""
    http.configure(conf.loads(allow))
    for method, expression, handler in mounts:
        http.mount(method, "/", expression, handler)
    yield
    close_house()


@contextlib.contextmanager
def suspended() -> "Iterator[Queue[Response]]":
    """The responses to ``GET /wait``, which wait for the test."""
    waiting: Queue[Response] = Queue()
    with house(("GET", "^wait$", lambda _, response: waiting.put(response))):
        yield waiting


def echo(request: Request, response: Response) -> None:
    """Answers with what it was sent."""
    response.write(request.payload)
    response.flush_end()


def server(tls: Any = None, address: str = "127.0.0.1", **config: str) -> int:
    """The port of a new listener with *config*."""
    listener = net.open_listener("http_rest_api", address, 0, config, tls=tls)
    listener.start()
    return listener.port


def secure(directory: Path, **keys: str) -> tuple[int, ssl.SSLContext]:
    """The port of a new listener with TLS, whose files are in *directory*, and a context of clients who trust it."""
    authority = Authority(directory)
    issued = authority.issue("localhost", "localhost")
    tls = Tls({"certificate_file": str(issued.certificate), "key_file": str(issued.key), **keys})
    return server(tls), ssl.create_default_context(cafile=str(authority.issued.certificate))


def client(port: int) -> socket.socket:
    """Connected to *port*."""
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def received(sock: socket.socket) -> bytes:
    """All that comes until the end."""
    data = b""
    while chunk := sock.recv(1 << 16):
        data += chunk
    return data
