"""The bytes between a client and a broker of fq: what is sent, and readers of what comes, without I/O.

A client has two connections: one for commands and their answers, one for messages.  Numbers are big-endian; texts have
their length in front.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

COMMAND: Final = b"\xcc\x50\xca\xfe"
DATA: Final = b"\xcc\x50\xfa\xce"
PEER: Final = b"\xcc\x50\xfe\xed"
HEARTBEAT: Final = b"\xbe\xa7"
STATUS: Final = b"\xc7\xa7"
AUTH, BIND, UNBIND, HEARTBEATS = b"\xaa\xaa\x00\x00", b"\xb1\x70", b"\x07\x1b", b"\x48\x48"
PEERS, PERMANENT, TRANSIENT = 0x0001, 0x0110, 0x0100
"""What a binding is for: peers, or clients, kept or not."""
REFUSED: Final = 0xFFFFFFFF
"""The number of a binding that was refused."""
NO_ID: Final = bytes(16)
SHORT: Final = 127
"""Bytes of an exchange, route, user or program at most."""
LONG: Final = 65535
"""Bytes of a password at most."""
LARGEST: Final = 256 << 20
"""Bytes of a payload at most."""


class WireError(Exception):
    """The peer does not speak fq, or says what is wrong; the message is for people."""


class Message:
    """What a broker delivers."""

    __slots__ = ("exchange", "hops", "id", "payload", "route", "sender")

    def __init__(
        self, exchange: bytes, route: bytes, message_id: bytes, sender: bytes, hops: tuple[str, ...], payload: bytes
    ) -> None:
        self.exchange = exchange
        self.route = route
        self.id = message_id
        self.sender = sender
        self.hops = hops
        self.payload = payload

    def described(self) -> dict[str, Any]:
        """What hooks in Lua get of it: the payload is an argument of its own."""
        return {
            "exchange": self.exchange,
            "route": self.route,
            "id": self.id,
            "sender": self.sender,
            "hops": ",".join(self.hops),
        }


def auth(user: bytes, queue: bytes, password: bytes) -> bytes:
    """The words that begin the command connection; *queue* is ``NAME NUL TYPE[:PARAMETERS]``."""
    return COMMAND + AUTH + _long(user) + _long(queue) + _long(password)


def data(key: bytes, node: bytes | None = None) -> bytes:
    """The words that begin the data connection; *node*, 4 bytes, makes it that of a peer."""
    return (DATA if node is None else PEER + node) + _long(key)


def heartbeats(milliseconds: int) -> bytes:
    """Asks for heartbeats both ways."""
    return HEARTBEATS + struct.pack(">H", milliseconds)


def bind(exchange: bytes, program: bytes, flags: int = TRANSIENT) -> bytes:
    """Asks for what *program* matches of *exchange*."""
    return BIND + struct.pack(">H", flags) + _long(exchange) + _long(program)


def unbind(number: int, exchange: bytes) -> bytes:
    """Asks for no more of that."""
    return UNBIND + struct.pack(">I", number) + _long(exchange)


def message(exchange: bytes, route: bytes, payload: bytes, message_id: bytes = NO_ID) -> bytes:
    """A message as a client sends it.  Raises ValueError naming what is too long."""
    if len(exchange) > SHORT or len(route) > SHORT:
        which = "exchange" if len(exchange) > SHORT else "route"
        raise ValueError(f"{which}: expected at most {SHORT} bytes")
    size = len(payload)
    if size > LARGEST:
        raise ValueError(f"payload: expected at most {LARGEST} bytes, got {size}")
    return b"%c%b%c%b%b%b%b" % (
        len(exchange), exchange, len(route), route, message_id, size.to_bytes(4, "big"), payload,
    )  # fmt: skip


class Answers:
    """Reads the command connection, in pieces of any size."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, octets: bytes) -> Iterator[tuple[str, Any]]:
        """What is whole by now: ("key", bytes), ("heartbeat", None), ("bound", number), ("unbound", number) or
        ("status", {name: number}).

        Raises :exc:`WireError` for the broker's own errors, and what no broker says."""
        self._buffer += octets
        while len(self._buffer) >= 2:
            read = _ANSWERS.get(self._buffer[:2])
            if read is None:
                raise WireError(f"an unknown answer 0x{self._buffer[:2].hex()}")
            try:
                what, self._buffer = read(self._buffer)
            except IndexError:
                return  # more is to come
            yield what


