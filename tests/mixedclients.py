"""Clients of all kinds, good ones and others, for a server that must not mind: ``mixedclients.py PLAN`` runs one.

PLAN is JSON: kind, ports, seed and seconds.  What came of it is one line of JSON: how many answers were asked for and
right, which were wrong, and for the probe the seconds that each took.
"""

import json
import os
import random
import socket
import ssl
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from h2.events import DataReceived, StreamEnded
from h2client import Client as Http2
from wsproto import ConnectionType, WSConnection
from wsproto import events as ws

PATIENCE = 60.0


class Wrong(Exception):
    """An answer that it should not have been."""


class Party:
    """One client, which does one thing after another."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.port, self.tls_port = plan["port"], plan["tls_port"]
        self.random = random.Random(plan["seed"])
        self.until = time.monotonic() + plan["seconds"]
        self.tls = ssl.create_default_context()
        self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE
        self.asked = self.right = 0
        self.wrong: list[str] = []
        self.times: list[float] = []

    def run(self, *deeds: Callable[[], None]) -> None:
        while time.monotonic() < self.until:
            deed = self.random.choice(deeds)
            try:
                deed()
            except Wrong as wrong:
                self.wrong.append(f"{deed.__name__}: {wrong}")
            except OSError as failure:
                if deed.__name__.startswith("good"):
                    self.wrong.append(f"{deed.__name__}: {failure!r}")
            time.sleep(self.random.random() * 0.02)

    def connect(self, secure: bool = False) -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", self.tls_port if secure else self.port), PATIENCE)
        return self.tls.wrap_socket(plain) if secure else plain

    def expect(self, found: object, expected: object) -> None:
        self.asked += 1
        if found != expected:
            raise Wrong(f"{str(found)[:200]!r} instead of {str(expected)[:200]!r}")
        self.right += 1

    # HTTP/1

    def good_requests(self) -> None:
        with self.connect(self.random.random() < 0.4) as sock:
            for _ in range(self.random.randint(1, 5)):
                number = str(self.random.random())
                sock.sendall(f"GET /echo?id={number} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                self.expect(answers(sock, 1), [(200, number.encode())])

    def good_pipelines(self) -> None:
        with self.connect(self.random.random() < 0.4) as sock:
            numbers = [str(self.random.random()) for _ in range(self.random.randint(2, 40))]
            sock.sendall(b"".join(f"GET /echo?id={each} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for each in numbers))
            self.expect(answers(sock, len(numbers)), [(200, each.encode()) for each in numbers])

    def good_uploads(self) -> None:
        body = self.random.randbytes(self.random.choice((10, 1000, 100_000, 400_000)))
        with self.connect(self.random.random() < 0.4) as sock:
            sock.sendall(b"POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            self.expect(answers(sock, 1), [(200, b"%d" % zlib.crc32(body))])

    def cancelled(self) -> None:
        with self.connect(self.random.random() < 0.4) as sock:
            ways = (
                b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n",
                b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n",
                b"POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nthis is all",
                b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n" * 3,
                b"GET /ec",
            )
            sock.sendall(self.random.choice(ways))
            time.sleep(self.random.random() * 0.05)
            if self.random.random() < 0.5:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def hostile(self) -> None:
        with self.connect() as sock:
            ways = (
                b"GET  / HTTP/1.1\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100_000,
                b"POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
                b"GET /compute HTTP/1.1\r\nHost: a\r\n\r\n" * 300,
                b"\r\n" * 1000,
                self.random.randbytes(3000),
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.random.randbytes(500),
                b"\x16\x03\x01\x02\x00" + self.random.randbytes(500),
                b"GET /ws/x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
                + b"\x82\x80\1\2\3\4"
                * 500,
            )
            sock.sendall(self.random.choice(ways))
            sock.settimeout(self.random.random() * 0.2 + 0.01)
            sock.recv(1000)

    # HTTP/2

    def good_streams(self) -> None:
        with Http2(self.port) as client:
            for _ in range(self.random.randint(1, 3)):
                numbers = [str(self.random.random()) for _ in range(self.random.randint(1, 20))]
                streams = {client.begin(f"/echo?id={each}"): each for each in numbers}
                client.send()
                found = dict.fromkeys(streams, b"")
                ended = 0
                while ended < len(streams):
                    for event in list(client.waiting):
                        client.waiting.remove(event)
                        if isinstance(event, DataReceived):
                            found[event.stream_id] += event.data
                        ended += isinstance(event, StreamEnded)
                    if ended < len(streams):
                        client.receive()
                self.expect(found, {stream: each.encode() for stream, each in streams.items()})

    def cancelled_streams(self) -> None:
        with Http2(self.port) as client:
            for _ in range(10):
                number = client.begin(self.random.choice(("/slow", "/big", "/compute")))
                if self.random.random() < 0.5:
                    client.h2.reset_stream(number, 8)
            client.send()
            time.sleep(self.random.random() * 0.05)

    # WebSocket

    def good_messages(self) -> None:
        with self.connect(self.random.random() < 0.4) as sock:
            wire = WSConnection(ConnectionType.CLIENT)
            sock.sendall(wire.send(ws.Request(host="a", target="/ws/x")))
            sent = [self.random.randbytes(self.random.choice((0, 10, 5000))) for _ in range(self.random.randint(1, 20))]
            found: list[bytes] = []
            piece = b""
            begun = False
            while len(found) < len(sent):
                data = sock.recv(65536)
                if not data:
                    raise Wrong("the server closed")
                wire.receive_data(data)
                for event in wire.events():
                    if isinstance(event, ws.AcceptConnection):
                        sock.sendall(b"".join(wire.send(ws.BytesMessage(each)) for each in sent))
                        begun = True
                    elif isinstance(event, ws.BytesMessage):
                        piece += event.data
                        if event.message_finished:
                            found.append(piece)
                            piece = b""
            self.expect((begun, found), (True, sent))
            if self.random.random() < 0.7:
                sock.sendall(wire.send(ws.CloseConnection(1000)))

    def cancelled_messages(self) -> None:
        with self.connect() as sock:
            wire = WSConnection(ConnectionType.CLIENT)
            sock.sendall(wire.send(ws.Request(host="a", target="/ws/slow")))
            wire.receive_data(sock.recv(65536))
            list(wire.events())
            sock.sendall(b"".join(wire.send(ws.BytesMessage(b"")) for _ in range(self.random.randint(1, 2000))))
            time.sleep(self.random.random() * 0.05)

    # The one that is to notice

    def probe(self) -> None:
        with self.connect() as sock:
            while time.monotonic() < self.until:
                began = time.perf_counter()
                sock.sendall(b"GET /echo?id=probe HTTP/1.1\r\nHost: a\r\n\r\n")
                self.expect(answers(sock, 1), [(200, b"probe")])
                self.times.append(time.perf_counter() - began)
                time.sleep(0.01)


def answers(sock: socket.socket, count: int) -> list[tuple[int, bytes]]:
    """The status and body of *count* answers that tell their length."""
    data = b""
    found = []
    while len(found) < count:
        head, ended, rest = data.partition(b"\r\n\r\n")
        if ended:
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            if len(rest) >= length:
                found.append((int(head[9:12]), rest[:length]))
                data = rest[length:]
                continue
        chunk = sock.recv(65536)
        if not chunk:
            raise Wrong(f"the server closed after {found[-1:]} {data[:100]!r}")
        data += chunk
    return found


def main() -> None:
    plan = json.loads(sys.argv[1])
    party = Party(plan)
    kinds: dict[str, tuple[Callable[[], None], ...]] = {
        "http1": (party.good_requests, party.good_pipelines, party.good_uploads, party.cancelled),
        "http2": (party.good_streams, party.good_streams, party.cancelled_streams),
        "websocket": (party.good_messages, party.good_messages, party.cancelled_messages),
        "hostile": (party.hostile, party.hostile, party.good_requests),
        "probe": (party.probe,),
    }
    if plan["kind"] != "probe":
        with suppress(OSError):
            os.nice(10)  # what the clients compute is not what the server is asked
    party.run(*kinds[plan["kind"]])
    print(json.dumps({"asked": party.asked, "right": party.right, "wrong": party.wrong, "times": party.times}))


if __name__ == "__main__":
    main()
