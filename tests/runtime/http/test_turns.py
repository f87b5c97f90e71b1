"""One client's burst leaves room for the others: pipelined requests, WebSocket messages, clear and over TLS."""

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from serving import house, secure, server
from wsproto import ConnectionType, WSConnection
from wsproto import events as ws

from runtime import eventer, hooks, http
from runtime.eventer import Pool
from runtime.http import Request, Response
from runtime.http.ledger.entry import of
from runtime.http.ledger.settle import settle
from runtime.http.protocol.http1 import Http1

MANY = 30


class Order:
    """A handler that notes whom it serves, and does not come back from the first until the others have asked."""

    def __init__(self) -> None:
        self.served: Queue[bytes] = Queue()
        self.begun = threading.Event()
        self.others = threading.Event()

    def serve(self, what: bytes) -> None:
        self.served.put(what)
        if not self.begun.is_set():
            self.begun.set()
            assert self.others.wait(20)

    def request(self, request: Request, response: Response) -> None:
        self.serve(request.query)
        response.write("done")
        response.flush_end()

    def message(self, _ws: Any, _opcode: int, payload: bytes) -> None:
        self.serve(payload)


@pytest.fixture
def order(loops: Pool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Order]:
    monkeypatch.setattr(eventer.settings(), "turn_budget", 1e-9)  # any request uses it up
    made = Order()
    with house(("GET", "^x$", made.request)):
        http.websocket("/ws", "^x$", made)
        yield made


@pytest.fixture(params=["clear", "tls"])
def connect(request: pytest.FixtureRequest, order: Order, tmp_path: Path) -> Any:
    """Makes connections to a server of one loop."""
    port, context = secure(tmp_path) if request.param == "tls" else (server(), None)

    def connected() -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port), timeout=20)
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname="localhost")
        sock.sendall(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(65536).endswith(b"Not Found\n")  # so the loop has it
        return sock

    return connected


def get(what: str) -> bytes:
    return f"GET /x?{what} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def answers(sock: socket.socket, count: int) -> None:
    data = b""
    while data.count(b"done") < count:
        chunk = sock.recv(65536)
        assert chunk, data
        data += chunk


def test_a_client_that_pipelines_does_not_keep_others_waiting(order: Order, connect: Any) -> None:
    with connect() as burst, connect() as other:
        burst.sendall(b"".join(get(str(number)) for number in range(MANY)))
        assert order.begun.wait(20)
        other.sendall(get("other"))
        order.others.set()
        answers(other, 1)
        answers(burst, MANY)
    served = list(order.served.queue)
    assert served.index(b"other") <= 2
    assert [each for each in served if each != b"other"] == [b"%d" % number for number in range(MANY)]


def test_two_clients_that_pipeline_take_turns(order: Order, connect: Any) -> None:
    with connect() as one, connect() as two:
        one.sendall(b"".join(get(f"one{number}") for number in range(MANY)))
        assert order.begun.wait(20)
        two.sendall(b"".join(get(f"two{number}") for number in range(MANY)))
        order.others.set()
        answers(one, MANY)
        answers(two, MANY)
    served = [each[:3] for each in order.served.queue]
    assert served[-4:].count(b"one") >= 1
    assert served[-6:].count(b"two") >= 1


def test_a_burst_before_the_client_ends_its_sending_is_answered_whole(order: Order, connect: Any) -> None:
    order.others.set()
    with connect() as burst:
        burst.sendall(b"".join(get(str(number)) for number in range(MANY)))
        if not isinstance(burst, ssl.SSLSocket):
            burst.shutdown(socket.SHUT_WR)
        answers(burst, MANY)


def test_websocket_messages_do_not_keep_others_waiting(order: Order, connect: Any) -> None:
    wire = WSConnection(ConnectionType.CLIENT)
    with connect() as burst, connect() as other:
        burst.sendall(wire.send(ws.Request(host="a", target="/ws/x")))
        wire.receive_data(burst.recv(65536))
        assert isinstance(next(wire.events()), ws.AcceptConnection)
        messages = b"".join(wire.send(ws.BytesMessage(b"%d" % number)) for number in range(MANY))
        burst.sendall(messages + wire.send(ws.CloseConnection(1000)))
        assert order.begun.wait(20)
        other.sendall(get("other"))
        order.others.set()
        answers(other, 1)
        wire.receive_data(burst.recv(65536))
        assert next(event for event in wire.events() if isinstance(event, ws.CloseConnection)).code == 1000
    served = list(order.served.queue)
    assert served.index(b"other") <= 2
    assert [each for each in served if each != b"other"] == [b"%d" % number for number in range(MANY)]


def test_hooks_that_are_told_of_many_answers_do_not_keep_others_waiting(order: Order, connect: Any) -> None:
    order.others.set()
    told: Queue[str] = Queue()
    sent = hooks.find("http_request_complete")
    assert sent is not None

    def tell(request: Request, _response: Response) -> int:
        told.put("told")
        if told.qsize() == 1:
            eventer.current().post(told.put, "posted")
        return hooks.CONTINUE

    sent.register("many", tell)
    try:
        entries = [of(Response(Request(), Http1(order.request)), 1.0) for _ in range(MANY)]
        eventer.choose_owner(0).post(settle, entries)
        seen = [told.get(timeout=20) for _ in range(MANY + 1)]
        assert seen.index("posted") <= 2
    finally:
        sent.unregister("many")
