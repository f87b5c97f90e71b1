"""The WebSocket client against a server on wsproto, and against peers that are none."""

import socket
import ssl
from pathlib import Path
from typing import Any

import gevent.event
import gevent.ssl
import pytest
from certificates import Authority
from launching import free_port
from websocketpeer import converse, echo, serving
from wsproto import ConnectionType, WSConnection, events

from runtime.util.websocket import BINARY, CLOSE, PING, TEXT, WebsocketClient
from runtime.util.websocket_protocol import greet


class Seen:
    def __init__(self) -> None:
        self.events: list[Any] = []

    def ready(self, client: WebsocketClient) -> None:
        assert client.is_ready
        self.events.append(("ready", client.closure))
        assert client.send(TEXT, b"hello")

    def msg(self, client: WebsocketClient, opcode: int, data: bytes) -> bool:
        self.events.append((opcode, data))
        if opcode == TEXT:
            return client.send(BINARY, bytes(200_000))
        return client.send(CLOSE, b"enough")

    def cleanup(self, client: WebsocketClient) -> None:
        assert client.is_closed
        self.events.append("cleanup")


def open_client(seen: Seen, port: int, host: str = "127.0.0.1", **more: Any) -> WebsocketClient:
    more |= {"ready": seen.ready, "cleanup": seen.cleanup, "closure": 7}
    return WebsocketClient(host, port, "/a", "chat", seen.msg, **more)


TALK = [("ready", 7), (TEXT, b"hello"), (BINARY, bytes(200_000)), "cleanup"]


def test_messages_go_there_and_back() -> None:
    seen = Seen()
    with serving(lambda peer: converse(peer, echo)) as port:
        client = open_client(seen, port)
        assert not client.send(TEXT, b"too early")
        assert client.join(20)
    assert seen.events == TALK
    assert not client.send(TEXT, b"too late")


def test_tls_is_checked(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("localhost", "localhost")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(issued.certificate, issued.key)
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.issued.certificate)
    seen = Seen()
    with serving(lambda peer: converse(peer, echo), server) as port:
        assert open_client(seen, port, "localhost", context=context).join(20)
    assert seen.events == TALK


def test_a_refusal_is_told() -> None:
    def refuse(event: Any) -> Any:
        return [events.RejectConnection(status_code=403)] if isinstance(event, events.Request) else None

    seen = Seen()
    with serving(lambda peer: converse(peer, refuse)) as port:
        client = open_client(seen, port)
        assert client.join(20)
    assert (seen.events, client.error) == (["cleanup"], "HTTP status 403")


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
def test_a_peer_that_is_none_ends_the_client(answer: bytes) -> None:
    def talk(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(answer)

    seen = Seen()
    with serving(talk) as port:
        client = open_client(seen, port)
        assert client.join(20)
    assert seen.events == ["cleanup"]


def test_nobody_there_is_told() -> None:
    port = free_port()
    seen = Seen()
    client = open_client(seen, port)
    assert client.join(20)
    assert "refused" in str(client.error)
    assert seen.events == ["cleanup"]


@pytest.mark.parametrize("port", [0, -1, 65536, 95672])
def test_a_port_that_is_none_is_told_at_once(port: int) -> None:
    with pytest.raises(ValueError, match=f"port of 1 to 65535, not {port}"):
        open_client(Seen(), port)


def test_what_cannot_be_sent_raises_and_the_connection_stays() -> None:
    seen = Seen()
    ready = gevent.event.Event()
    with serving(lambda peer: converse(peer, echo)) as port:
        client = WebsocketClient("127.0.0.1", port, "/", "", seen.msg, ready=lambda _: ready.set())
        assert ready.wait(20)
        for opcode, data in ((3, b""), (TEXT, b"\xff"), (PING, bytes(126))):
            with pytest.raises(ValueError, match=r"."):
                client.send(opcode, data)
        assert client.send(PING, b"still here")
        client.close()
        assert client.join(20)
    assert seen.events == []
    assert client.is_closed


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [
        (b"", 1000, ""),
        (b"enough", 1000, "enough"),
        (b"\x0f\xa1\xc3\xa9 over", 4001, "é over"),
        (b"\x03\xe9", 1001, ""),
    ],
)
def test_a_farewell_may_have_a_code(payload: bytes, code: int, reason: str) -> None:
    client, hello = greet("a", "/", [])
    peer = WSConnection(ConnectionType.SERVER)
    peer.receive_data(hello)
    client.receive(peer.send(events.AcceptConnection()))
    peer.receive_data(client.send(CLOSE, payload))
    assert list(peer.events())[-1] == events.CloseConnection(code, reason)


def test_a_callback_that_says_no_closes() -> None:
    with serving(lambda peer: converse(peer, echo)) as port:
        client = WebsocketClient(
            "127.0.0.1", port, "/", "", lambda *_: False, ready=lambda each: each.send(BINARY, b"one")
        )
        assert client.join(20)
    assert client.is_closed
