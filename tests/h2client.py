"""A client of HTTP/2 on a socket, with the states and heads of the h2 library."""

import socket
from typing import Any, Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset


class Client:
    """The library's client on a socket."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.waiting: list[Event] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def ask(self, path: str, *fields: tuple[str, str], method: str = "GET", end: bool = True) -> int:
        """Begin a request and send it; returns the number of its stream."""
        number = self.begin(path, *fields, method=method, end=end)
        self.send()
        return number

    def begin(self, path: str, *fields: tuple[str, str], method: str = "GET", end: bool = True) -> int:
        """The same, to be sent with what follows."""
        number = self.h2.get_next_available_stream_id()
        headers = [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", path), *fields]
        self.h2.send_headers(number, headers, end_stream=end)
        return number

    def send(self) -> None:
        """Send what was begun, in one piece."""
        self.sock.sendall(self.h2.data_to_send())

    def head(self, stream: int) -> dict[str, str]:
        """The head of the answer on *stream*."""
        return dict(self.until(ResponseReceived, stream).headers)

    def until(self, kind: type[Event], stream: int = 0) -> Any:
        """The next event of *kind*, of *stream* if it has one; bytes of bodies are taken."""
        while True:
            for index, event in enumerate(self.waiting):
                if isinstance(event, kind) and stream in (0, getattr(event, "stream_id", 0)):
                    del self.waiting[index]
                    return event
            self.receive()

    def receive(self) -> None:
        """Take what comes next, and answer it as the library says."""
        data = self.sock.recv(1 << 16)
        assert data, "the server closed"
        for event in self.h2.receive_data(data):
            if isinstance(event, DataReceived):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.waiting.append(event)
        try:
            self.sock.sendall(self.h2.data_to_send())
        except ConnectionError:
            pass  # what it said last still counts

    def ends(self, stream: int) -> Event | None:
        """What ended *stream*, if that has come."""
        ends = [each for each in self.waiting if isinstance(each, (StreamEnded, StreamReset))]
        return next((each for each in ends if each.stream_id == stream), None)

    def heads(self, stream: int) -> set[str]:
        """The names in the head on *stream*; none when there has not been one."""
        heads = [each for each in self.waiting if isinstance(each, ResponseReceived) and each.stream_id == stream]
        return {str(name) for head in heads for name, _ in head.headers}

    def body(self, stream: int) -> bytes:
        self.until(StreamEnded, stream)
        mine = [each for each in self.waiting if isinstance(each, DataReceived) and each.stream_id == stream]
        return b"".join(each.data for each in mine)
