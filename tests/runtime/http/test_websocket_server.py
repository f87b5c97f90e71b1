"""The WebSocket server on real sockets, with the library's client and frames of our own."""

import os
import socket
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from certificates import Authority
from looping import on
from serving import house, server
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)

from runtime import eventer, http, log
from runtime.eventer import Pool

ALLOW = (
    b'<app><rest><acl type="deny"><rule type="deny" url="^/ws/secret"/><rule type="allow" url="^/"/></acl></rest></app>'
)


class Echo:
    """A handler that sends back what it gets, and notes what happens."""

    def __init__(self) -> None:
        self.ready_ones: Queue[Any] = Queue()
        self.closed_ones: Queue[Any] = Queue()

    def ready(self, ws: Any) -> None:
        self.ready_ones.put(ws)

    def message(self, ws: Any, opcode: int, payload: bytes) -> None:
        if payload == b"fail":
            raise RuntimeError("on purpose")
        if payload == b"bye":
            ws.close(4000, "so long")
        else:
            ws.send(opcode, payload)

    def closed(self, ws: Any) -> None:
        self.closed_ones.put((ws.code, ws.reason))


@pytest.fixture
def echo(loops: Pool) -> Iterator[Echo]:
    handler = Echo()
    with house(allow=ALLOW):
        http.websocket("/ws", "^(echo|secret)$", handler, protocols=("chat", "talk"))
        yield handler


class Client:
    """The library's client on a socket."""

    def __init__(
        self, port: int, path: str = "/ws/echo", context: ssl.SSLContext | None = None, **request: Any
    ) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        if context is not None:
            self.sock = context.wrap_socket(self.sock)
        self.ws = WSConnection(ConnectionType.CLIENT)
        self.waiting: list[Event] = []
        self.send(Request(host="a", target=path, **request))

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, event: Event) -> None:
        self.sock.sendall(self.ws.send(event))

    def next(self) -> Event:
        while not self.waiting:
            data = self.sock.recv(1 << 16)
            self.ws.receive_data(data or None)
            self.waiting.extend(self.ws.events())
        return self.waiting.pop(0)

    def accepted(self) -> AcceptConnection:
        event = self.next()
        assert isinstance(event, AcceptConnection)
        return event

    def message(self) -> bytes | str:
        """The next message, put together."""
        pieces: list[Any] = []
        while True:
            event = self.next()
            assert isinstance(event, TextMessage | BytesMessage), event
            pieces.append(event.data if isinstance(event.data, str) else bytes(event.data))
            if event.message_finished:
                return type(pieces[0])().join(pieces)

    def end(self) -> CloseConnection:
        event = self.next()
        assert isinstance(event, CloseConnection)
        return event


def frame(first: int, payload: bytes, masked: bool = True) -> bytes:
    """A frame of a client of under 64 KiB; the mask is nothing."""
    size = len(payload)
    length = bytes([size | 0x80 * masked]) if size < 126 else bytes([126 | 0x80 * masked]) + struct.pack("!H", size)
    return bytes([first]) + length + (bytes(4) if masked else b"") + payload


def test_messages_go_both_ways_and_the_client_closes(echo: Echo) -> None:
    with Client(server()) as client:
        assert client.accepted().subprotocol is None
        client.send(TextMessage("grüße"))
        assert client.message() == "grüße"
        large = os.urandom(500_000)
        client.send(BytesMessage(large))
        assert client.message() == large
        client.send(BytesMessage(b""))
        assert client.message() == b""
        client.send(CloseConnection(1000, "done"))
        assert client.end().code == 1000
        assert client.sock.recv(1) == b""
    assert echo.closed_ones.get(timeout=10) == (1000, b"done")


def test_a_message_in_many_frames_is_one_message(echo: Echo) -> None:
    with Client(server()) as client:
        client.accepted()
        client.send(TextMessage("a", message_finished=False))
        client.send(Ping(b"between"))
        client.send(TextMessage("b", message_finished=False))
        client.send(TextMessage("c"))
        assert client.next() == Pong(b"between")
        assert client.message() == "abc"


def test_messages_torn_at_every_byte_arrive(echo: Echo) -> None:
    with Client(server()) as client:
        client.accepted()
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = frame(0x81, b"x" * 130)
        for cut in range(1, len(data)):
            client.sock.sendall(data[:cut])
            client.sock.sendall(data[cut:])
            assert client.message() == "x" * 130


def test_frames_right_behind_the_handshake_are_not_lost(echo: Echo) -> None:
    with socket.create_connection(("127.0.0.1", server()), timeout=10) as sock:
        sock.sendall(HANDSHAKE + frame(0x81, b"early"))
        data = b""
        while not data.endswith(b"\x81\x05early"):
            data += sock.recv(1000)
        assert data.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in data


