"""32 connections of 100,000 requests each: every request gets its own answer, in HTTP/1 and HTTP/2, clear and over TLS.

Handlers echo, sleep, fail and ask each other.  Besides, memory after three million requests is what it was after one,
and HTTP/1 stays with the engine in LuaJIT.  In ``make soak`` for some minutes each (SOAK_REQUESTS for another number).
"""

import os
import random
import re
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Iterator
from typing import Protocol

import pytest
from certificates import Authority
from launching import free_port
from webprogram import Web, secure_listener

CONNECTIONS = 32
REQUESTS = int(os.environ.get("SOAK_REQUESTS", "100000"))  # of each connection
BATCH = 60  # requests at most that a connection asks at once
PATIENCE = 120.0
GROWTH = 48  # MB that the heaps of two languages may take until they are as large as the work wants them
SETTLED = 8  # MB that come to that after the first third

SERVICE = """
local HttpClient = require("mtev.HttpClient")
local acts = {}
function acts.echo(id) return id end
function acts.sleep(id) mtev.sleep(0.002) return id end
function acts.fail(id) error("as asked by " .. id) end
function acts.call(id)
  local client = HttpClient:new()
  local rv, why = client:connect("127.0.0.1", %d)
  if rv ~= 0 then error(id .. ": not connected: " .. tostring(why)) end
  local parts = {}
  client.hooks.consume = function(text) parts[#parts + 1] = text end
  client:do_request("GET", "/act/echo?id=" .. id, { Host = "a" })
  client:get_response()
  local said = table.concat(parts)
  return said:match("^<(.*)>$") or error(id .. ": answered " .. tostring(client.code) .. " " .. said)
end
function handler(rest)
  local http = rest:http()
  local request = http:request()
  local said = acts[request:uri():match("%%a+$")](request:querystring("id"))
  http:write("<" .. said .. ">")
  http:flush_end()
end
"""


def act(number: int) -> bytes:
    """What the request of that number asks for: most are echoes."""
    if number % 1000 == 999:
        return b"fail"
    if number % 400 == 200:
        return b"call"
    return b"sleep" if number % 200 == 100 else b"echo"


class Client(Protocol):
    """A connection that asks for a batch, then takes what comes."""

    sock: socket.socket

    def ask(self, asked: list[tuple[bytes, bytes]]) -> None:
        """Send requests: what is to be done, and an id."""

    def take(self, asked: list[tuple[bytes, bytes]]) -> list[bytes]:
        """The answers to them, in their order: the id in each, or its status where it failed."""


class Http1:
    """Pipelined requests on a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def ask(self, asked: list[tuple[bytes, bytes]]) -> None:
        self.sock.sendall(b"".join(b"GET /act/%b?id=%b HTTP/1.1\r\nHost: a\r\n\r\n" % each for each in asked))

    def take(self, asked: list[tuple[bytes, bytes]]) -> list[bytes]:
        data, found = b"", []
        while len(found) < len(asked):
            chunk = self.sock.recv(1 << 16)
            assert chunk, (data, asked)
            data += chunk
            found = re.findall(rb"<(\d+\.\d+)>|HTTP/1\.1 (500) ", data)
        return [name or status for name, status in found]


class Http2:
    """Streams of a connection, all at the same time; frames as they are on the wire."""

    OK, FAILED = 0x88, 0x8E  # :status 200 and 500 of HPACK's static table

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.next = 1
        self.data = b""
        sock.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + self.frame(4, struct.pack(">HI", 4, 2**31 - 1))
            + self.frame(8, struct.pack(">I", 2**31 - 65536))
        )

    @staticmethod
    def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0) -> bytes:
        return struct.pack(">I", len(payload) << 8 | kind) + bytes([flags]) + struct.pack(">I", stream) + payload

    def ask(self, asked: list[tuple[bytes, bytes]]) -> None:
        pieces = []
        for at, each in enumerate(asked):
            path = b"/act/%b?id=%b" % each
            head = b"\x82\x86\x01\x01a\x04" + bytes([len(path)]) + path  # GET, http, the authority, the path
            pieces.append(self.frame(1, head, 0x5, self.next + 2 * at))
        self.sock.sendall(b"".join(pieces))

    def take(self, asked: list[tuple[bytes, bytes]]) -> list[bytes]:
        first, self.next = self.next, self.next + 2 * len(asked)
        statuses, bodies, left = {}, dict.fromkeys(range(first, self.next, 2), b""), len(asked)
        while left:
            for kind, flags, stream, payload in self.frames():
                if kind == 1:
                    statuses[stream] = next(each for each in payload if each in (self.OK, self.FAILED))
                elif kind == 0:
                    bodies[stream] += payload
                assert kind not in (3, 7), (kind, payload)  # resets and farewells
                left -= kind in (0, 1) and flags & 1
        return [body.strip(b"<>") if statuses[stream] == self.OK else b"500" for stream, body in sorted(bodies.items())]

    def frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Those that come next; SETTINGS and PING are answered."""
        chunk = self.sock.recv(1 << 16)
        assert chunk
        data, at = self.data + chunk, 0
        while at + 9 <= len(data):
            size = int.from_bytes(data[at : at + 3])
            if at + 9 + size > len(data):
                break
            kind, flags = data[at + 3], data[at + 4]
            payload = data[at + 9 : at + 9 + size]
            if kind in (4, 6) and not flags & 1:
                self.sock.sendall(self.frame(kind, payload if kind == 6 else b"", 1))
            yield kind, flags, int.from_bytes(data[at + 5 : at + 9]), payload
            at += 9 + size
        self.data = data[at:]


