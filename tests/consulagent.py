"""A stand-in for a Consul agent: takes services and checks, keeps values, holds questions until something changes."""

import base64
import json
import socket
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from launching import free_port


class Agent:
    """Listens on a port of its own, or *port*.  ``requests`` are (method and path, token, body) in order; ``answer`` is
    the status of everything that changes it."""

    def __init__(self, port: int = 0, **values: str) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.services: dict[str, Any] = {}
        self.values = {key.replace("__", "/"): value for key, value in values.items()}
        self.index = 100
        self.answer = 200
        self.nonsense = b""  # what is said in place of values
        self.going = threading.Event()  # while it is not set nobody is answered
        self.going.set()
        self.changed = threading.Condition()
        self.connections: list[socket.socket] = []
        agent = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.reply(agent.put(self.path, self.headers.get("Authorization") or "", body), b"")

            def do_GET(self) -> None:
                self.reply(*agent.get(self.path, self.headers.get("Authorization") or ""))

            def reply(self, status: int, body: bytes) -> None:
                agent.going.wait(60)
                self.send_response(status)
                self.send_header("X-Consul-Index", str(agent.index))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

            def handle(self) -> None:
                agent.connections.append(self.connection)
                try:
                    super().handle()
                except OSError:
                    pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self.server = Server(("127.0.0.1", port or free_port()), Handler)
        self.port: int = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> "Agent":
        return self

    def __exit__(self, *_: object) -> None:
        with self.changed:
            self.index = -1
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()
        for each in self.connections:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed already

    def put(self, path: str, token: str, body: bytes) -> int:
        with self.changed:
            document = json.loads(body) if body else None
            self.requests.append((f"PUT {path}", token, document))
            status = self.answer
            if status == 200:
                what = path.partition("?")[0].removeprefix("/v1/agent/").split("/")
                if what[:2] == ["service", "register"]:
                    self.services[document["ID"]] = document
                elif what[:2] == ["service", "deregister"]:
                    self.services.pop(unquote(what[2]), None)
                elif what[0] == "check" and unquote(what[2].split(":")[1]) not in self.services:
                    status = 404
            self.changed.notify_all()
            return status

    def get(self, path: str, token: str) -> tuple[int, bytes]:
        asked = urlsplit(path)
        options = parse_qs(asked.query)
        key = unquote(asked.path.removeprefix("/v1/kv/"))
        with self.changed:
            self.requests.append((f"GET {path}", token, None))
            self.changed.notify_all()
            if self.answer != 200:
                return self.answer, b""
            if "raw" in options:
                found = self.values.get(key)
                return (404, b"") if found is None else (200, found.encode())
            after = int(options["index"][0])
            self.changed.wait_for(lambda: self.index != after, 300)
            rows = [
                {"Key": each, "Value": base64.b64encode(value.encode()).decode()}
                for each, value in self.values.items()
                if each.startswith(key)
            ]
            if self.nonsense:
                return 200, self.nonsense
            return (200, json.dumps(rows).encode()) if rows else (404, b"")

    def set(self, key: str, value: str | None) -> None:
        """Change a value; None takes it away."""
        with self.changed:
            if value is None:
                del self.values[key]
            else:
                self.values[key] = value
            self.index += 1
            self.changed.notify_all()

    def wait(self, *wanted: str) -> None:
        """Wait for requests that begin so."""
        with self.changed:
            for each in wanted:
                assert self.changed.wait_for(partial(self.was_asked, each), 60), (each, self.requests)

    def was_asked(self, beginning: str) -> bool:
        return any(each.startswith(beginning) for each, _, _ in self.requests)