def test_a_handler_keeps_the_connection_and_sends_when_it_likes(echo: Echo) -> None:
    with Client(server()) as client:
        client.accepted()
        ws = echo.ready_ones.get(timeout=10)
        for number in range(100):
            ws.resume(ws.send, http.TEXT, f"news {number}")
        assert [client.message() for _ in range(100)] == [f"news {number}" for number in range(100)]
        ws.resume(ws.send, http.PING, b"there?")
        assert client.next() == Ping(b"there?")
        ws.resume(ws.close, 1001, "later")
        end = client.end()
        assert (end.code, end.reason) == (1001, "later")
        assert echo.closed_ones.get(timeout=10) == (1001, b"later")
        assert ws.send(http.TEXT, "nobody") is False


def test_what_cannot_be_sent_is_an_error(echo: Echo) -> None:
    with Client(server()) as client:
        client.accepted()
        ws = echo.ready_ones.get(timeout=10)
        for bad in ((http.TEXT, b"\xff"), (8, b""), (0, b""), (http.PING, bytes(126))):
            with pytest.raises(ValueError):
                ws.send(*bad)
        for code in (0, 999, 1005, 1006, 1015, 2999, 5000):
            with pytest.raises(ValueError, match=f"{code} is no code to close with"):
                ws.close(code)


def test_a_handler_may_close_from_a_message(echo: Echo) -> None:
    with Client(server()) as client:
        client.accepted()
        client.send(TextMessage("bye"))
        end = client.end()
        assert (end.code, end.reason) == (4000, "so long")
    assert echo.closed_ones.get(timeout=10) == (4000, b"so long")


def test_a_handler_that_fails_closes_with_1011(echo: Echo) -> None:
    with Client(server()) as client:
        client.accepted()
        client.send(TextMessage("fail"))
        assert client.end().code == 1011
    assert echo.closed_ones.get(timeout=10)[0] == 1011


def test_a_handler_needs_only_the_callbacks_it_wants(echo: Echo) -> None:
    http.websocket("/ws/", "^silent$", object())
    with Client(server(), "/ws/silent") as client:
        client.accepted()
        client.send(TextMessage("anybody?"))
        client.send(CloseConnection(1000))
        assert client.end().code == 1000


def test_a_client_that_vanishes_is_1006(echo: Echo) -> None:
    with Client(server()) as client:
        client.accepted()
    assert echo.closed_ones.get(timeout=10) == (1006, b"")


def test_the_first_subprotocol_that_both_speak_is_agreed_on(echo: Echo) -> None:
    port = server()
    with Client(port, subprotocols=["other", "talk", "chat"]) as client:
        assert client.accepted().subprotocol == "chat"
        assert echo.ready_ones.get(timeout=10).protocol == "chat"
    with Client(port, subprotocols=["other"]) as client:
        assert client.accepted().subprotocol is None


def test_routing_and_access_control_come_first(echo: Echo) -> None:
    port = server()
    for path, status in (("/ws/secret", 403), ("/ws/nowhere", 404)):
        with Client(port, path) as client:
            event = client.next()
            assert isinstance(event, RejectConnection)
            assert event.status_code == status


def test_an_auth_function_decides_instead(echo: Echo) -> None:
    http.websocket("/own/", "^$", echo, auth=lambda request: request.querystring("token") == b"t")
    http.configure(None)
    port = server()
    with Client(port, "/own/?token=t") as client:
        client.accepted()
    with Client(port, "/own/") as client:
        assert isinstance(client.next(), RejectConnection)


HANDSHAKE = (
    b"GET /ws/echo HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        (b"Upgrade: WebSocket\r\n", b"", b"426 Upgrade Required"),
        (b"Upgrade: WebSocket\r\n", b"Upgrade: h2c\r\n", b"426 Upgrade Required"),
        (b"Version: 13", b"Version: 12", b"426 Upgrade Required"),
        (b"keep-alive, Upgrade", b"keep-alive", b"400 Bad Request"),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"c2hvcnQ=", b"400 Bad Request"),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"???", b"400 Bad Request"),
        (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b"", b"400 Bad Request"),
        (b"GET", b"HEAD", b"426 Upgrade Required"),
        (b"GET", b"POST", b"405 Method Not Allowed"),
    ],
)
def test_a_handshake_that_is_none_is_refused(echo: Echo, before: bytes, after: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server()), timeout=10) as sock:
        sock.sendall(HANDSHAKE.replace(before, after))
        assert sock.recv(1000).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    ("code", "data"),
    [
        (1002, frame(0x81, b"x", masked=False)),
        (1002, frame(0x83, b"x")),  # no such opcode
        (1002, frame(0xC1, b"x")),  # a bit of an extension that nobody agreed on
        (1002, frame(0x80, b"x")),  # goes on with nothing
        (1002, frame(0x01, b"x") + frame(0x81, b"y")),  # a message inside another
        (1002, frame(0x09, b"x")),  # a control frame in parts
        (1002, frame(0x89, bytes(126))),
        (1002, frame(0x88, b"\x03")),
        (1002, frame(0x88, struct.pack("!H", 1005))),
        (1007, frame(0x81, b"\xff\xfe")),
        (1007, frame(0x01, b"\xc3") + frame(0x80, b"x")),
        (1009, frame(0x82, bytes(1001))),
        (1009, (frame(0x02, bytes(400)) + frame(0x00, bytes(400)) + frame(0x00, bytes(400)))),
        (1009, b"\x82\xff" + struct.pack("!Q", 1 << 40) + bytes(4) + bytes(2000)),
        (1009, b"\x82\xff" + struct.pack("!Q", 1 << 40)),  # by its head alone
        (1009, b"\x82\xfe" + struct.pack("!H", 1001)),
        (1009, frame(0x02, bytes(900)) + b"\x80\xfe" + struct.pack("!H", 200)),
    ],
)
def test_frames_that_cannot_be_close_with_their_code(echo: Echo, code: int, data: bytes) -> None:
    with Client(server(max_message="1000")) as client:
        client.accepted()
        client.sock.sendall(data)
        assert client.end().code == code
    assert echo.closed_ones.get(timeout=10)[0] == code


