"""A TCP connection that a client opens on its loop: what is to be sent and cannot yet is kept, and nothing waits."""

import errno
import fcntl
import os
import socket
import sys
import termios
from collections.abc import Callable
from typing import Any

from runtime.eventer import LoopThread

READABLE, WRITABLE = 1, 2
PIECE = 256 << 10
"""Bytes read at a time."""


class Link:
    """On *thread*, where it is made and everything is called.

    *received* gets what comes, *writable* is called once open and whenever there is room again, and *closed*, once,
    with the reason when the peer or the network ends it."""

    def __init__(
        self,
        thread: LoopThread,
        family: int,
        address: Any,
        *,
        received: Callable[[bytes], object],
        writable: Callable[[], object],
        closed: Callable[[str], object],
    ) -> None:
        self._received = received
        self._writable = writable
        self._closed = closed
        self._out = b""
        self._opened = False
        self._left = 0
        self._sock = socket.socket(family, socket.SOCK_STREAM)
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = self._sock.connect_ex(address)
        self._read = thread.watch(self._sock.fileno(), READABLE, self.read)
        self._read.stop()  # until it is open
        self._write = thread.watch(self._sock.fileno(), WRITABLE, self._on_writable)
        self._guarded = thread.guarded
        if number and number not in _UNDER_WAY:
            thread.soon(self._fail, os.strerror(number))

    def send(self, octets: bytes) -> None:
        """Send all of *octets*, now or later, in order."""
        self._out += octets
        if self._opened:
            self._drain()

    def write(self, octets: bytes) -> int:
        """How many of *octets* could be sent now; if not all, ``writable`` is called once there is room."""
        if not self._opened or self._out:
            return 0
        sent = self._send(octets)
        if sent < len(octets) and self._sock.fileno() >= 0:
            self._write.start(self._guarded, self._on_writable)
        return sent

    def pause(self) -> None:
        """Read no more until :meth:`resume`."""
        self._read.stop()

    def resume(self) -> None:
        """Read on."""
        if self._sock.fileno() >= 0 and not self._read.active:
            self._read.start(self._guarded, self.read)

    def read(self) -> None:
        """Take what is there, if anything is."""
        try:
            octets = self._sock.recv(PIECE)
        except BlockingIOError:
            return
        except OSError as failure:
            self._fail(failure.strerror or str(failure))
            return
        if octets:
            self._received(octets)
        else:
            self._fail("closed by the broker")

    def unacknowledged(self) -> int:
        """How many of the bytes written last have not reached the broker's system, as far as is known here; after the
        end of the connection: had not."""
        return self._left if self._sock.fileno() < 0 else _unacknowledged(self._sock)

    def close(self) -> None:
        """End it; ``closed`` is not called."""
        if self._sock.fileno() >= 0:
            self._left = _unacknowledged(self._sock)
            for watcher in (self._read, self._write):
                watcher.stop()
                watcher.close()
            self._sock.close()

    def _on_writable(self) -> None:
        self._write.stop()
        if not self._opened:
            number = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                self._fail(os.strerror(number))
                return
            self._opened = True
            self.resume()
        self._drain()
        if not self._out and self._sock.fileno() >= 0:
            self._writable()

    def _drain(self) -> None:
        if self._out:
            self._out = self._out[self._send(self._out) :]
            if self._out and self._sock.fileno() >= 0:
                self._write.start(self._guarded, self._on_writable)

    def _send(self, octets: bytes) -> int:
        try:
            return self._sock.send(octets)
        except BlockingIOError:
            return 0
        except OSError as failure:
            self._fail(failure.strerror or str(failure))
            return 0

    def _fail(self, why: str) -> None:
        if self._sock.fileno() >= 0:
            self.close()
            self._closed(why)


def _unacknowledged(sock: socket.socket) -> int:
    if sys.platform == "darwin":
        return sock.getsockopt(socket.SOL_SOCKET, _SO_NWRITE)
    return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)  # SIOCOUTQ, tcp(7)


_SO_NWRITE = 0x1024  # of macOS, which Python has no name for

_UNDER_WAY = (errno.EINPROGRESS, errno.EAGAIN)