def served(web: Web, kind: str) -> list[Client]:
    """The program, serving, and its clients."""
    authority = Authority(web.directory)
    issued = authority.issue("localhost", "localhost")
    tls_port = free_port()
    web.start(
        SERVICE % web.port,
        settled=True,
        web="<mount_get>web:GET:/act/</mount_get>",
        listeners=secure_listener(tls_port, issued, f"<document_root>{web.directory}</document_root>"),
    )
    web.await_port(tls_port)
    context = ssl.create_default_context(cafile=str(authority.issued.certificate))
    if kind.startswith("http2"):
        context.set_alpn_protocols(["h2"])
    clients: list[Client] = []
    for _ in range(CONNECTIONS):
        sock = socket.create_connection(("127.0.0.1", tls_port if kind.endswith("tls") else web.port), PATIENCE)
        if kind.endswith("tls"):
            sock = context.wrap_socket(sock, server_hostname="localhost")
        clients.append(Http2(sock) if kind.startswith("http2") else Http1(sock))
    return clients


def engine_counts(web: Web) -> tuple[int, int]:
    """Requests that the engine in LuaJIT took, and handed over."""
    found = Counter[str]()
    for name, value in re.findall(
        r"^\w*http_engine_(taken|handed_over)\w*(?:\{.*\})? (\d+)", web.text("/metrics"), re.M
    ):
        found[name] += int(value)
    return found["taken"], found["handed_over"]


def unasked(web: Web) -> list[str]:
    """Errors that no request asked for."""
    return [each for each in web.errors().splitlines() if "error: " in each and "as asked" not in each]


def rounds(number: random.Random) -> Iterator[range]:
    """The numbers of the requests that each connection asks at once."""
    at = 0
    while at < REQUESTS:
        until = min(REQUESTS, at + number.randint(1, BATCH))
        yield range(at, until)
        at = until


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["http1", "tls", "http2", "http2-tls"])
def test_each_request_gets_its_own_answer(web: Web, kind: str, request: pytest.FixtureRequest) -> None:
    clients = served(web, kind)
    for client in clients:
        request.addfinalizer(client.sock.close)
    resident: list[int] = []  # MB, once each has asked a thousand, then at every tenth of the way
    for numbers in rounds(random.Random(1)):
        asked = [[(act(n), b"%d.%d" % (which, n)) for n in numbers] for which in range(CONNECTIONS)]
        for client, mine in zip(clients, asked, strict=True):
            client.ask(mine)
        for client, mine in zip(clients, asked, strict=True):
            expected = [b"500" if what == b"fail" else name for what, name in mine]
            assert client.take(mine) == expected, unasked(web)
        if numbers.stop >= max(1000, len(resident) * REQUESTS // 10):
            resident.append(web.resident() >> 20)
    taken, handed_over = engine_counts(web)
    print(f"{kind}: {CONNECTIONS * REQUESTS} answers; {resident = } MB; {taken = }, {handed_over = }")
    assert max(resident) - resident[0] < GROWTH
    assert resident[-1] - resident[3] < SETTLED
    if not kind.startswith("http2"):
        assert taken >= CONNECTIONS * REQUESTS
        assert handed_over < 0.05 * taken
