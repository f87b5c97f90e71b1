"""Accepted connections: the closure of the event that a service gets.  Manual: Listeners.

A service is a named eventer callback.  Its closure is a :class:`Connection`, which knows the socket, where it came from
and the listener's configuration; what is spoken on it, it does not know.
"""

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from runtime import eventer, trace

if TYPE_CHECKING:
    from ._listener import Listener

_reading, _writing = trace.call("eventer-read"), trace.call("eventer-write")
_closing: Final = trace.call("eventer-close")

_open: "dict[eventer.LoopThread, set[Connection]]" = {}


class Connection:
    """One accepted connection.

    Attributes: ``sock``, non-blocking; ``listener``; ``config``, the listener's; ``remote`` and ``local``, address and
    port (0 for a path); ``event``, whose owner is the connection's loop thread; ``cn``, the common name in the client's
    verified certificate or None; ``alpn``, what TLS agreed on; ``closure``, for the service."""

    __slots__ = (
        "__weakref__",
        "alpn",
        "closed",
        "closure",
        "cn",
        "config",
        "event",
        "listener",
        "local",
        "remote",
        "sock",
    )

    def __init__(self, sock: socket.socket, peer: Any, listener: "Listener") -> None:
        self.sock = sock
        self.listener = listener
        self.config: Mapping[str, str] = listener.config
        self.remote: tuple[str, int] = (peer[0], peer[1]) if isinstance(peer, tuple) else ("", 0)
        self.local = listener.local
        self.event: eventer.Event | None = None
        self.cn: str | None = None
        self.alpn: str | None = None
        self.closure: object = None
        self.closed = False

    def __repr__(self) -> str:
        return f"<Connection {self.remote[0]}:{self.remote[1]} of {self.listener!r}>"

    def opset(self) -> eventer.Opset:
        """The operations on the descriptor for the connection's event."""
        return _Operations(self)

    def recv(self, size: int) -> bytes | None:
        """Up to *size* bytes; empty at the end, None when nothing is there yet.  Raises OSError."""
        if _reading.heard[0] and self.event is not None:
            return eventer.told_read(self.event, size, self._recv)
        return self._recv(size)

    def send(self, data: bytes | memoryview) -> int:
        """Send what fits of *data* now; returns how many bytes that was.  Raises OSError."""
        if _writing.heard[0] and self.event is not None:
            return eventer.told_send(self.event, data, self._send)
        return self._send(data)

    def _recv(self, size: int) -> bytes | None:
        try:
            return self.sock.recv(size)
        except (BlockingIOError, InterruptedError):
            return None

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self.sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0

    def pending(self) -> bool:
        """Whether bytes wait that the descriptor does not tell of."""
        return False

    def attach(self, event: eventer.Event, owner: eventer.LoopThread) -> None:
        """Hand the connection with its *event* to *owner*; when that stops, the connection is closed.

        Raises :exc:`runtime.eventer.EventerError` when it has stopped already."""
        self.event = event
        event.opset = self.opset()
        event.owner = owner
        held = _open.get(owner)
        if held is None:
            held = _open.setdefault(owner, set())
            owner.on_stop(lambda: _close_all(owner))
        held.add(self)
        try:
            eventer.add(event)
        except eventer.EventerError:
            held.discard(self)
            raise

    def close(self) -> None:
        """Take the event off its loop and close the socket; on the connection's loop thread, any number of times."""
        if self.closed:
            return
        self.closed = True
        if self.event is not None:
            eventer.remove(self.event)
            if self.event.owner is not None:
                _open.get(self.event.owner, set()).discard(self)
        if _closing.heard[0] and self.event is not None:
            eventer.told_close(self.event.fd, self.event, self.sock.close)
        else:
            self.sock.close()


class _Operations(eventer.Opset):
    """Those of every descriptor, but for closing: the descriptor is the connection's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def close(self, fd: int) -> None:
        """Close the connection."""
        self._connection.close()

    def let_go(self) -> None:
        """Close it, and what its service holds: its client would wait for ever."""
        give_up(eventer.current(), self._connection)


def connections(thread: eventer.LoopThread) -> "list[Connection]":
    """The open connections that *thread* owns."""
    return list(_open.get(thread, ()))


def arriving() -> int:
    """How many connections there are on which nobody knows yet what is spoken."""
    everybody = [each for held in list(_open.values()) for each in list(held)]
    return sum(each.closure is None or getattr(each.closure, "arriving", False) for each in everybody)


def _close_all(owner: eventer.LoopThread) -> None:
    for connection in list(_open.pop(owner, ())):
        give_up(owner, connection)


def give_up(owner: eventer.LoopThread, connection: Connection) -> None:
    """Close *connection*, and what its service holds besides."""
    shut = getattr(connection.closure, "close", None)
    if callable(shut):
        owner.guarded(shut)
    connection.close()