def test_noise_ends_nothing_but_its_connection(echo: Echo) -> None:
    port = server()
    for seed in range(50):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            sock.sendall(HANDSHAKE + bytes((seed * index * 7919) >> 3 & 255 for index in range(300)))
            assert sock.recv(100).startswith(b"HTTP/1.1 101")
    with Client(port) as client:
        client.accepted()
        client.send(TextMessage("alive"))
        assert client.message() == "alive"


def test_a_client_that_does_not_read_is_closed_before_memory_goes(echo: Echo, loops: Pool) -> None:
    with Client(server(max_backlog="100000")) as client:
        client.accepted()
        ws = echo.ready_ones.get(timeout=10)
        thread = loops.threads[0]
        sent = 0
        while on(thread, lambda: ws.send(http.BINARY, bytes(50_000))):
            sent += 1
            assert on(thread, lambda: ws.backlog) < 200_000
        assert sent > 2
        assert echo.closed_ones.get(timeout=10)[0] == 1006


def test_a_client_that_catches_up_is_told_to_the_handler(echo: Echo, loops: Pool) -> None:
    caught_up: Queue[bool] = Queue()
    with Client(server(max_backlog="100000000")) as client:
        client.accepted()
        ws = echo.ready_ones.get(timeout=10)
        thread = loops.threads[0]
        sent = 0
        while not on(thread, lambda: ws.paused):
            on(thread, lambda: ws.send(http.BINARY, bytes(100_000)))
            sent += 1
        on(thread, lambda: ws.on_drain(lambda: caught_up.put(True)))
        assert [client.message() for _ in range(sent)] == [bytes(100_000)] * sent
        assert caught_up.get(timeout=10)


def test_a_connection_on_which_nothing_is_said_is_closed(echo: Echo, loops: Pool) -> None:
    with Client(server()) as client:
        client.accepted()
        thread = loops.threads[0]
        ws = echo.ready_ones.get(timeout=10)
        (session,) = http.sessions_of(thread)
        for second in (0.0, 59.0):
            on(thread, lambda second=second: session.expire(second))
        on(thread, lambda: ws.send(http.TEXT, "a sign of life"))
        for second in (61.0, 119.0):
            on(thread, lambda second=second: session.expire(second))
        assert client.message() == "a sign of life"
        assert ws.is_open
        on(thread, lambda: session.expire(130.0))
        assert client.end().code == 1001
    assert echo.closed_ones.get(timeout=10)[0] == 1006


def test_the_end_of_the_server_is_said(echo: Echo) -> None:
    with Client(server()) as client:
        client.accepted()
        assert http.finish(10)
        assert client.end().code == 1001
    assert echo.closed_ones.get(timeout=10)[0] == 1001


def test_it_works_over_tls(echo: Echo, tmp_path: Path) -> None:
    from runtime.net._tls import Tls

    issued = Authority(tmp_path).issue("localhost", "localhost")
    tls = Tls({"certificate_file": str(issued.certificate), "key_file": str(issued.key)})
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    large = os.urandom(300_000)
    with Client(server(tls), context=context) as client:
        client.accepted()
        client.send(BytesMessage(large))
        assert client.message() == large
        client.send(CloseConnection(1000))
        assert client.end().code == 1000


def test_the_access_log_has_the_handshake(echo: Echo, tmp_path: Path) -> None:
    log.new_stream("http/access", type="file", path=str(tmp_path / "access"))
    with Client(server()) as client:
        client.accepted()
    eventer.stop()
    assert '"GET /ws/echo HTTP/1.1" 101 ' in (tmp_path / "access").read_text()
