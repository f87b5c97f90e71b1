"""The listening side: the command ``REVE`` of ``control_dispatch``, its handshake, and proxies for who asks for them.

``REVERSE /ID``, an HTTP word behind it or not, header lines, an empty line; no answer.  What cannot be let in is
closed without a byte.  Manual: Reverse Connections."""

import ipaddress
import socket
from collections.abc import Callable

from runtime import eventer
from runtime.eventer import EXCEPTION, READ, Event

from .._commands import may
from .._connection import Connection
from .._listener import EXHAUSTED, PAUSE
from ._registry import forget, register
from ._settings import setting
from ._tunnel import BUFFER, Tunnel, errors

MOST = 4096
"""Bytes of a handshake."""
TIMEOUT = 5.0
"""Seconds for a handshake."""
BACKLOG = 64

Acl = Callable[[str, Connection], bool]

_acls: dict[str, Acl] = {}


def register_acl(name: str, acl: Acl) -> None:
    """Have ``acl(id, connection)`` asked for every reverse connection; False refuses it.  *name* replaces an earlier
    one.

    Manual: ``mtev_reverse_socket_acl``."""
    _acls[name] = acl


def unregister_acl(name: str) -> bool:
    """Ask it no more; False when there was none of that name."""
    return _acls.pop(name, None) is not None


def require_common_name(prefix: str) -> Acl:
    """What refuses ids that begin with *prefix* unless the common name in the client's certificate follows."""

    def acl(tunnel_id: str, connection: Connection) -> bool:
        return not tunnel_id.startswith(prefix) or tunnel_id == f"{prefix}{connection.cn}"

    return acl


class _Handshake:
    """The words before the first frame."""

    def __init__(self, connection: Connection) -> None:
        assert connection.event is not None
        self.connection = connection
        self.received = b""
        event = connection.event
        event.callback, event.closure = self.ready, self
        self._deadline = eventer.add_in(self._late, None, TIMEOUT)
        if connection.pending():  # the descriptor does not tell of what TLS has read already
            eventer.current().post(eventer.trigger, event, READ)

    def ready(self, event: Event, _mask: int, _closure: object, _now: float) -> int:
        """Bytes came."""
        connection = self.connection
        try:
            received = connection.recv(MOST + 1 - len(self.received))
        except OSError:
            received = b""
        if received is None:
            return READ | EXCEPTION
        self.received += received
        head, end, rest = _parted(self.received)
        if not end and received and len(self.received) <= MOST:
            return READ | EXCEPTION
        eventer.remove(self._deadline)
        tunnel = self._admitted(event, head) if end and len(head) <= MOST else None
        if tunnel is None:
            connection.close()
            return 0
        return tunnel.begin(rest)

    def _late(self, _event: Event, _mask: int, _closure: object, _now: float) -> int:
        self.connection.close()
        return 0

    def _admitted(self, event: Event, head: bytes) -> Tunnel | None:
        first, *lines = head.decode("latin-1").splitlines()
        words = first.split()
        if len(words) < 2 or words[0] != "RSE" or not words[1].startswith("/"):  # the command took REVE
            self._refused("it does not say REVERSE /ID")
            return None
        named = words[1][1:]
        if not may(self.connection, f"/reverse/{named}"):
            self._refused(f"access control denies /reverse/{named}")
            return None
        for name, acl in list(_acls.items()):
            if not acl(named, self.connection):
                self._refused(f"'{named}' is not allowed ({name})")
                return None
        buffer = setting(self.connection.config, "reverse_buffer", BUFFER, 1, 1 << 30)
        tunnel = Tunnel(named.partition("#")[0], self.connection, event, closed=forget, buffer=buffer)
        self.connection.closure = tunnel
        for line in lines:
            key, _, value = line.partition(":")
            if key.strip().lower() == "x-bind":
                _bind(tunnel, value.split())
        if not register(tunnel):
            self._refused(f"there is a '{tunnel.id}' already")
            tunnel.close()
            return None
        return tunnel

    def _refused(self, why: str) -> None:
        errors.log(f"reverse connection from {self.connection.remote[0]} refused: {why}\n")


def _parted(received: bytes) -> tuple[bytes, bytes, bytes]:
    """What is before the empty line, that line, and what is behind it."""
    found = [(place, end) for end in (b"\r\n\r\n", b"\n\n") if (place := received.find(end)) >= 0]
    if not found:
        return received, b"", b""
    place, end = min(found)
    return received[:place], end, received[place + len(end) :]


class Proxy:
    """A port whose clients are channels of *tunnel*."""

    def __init__(self, tunnel: Tunnel, address: str, port: int) -> None:
        """Raises OSError when it cannot be bound."""
        self.tunnel = tunnel
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            self.sock.setblocking(False)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self.sock.bind((address, port))
            self.sock.listen(BACKLOG)
        except OSError:
            self.sock.close()
            raise
        self.address, self.port = self.sock.getsockname()[:2]
        self._complained = False
        self._event = eventer.alloc_fd(self._ready, None, self.sock.fileno(), READ)
        eventer.set_owner(self._event, tunnel.owner)
        eventer.add(self._event)

    def _ready(self, _event: Event, _mask: int, _closure: object, _now: float) -> int:
        try:
            client, _ = self.sock.accept()
        except (BlockingIOError, ConnectionError, InterruptedError):
            return READ
        except OSError as failure:
            if not self._complained:
                errors.log(f"reverse connection {self.tunnel.id}: port {self.port}: {failure.strerror}\n")
            self._complained = True
            if failure.errno not in EXHAUSTED:
                return READ
            eventer.add_in(self._resume, None, PAUSE)  # the client still waits: it would be told of again at once
            return 0
        self._complained = False
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tunnel.adopt(client)
        return READ

    def _resume(self, *_: object) -> int:
        if self.sock.fileno() >= 0:
            eventer.add(self._event)
        return 0

    def close(self) -> None:
        """Take no more."""
        eventer.remove(self._event)
        self.sock.close()


def _bind(tunnel: Tunnel, asked: list[str]) -> None:
    """Open what ``X-Bind`` asks for: an address and a port, or ``*`` for both families on free ports."""
    try:
        wanted = [("0.0.0.0", 0), ("::", 0)] if asked == ["*"] else [_place(*asked)]
    except (TypeError, ValueError):
        what = f"X-Bind: {' '.join(asked)}"
        errors.log(f"reverse connection {tunnel.id}: {what!r}: expected an IP address and a port up to 65535, or *\n")
        return
    for address, port in wanted:
        try:
            tunnel.proxies["ipv6" if ":" in address else "ipv4"] = Proxy(tunnel, address, port)
        except OSError as failure:
            errors.log(f"reverse connection {tunnel.id}: cannot listen on {address} port {port}: {failure.strerror}\n")


def _place(address: str, port: str) -> tuple[str, int]:
    if not port.isdecimal() or int(port) > 65535:
        raise ValueError(port)
    return str(ipaddress.ip_address(address)), int(port)


def accept(connection: Connection) -> None:
    """The command ``REVE``: takes *connection* over."""
    _Handshake(connection)


register_acl("common name", require_common_name("mtev/"))
