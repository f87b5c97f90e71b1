"""A broker of fq for tests, to the bytes that fqd sends and takes (tests/data/fq): sessions, bindings, programs.

Every connection has a thread.  While ``reading`` is cleared no messages are read, as by a broker that is slow."""

import re
import secrets
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from launching import free_port

from runtime.modules.fq import wire

FIGURES = (
    "no_exchange", "no_route", "routed", "dropped", "size_dropped", "msgs_in", "msgs_out", "octets_in", "octets_out",
)  # fmt: skip
RECEIVED = 64 << 10
"""Bytes that the system takes for a connection, about, before somebody reads them."""
NODE = bytes((10, 0, 0, 1))
Matcher = Callable[[bytes, bytes], bool]


class ProgramError(Exception):
    """A program that no broker takes."""


TOKEN = re.compile(rb'\s*(?:("(?:[^"\\]|\\.)*")|(&&|\|\||[(),])|([A-Za-z_]\w*)|(-?\d+(?:\.\d+)?))')


def compile_program(program: bytes) -> Matcher:
    """What *program* matches, as a function of route and payload."""
    if len(program) > wire.SHORT:
        raise ProgramError("too long")
    start = re.match(rb'(prefix|exact):(?:"((?:[^"\\]|\\.)*)"|([A-Za-z0-9_.]+))', program)
    if start is None:
        raise ProgramError("neither prefix nor exact")
    quoted = start[2] if start[2] is not None else start[3]
    wanted = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), quoted)
    tokens = _tokens(program[start.end() :])
    rest: Matcher = _primary(tokens) if tokens else lambda route, payload: True
    if tokens:
        raise ProgramError("trailing text")
    exact = start[1] == b"exact"
    return lambda route, payload: (route == wanted if exact else route.startswith(wanted)) and rest(route, payload)


def _tokens(text: bytes) -> list[bytes]:
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise ProgramError("not a word")
        found.append(match[0].strip())
        at = match.end()
    return found


def _take(tokens: list[bytes], wanted: bytes | None = None) -> bytes:
    if not tokens or (wanted is not None and tokens[0] != wanted):
        raise ProgramError(f"expected {wanted!r}")
    return tokens.pop(0)


def _primary(tokens: list[bytes]) -> Matcher:
    if tokens and tokens[0] == b"(":
        tokens.pop(0)
        left = _primary(tokens)
        operator = _take(tokens)
        right = _primary(tokens)
        _take(tokens, b")")
        if operator == b"&&":
            return lambda route, payload: left(route, payload) and right(route, payload)
        if operator == b"||":
            return lambda route, payload: left(route, payload) or right(route, payload)
        raise ProgramError("not an operator")
    return _call(tokens)


def _call(tokens: list[bytes]) -> Matcher:
    name = _take(tokens)
    _take(tokens, b"(")
    arguments: list[bytes] = []
    while tokens and tokens[0] != b")":
        arguments.append(_take(tokens))
        if tokens and tokens[0] == b",":
            tokens.pop(0)
            if tokens and tokens[0] == b")":
                raise ProgramError("an argument is missing")
    _take(tokens, b")")
    if name == b"true" and not arguments:
        return lambda route, payload: True
    if name == b"sample" and len(arguments) == 1 and arguments[0][:1] != b'"':
        share = float(arguments[0])
        return lambda route, payload: secrets.randbelow(1000) < share * 1000
    tests: dict[bytes, Callable[[bytes], Matcher]] = {
        b"route_contains": lambda text: lambda route, payload: text in route,
        b"payload_prefix": lambda text: lambda route, payload: payload.startswith(text),
        b"payload_contains": lambda text: lambda route, payload: text in payload,
    }
    if name not in tests or len(arguments) != 1 or arguments[0][:1] != b'"' or len(arguments[0]) < 3:
        raise ProgramError("no such function")
    return tests[name](arguments[0][1:-1])


@dataclass
class Session:
    """A client: its two connections."""

    user: bytes
    queue: bytes
    key: bytes
    command: socket.socket
    data: socket.socket | None = None
    address: bytes = b"\x7f\0\0\1"
    counts: "Counter[str]" = field(default_factory=Counter)