class Deliveries:
    """Reads the data connection, in pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, octets: bytes) -> Iterator[Message]:
        """The messages that are whole by now.  Raises :exc:`WireError` for a payload that no broker delivers."""
        buffer = self._buffer
        buffer += octets
        at = 0
        try:
            while True:
                found, at = self._one(buffer, at)
                yield found
        except IndexError:
            del buffer[:at]

    def _one(self, buffer: bytearray, at: int) -> tuple[Message, int]:
        """The message at *at*, and where the next begins.  Raises IndexError when it is not whole."""
        end = at + 1 + buffer[at]
        exchange = bytes(buffer[at + 1 : end])
        at, end = end, end + 1 + buffer[end]
        route = bytes(buffer[at + 1 : end])
        message_id = bytes(buffer[end : end + 16])
        at = end + 16
        end = at + 1 + buffer[at]
        sender = bytes(buffer[at + 1 : end])
        hops = [bytes(buffer[start : start + 4]) for start in range(end + 1, end + 1 + 4 * buffer[end], 4)]
        at = end + 1 + 4 * buffer[end]
        size = int.from_bytes(buffer[at : at + 4], "big")
        if len(buffer) < at + 4:
            raise IndexError
        if size > LARGEST:
            raise WireError(f"a payload of {size} bytes")
        end = at + 4 + size
        if len(buffer) < end:
            raise IndexError
        shown = tuple(".".join(map(str, hop)) for hop in hops)
        return Message(exchange, route, message_id, sender, shown, bytes(buffer[at + 4 : end])), end


def _long(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text


def _text(buffer: bytes, at: int) -> tuple[bytes, int]:
    size = buffer[at] << 8 | buffer[at + 1]
    end = at + 2 + size
    if len(buffer) < end:
        raise IndexError
    return buffer[at + 2 : end], end


def _number(buffer: bytes, at: int) -> int:
    if len(buffer) < at + 4:
        raise IndexError
    return int.from_bytes(buffer[at : at + 4], "big")


def _key(buffer: bytes) -> tuple[tuple[str, Any], bytes]:
    key, end = _text(buffer, 2)
    return ("key", key), buffer[end:]


def _failure(buffer: bytes) -> tuple[tuple[str, Any], bytes]:
    text, _ = _text(buffer, 2)
    raise WireError(f"the broker says: {text.decode('utf-8', 'replace').strip()}")


def _heartbeat(buffer: bytes) -> tuple[tuple[str, Any], bytes]:
    return ("heartbeat", None), buffer[2:]


def _bound(buffer: bytes) -> tuple[tuple[str, Any], bytes]:
    return ("bound", _number(buffer, 2)), buffer[6:]


def _unbound(buffer: bytes) -> tuple[tuple[str, Any], bytes]:
    return ("unbound", _number(buffer, 2)), buffer[6:]


def _status(buffer: bytes) -> tuple[tuple[str, Any], bytes]:
    found: dict[str, int] = {}
    at = 2
    while True:
        name, at = _text(buffer, at)
        if not name:
            return ("status", found), buffer[at:]
        found[name.decode("latin-1")] = _number(buffer, at)
        at += 4


_ANSWERS: Mapping[bytes, Callable[[bytes], tuple[tuple[str, Any], bytes]]] = {
    b"\xaa\x00": _key,
    b"\xee\xee": _failure,
    HEARTBEAT: _heartbeat,
    b"\xb1\x71": _bound,
    b"\x17\x1b": _unbound,
    b"\x57\xa7": _status,
}
