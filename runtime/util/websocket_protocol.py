"""The protocol of a WebSocket client, without any I/O: bytes in, bytes and events out (RFC 6455).  wsproto reads and
makes the frames."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsproto import WSConnection

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
READY, REFUSED, CLOSED = -1, -2, -3
"""What a client learns besides messages, which come under their opcodes."""

LONGEST_MESSAGE = 64 * 1024 * 1024  # bytes

Step = tuple[list[Any], bytes]
"""What happened, flat: kind, payload, kind, payload…; and the bytes to send."""


class Client:
    """One connection's protocol."""

    def __init__(self, connection: "WSConnection") -> None:
        self.connection = connection
        self.message: list[bytes] = []
        self.size = 0

    def receive(self, data: bytes | None) -> Step:
        """Take bytes of the peer's, None for the end of its stream."""
        from wsproto.utilities import RemoteProtocolError

        happened: list[Any] = []
        out = b""
        try:
            self.connection.receive_data(data)
            for event in self.connection.events():
                out += self._event(event, happened)
        except RemoteProtocolError as wrong:
            if wrong.event_hint is not None:
                out += self._answer(wrong.event_hint)
            happened += [CLOSED, f"{wrong}".encode()]
        return happened, out

    def send(self, opcode: int, data: bytes) -> bytes:
        """The bytes of a frame.  A farewell's data is as RFC 6455, 5.5.1 has it, a code of two bytes and a reason, or a
        reason alone.  Raises :exc:`ValueError` for what cannot be sent."""
        from wsproto import events
        from wsproto.utilities import LocalProtocolError

        event: Any
        if opcode == TEXT:
            event = events.TextMessage(data=data.decode())
        elif opcode == BINARY:
            event = events.BytesMessage(data=data)
        elif opcode in (PING, PONG):
            if len(data) > 125:
                raise ValueError("a control frame carries at most 125 bytes")
            event = events.Ping(payload=data) if opcode == PING else events.Pong(payload=data)
        elif opcode == CLOSE:
            code = int.from_bytes(data[:2])
            if 1000 <= code <= 4999:  # no text begins with such a byte
                data = data[2:]
            else:
                code = 1000
            event = events.CloseConnection(code=code, reason=data.decode()[:123] or None)
        else:
            raise ValueError(f"no opcode to send: {opcode}")
        try:
            return self.connection.send(event)
        except LocalProtocolError as wrong:
            raise ValueError(str(wrong)) from None

    def _event(self, event: Any, happened: list[Any]) -> bytes:
        from wsproto import events

        if isinstance(event, events.Message):
            data = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
            self.message.append(data)
            self.size += len(data)
            if self.size > LONGEST_MESSAGE:
                happened += [CLOSED, b"a message of more than %d bytes" % LONGEST_MESSAGE]
                return self.connection.send(events.CloseConnection(code=1009))
            if event.message_finished:
                happened += [TEXT if isinstance(event.data, str) else BINARY, b"".join(self.message)]
                self.message, self.size = [], 0
        elif isinstance(event, events.AcceptConnection):
            happened += [READY, (event.subprotocol or "").encode()]
        elif isinstance(event, events.RejectConnection):
            happened += [REFUSED, b"HTTP status %d" % event.status_code]
        elif isinstance(event, events.Ping):
            return self.connection.send(event.response())
        elif isinstance(event, events.CloseConnection):
            happened += [CLOSED, (event.reason or "").encode()]
            return self._answer(event.response())
        return b""

    def _answer(self, event: Any) -> bytes:
        from wsproto.utilities import LocalProtocolError

        try:
            return self.connection.send(event)
        except LocalProtocolError:
            return b""  # this side closed first


def greet(host: str, target: str, subprotocols: Sequence[str] = ()) -> tuple[Client, bytes]:
    """A client, and the bytes with which it begins.  Raises :exc:`ValueError` for what no request can carry."""
    from h11 import LocalProtocolError
    from wsproto import ConnectionType, WSConnection
    from wsproto.events import Request

    connection = WSConnection(ConnectionType.CLIENT)
    try:
        data = connection.send(Request(host=host, target=target, subprotocols=list(subprotocols)))
    except LocalProtocolError as wrong:
        raise ValueError(str(wrong)) from None
    return Client(connection), data