class Broker:
    """Listens on a port of its own, or *port*; clients must know *password* where there is one."""

    def __init__(self, port: int = 0, password: bytes | None = None) -> None:
        self.password = password
        self.sessions: dict[bytes, Session] = {}
        self.bindings: dict[int, tuple[bytes, Matcher, bytes]] = {}
        self.published: list[tuple[bytes, bytes, bytes]] = []  # exchange, route, payload
        self.commands: list[bytes] = []
        self.peers: list[bytes] = []  # nodes
        self.changed = threading.Condition()
        self.reading = threading.Event()
        self.reading.set()
        self.hasty = 0  # data connections that are closed, as by a broker that has only just let their client in
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", port or free_port()))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED)
        self.port: int = self._listener.getsockname()[1]
        self._thread(self._accept)

    def __enter__(self) -> "Broker":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Gone, with all connections."""
        self.reading.set()
        for each in (self._listener, *self._sockets):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def wait(self, condition: Callable[[], bool], patience: float = 60.0) -> None:
        """Wait for what clients bring about."""
        with self.changed:
            assert self.changed.wait_for(condition, patience), (len(self.published), self.published[-3:])

    def deliver(self, exchange: bytes, route: bytes, payload: bytes, sender: bytes = b"test") -> None:
        """Publish as somebody else."""
        self._route(exchange, route, bytes(16), payload, sender, bytes((127, 0, 0, 1)))

    def _thread(self, function: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=self._quietly, args=(function, *arguments), daemon=True).start()

    def _quietly(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            function(*arguments)
        except (OSError, EOFError, ValueError):
            pass
        finally:
            if arguments and isinstance(arguments[0], socket.socket):
                arguments[0].close()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            self._sockets.append(sock)
            self._thread(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        take = _Reader(sock)
        mode = take(4)
        if mode == wire.COMMAND:
            self._command(sock, take)
        elif mode in (wire.DATA, wire.PEER) and self.hasty:
            self.hasty -= 1
        elif mode in (wire.DATA, wire.PEER):
            if mode == wire.PEER:
                self.peers.append(take(4))
            self._data(sock, take)

    def _refuse(self, sock: socket.socket, text: bytes) -> None:
        sock.sendall(b"\xee\xee" + struct.pack(">H", len(text)) + text)

    def _command(self, sock: socket.socket, take: "_Reader") -> None:
        if take(2) != b"\xaa\xaa":
            return self._refuse(sock, b"auth command expected")
        if take(2) != b"\0\0":
            return self._refuse(sock, b"unsupported auth method")
        user, queue, password = take.text(), take.text(), take.text()
        if len(user) > wire.SHORT:
            return self._refuse(sock, b"user name is too long")
        if self.password is not None and password != self.password:
            return self._refuse(sock, b"access denied")
        session = Session(user, queue, secrets.token_bytes(127), sock)
        self.sessions[session.key] = session
        sock.sendall(b"\xaa\x00" + struct.pack(">H", 127) + session.key + wire.HEARTBEAT)
        try:
            while True:
                self._one(sock, take, session)
        finally:
            with self.changed:
                self.sessions.pop(session.key, None)
                self.changed.notify_all()
            self.bindings = {each: found for each, found in self.bindings.items() if found[2] != session.key}
        return None

    def _one(self, sock: socket.socket, take: "_Reader", session: Session) -> None:
        word = take(2)
        with self.changed:
            self.commands.append(word)
            self.changed.notify_all()
        if word == wire.HEARTBEATS:
            take(2)
        elif word == wire.HEARTBEAT:
            sock.sendall(wire.HEARTBEAT)
        elif word == wire.STATUS:
            names = ["dropped_in"]
            if session.data is not None:
                names += FIGURES
            figures = [struct.pack(">H", len(n)) + n.encode() + struct.pack(">I", session.counts[n]) for n in names]
            sock.sendall(b"\x57\xa7" + b"".join(figures) + b"\0\0")
        elif word == wire.BIND:
            take(2)
            exchange, program = take.text(), take.text()
            number = max(self.bindings, default=0) + 1
            try:
                self.bindings[number] = (exchange, compile_program(program), session.key)
            except ProgramError:
                number = wire.REFUSED
            sock.sendall(b"\xb1\x71" + struct.pack(">I", number))
            with self.changed:
                self.changed.notify_all()
        elif word == wire.UNBIND:
            number = struct.unpack(">I", take(4))[0]
            found = self.bindings.get(number)
            known = take.text() == (found[0] if found else None)
            if known:
                del self.bindings[number]
            sock.sendall(b"\x17\x1b" + struct.pack(">I", number if known else wire.REFUSED))

    def _data(self, sock: socket.socket, take: "_Reader") -> None:
        session = self.sessions.get(take.text())
        if session is None or session.data is not None:
            return
        session.data = sock
        while True:
            self.reading.wait()
            exchange, route = take(take(1)[0]), take(take(1)[0])
            message_id = take(16)
            payload = take(struct.unpack(">I", take(4))[0])
            session.counts["msgs_in"] += 1
            self._route(exchange, route, message_id, payload, session.user, session.address)

    def _route(
        self, exchange: bytes, route: bytes, message_id: bytes, payload: bytes, sender: bytes, address: bytes
    ) -> None:
        for bound, matches, key in list(self.bindings.values()):
            reader = self.sessions.get(key)
            if reader is not None and reader.data is not None and bound == exchange and matches(route, payload):
                reader.counts["msgs_out"] += 1
                reader.data.sendall(
                    b"%c%b%c%b%b%c%b\x02%b%b%b"
                    % (
                        len(exchange), exchange, len(route), route, message_id, len(sender), sender, NODE, address,
                        struct.pack(">I", len(payload)) + payload,
                    )
                )  # fmt: skip
        with self.changed:
            self.published.append((exchange, route, payload))
            self.changed.notify_all()


class _Reader:
    """Exactly so many bytes of a socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._file = sock.makefile("rb")

    def __call__(self, size: int) -> bytes:
        found = self._file.read(size)
        if len(found) < size:
            raise EOFError
        return found

    def text(self) -> bytes:
        return self(struct.unpack(">H", self(2))[0])
