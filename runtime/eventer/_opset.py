"""Operation sets: how the descriptor of an event is accepted on, read, written and closed.

An operation that cannot go on returns the mask that it waits for, as the callback's return value may be.  That mask is
not always the obvious one: TLS may have to write before it can read.  Manual: Operations on the file descriptor.
"""

import os
import socket
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, Final

from runtime import log, trace

from ._callbacks import name_for_callback
from ._errors import EventerError
from ._event import EXCEPTION, READ, WRITE, Event
from ._events import remove
from ._thread import start_thread

_errors: Final = log.facility("error/eventer")
_accepting, _reading = trace.call("eventer-accept"), trace.call("eventer-read")
_writing, _closing = trace.call("eventer-write"), trace.call("eventer-close")

if TYPE_CHECKING:
    import ssl


class Opset:
    """The POSIX operations on a non-blocking descriptor.  One object serves every event."""

    name = "POSIX"

    def let_go(self) -> None:
        """The callback of the event failed, and nobody waits for its descriptor any more: whoever knows to whom that
        belongs may close it.  Called on the event's loop."""

    def accept(self, fd: int) -> tuple[int, Any] | int:
        """A connection waiting on *fd*: its non-blocking descriptor and the peer's address; or a mask."""
        listening = socket.socket(fileno=fd)
        try:
            accepted, peer = listening.accept()
        except BlockingIOError:
            return READ | EXCEPTION
        finally:
            listening.detach()
        accepted.setblocking(False)
        return accepted.detach(), peer

    def read(self, fd: int, size: int) -> bytes | int:
        """Up to *size* bytes, empty at the end; or a mask."""
        try:
            return os.read(fd, size)
        except BlockingIOError:
            return READ | EXCEPTION

    def write(self, fd: int, data: "bytes | memoryview") -> tuple[int] | int:
        """How many bytes of *data* were written, as a tuple of one; or a mask."""
        try:
            return (os.write(fd, data),)
        except BlockingIOError:
            return WRITE | EXCEPTION

    def close(self, fd: int) -> None:
        """Close *fd*."""
        os.close(fd)


class TlsOpset(Opset):
    """The same through TLS.  One object an event: it owns *sock*, a non-blocking one with its descriptor."""

    name = "SSL"

    def __init__(self, sock: "ssl.SSLSocket") -> None:
        from runtime.tls import WANTS, wanted  # here: the module ssl is slow to import

        self.sock = sock
        self._wants, self._wanted = WANTS, wanted

    def accept(self, fd: int) -> int | tuple[int, Any]:
        """Go on with the handshake: ``(-1, None)`` when it is done; or a mask."""
        try:
            self.sock.do_handshake()
        except self._wants as want:
            return self._wanted(want) | EXCEPTION
        return -1, None

    def read(self, fd: int, size: int) -> bytes | int:
        """Up to *size* bytes, empty at the end, which a peer that just vanishes is too; or a mask."""
        try:
            return self.sock.recv(size)
        except self._wants as want:
            return self._wanted(want) | EXCEPTION

    def write(self, fd: int, data: "bytes | memoryview") -> tuple[int] | int:
        """How many bytes of *data* were taken, as a tuple of one; or a mask."""
        try:
            return (self.sock.send(data),)
        except self._wants as want:
            return self._wanted(want) | EXCEPTION

    def close(self, fd: int) -> None:
        """Close the socket, without a farewell that might block."""
        self.sock.close()


POSIX = Opset()


def opset(event: Event) -> Opset:
    """The operation set of *event*.  Raises :exc:`EventerError` when it has no descriptor."""
    if event.fd < 0:
        raise EventerError(f"{event!r} has no descriptor")
    return event.opset or POSIX


def accept(event: Event) -> tuple[int, Any] | int:
    """Accept on the descriptor of *event*: the new descriptor and the peer's address, or the mask to wait for.

    With TLS it is the handshake that goes on, and the descriptor is -1.  Raises OSError.
    Manual: ``eventer_accept``."""
    operations = opset(event)
    if _accepting.heard[0]:
        from ._told import told_accept

        accepted: tuple[int, Any] | int = told_accept(event.fd, event.closure, lambda: operations.accept(event.fd))
        return accepted
    return operations.accept(event.fd)


def read(event: Event, size: int) -> bytes | int:
    """Read up to *size* bytes, empty at the end; or the mask to wait for.

    Raises OSError.  Manual: ``eventer_read``."""
    operations = opset(event)
    if _reading.heard[0]:
        from ._told import told_read

        return told_read(event, size, lambda size: operations.read(event.fd, size))
    return operations.read(event.fd, size)


def write(event: Event, data: "bytes | memoryview") -> tuple[int] | int:
    """Write some of *data*: how many bytes, as a tuple of one; or the mask to wait for.

    Raises OSError.  Manual: ``eventer_write``."""
    operations = opset(event)
    if _writing.heard[0]:
        from ._told import told_write

        return told_write(event, data, lambda data: operations.write(event.fd, data))
    return operations.write(event.fd, data)


def close(event: Event) -> None:
    """Remove *event* and close its descriptor, on the owner's thread.  Raises OSError.  Manual: ``eventer_close``."""
    operations = opset(event)
    remove(event)
    fd, event.fd = event.fd, -1
    if _closing.heard[0]:
        from ._told import told_close

        told_close(fd, event, lambda: operations.close(fd))
    else:
        operations.close(fd)


def run_in_thread(event: Event, mask: int) -> threading.Thread:
    """Take *event* off its loop, let its descriptor block, and call the callback on a thread until it returns 0.

    The first call gets *mask*, each other what the one before returned.  For use in the callback, or before the event
    is added.  Returns the thread, a daemon.  Raises :exc:`EventerError` without a descriptor.
    Manual: ``eventer_run_in_thread``."""
    opset(event)
    remove(event)
    os.set_blocking(event.fd, True)
    thread = threading.Thread(target=_run, args=(event, mask), name=f"x:{event.fd}", daemon=True)
    start_thread(thread)
    return thread


def _run(event: Event, mask: int) -> None:
    try:
        while mask:
            mask = event.callback(event, mask, event.closure, time.time()) or 0
    except Exception:
        name = name_for_callback(event.callback, event)
        _errors.log(f"callback {name} failed on a thread of its own\n{traceback.format_exc()}")
