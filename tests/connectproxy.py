"""A proxy for tests of clients: tunnels, and requests in absolute form, with or without a password."""

import base64
import contextlib
import socket
import threading
import urllib.parse
from typing import Any, Self


class Proxy:
    """Listens on ``port``.

    Attributes: ``seen``, the first lines of what was asked, with "denied " before those that had no right to."""

    def __init__(self, password: str | None = None, behaves: str = "") -> None:
        """Args: *password*, "user:password", or None; *behaves*, "talks" for one that says too much, "mute" for one
        that closes without a word."""
        self.seen: list[str] = []
        self._password = password
        self._behaves = behaves
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # neither side need be done
        for thread in self._threads:
            thread.join(20)

    def _accept(self) -> None:
        while True:
            try:
                client = self._server.accept()[0]
            except OSError:
                return
            self._sockets.append(client)
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            data = b""
            while b"\r\n\r\n" not in data:
                piece = client.recv(65536)
                if not piece:
                    return
                data += piece
            head, _, rest = data.partition(b"\r\n\r\n")
            line, *fields = head.decode().split("\r\n")
            if self._behaves == "mute":
                return
            if self._password is not None:
                wanted = "Basic " + base64.b64encode(self._password.encode()).decode()
                if f"Proxy-Authorization: {wanted}" not in fields:
                    self.seen.append("denied " + line)
                    client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                    return
            self.seen.append(line)
            method, target, version = line.split()
            if method == "CONNECT":
                host, _, port = target.rpartition(":")
                more = b"SSH-2.0\r\n" if self._behaves == "talks" else b""
                with socket.create_connection((host, int(port)), 20) as upstream:
                    client.sendall(b"HTTP/1.1 200 Connected\r\nX-Proxy: yes\r\n\r\n" + more)
                    self._join(client, upstream)
                return
            url = urllib.parse.urlsplit(target)
            path = url._replace(scheme="", netloc="").geturl() or "/"
            fields = [each for each in fields if not each.lower().startswith("proxy-")]
            with socket.create_connection((url.hostname or "", url.port or 80), 20) as upstream:
                message = "\r\n".join([f"{method} {path} {version}", *fields, "", ""]).encode()
                upstream.sendall(message + rest)
                self._join(client, upstream)

    def _join(self, one: socket.socket, other: socket.socket) -> None:
        self._sockets.append(other)

        def copy(source: socket.socket, target: socket.socket) -> None:
            try:
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        back = threading.Thread(target=copy, args=(other, one), daemon=True)
        back.start()
        copy(one, other)
        back.join(20)
