"""A collector of spans, for tests: an HTTP server that keeps what is posted to it, and answers as it is told."""

import contextlib
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from launching import free_port


class Post(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Sink:
    """Listens on *port*, any by default."""

    def __init__(self, port: int = 0) -> None:
        self.posts: list[Post] = []
        self.status = 200
        self.answer: tuple[dict[str, str], bytes] = ({}, b"")  # headers and body
        self.open = threading.Event()
        self.open.set()
        self._connections: list[socket.socket] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.open.wait(60)
                sink.posts.append(Post(self.path, dict(self.headers.items()), body))
                headers, said = sink.answer
                self.send_response(sink.status)
                self.send_header("Content-Length", str(len(said)))
                for each in headers.items():
                    self.send_header(*each)
                self.end_headers()
                self.wfile.write(said)

            def setup(self) -> None:
                super().setup()
                sink._connections.append(self.connection)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port or free_port()), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> "Sink":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wrap(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def stop(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()
        for each in self._connections:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._thread.join()
