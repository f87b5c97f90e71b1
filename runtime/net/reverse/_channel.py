"""A channel: one stream over the connection, and the socket that it leads to here."""

import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from runtime import eventer, trace
from runtime.eventer import EXCEPTION, READ, WRITE, Event

from .frames import LONGEST

if TYPE_CHECKING:
    from ._tunnel import Tunnel


_reading, _writing = trace.call("eventer-read"), trace.call("eventer-write")
_closing: Final = trace.call("eventer-close")


class Channel:
    """The end of *sock*, non-blocking, that is ours; it belongs to the tunnel's loop thread.

    What comes for it and its reader does not take is kept: ``size`` bytes now.  ``taken`` counts what the reader
    took, and ``moved`` is when it last did; ``used`` is when anything came or went (steady seconds)."""

    def __init__(self, tunnel: "Tunnel", number: int, sock: socket.socket, connecting: bool = False) -> None:
        self.tunnel = tunnel
        self.number = number
        self.sock = sock
        self.began = time.monotonic()
        self.in_bytes = self.in_frames = self.out_bytes = self.out_frames = 0
        self.fd = sock.fileno()
        self._connecting = connecting
        self._waiting: deque[bytes] = deque()
        self.size = 0
        self.taken = 0
        self.used = self.moved = self.began
        self._paused = False
        self._draining = False
        self._event: Event | None = eventer.alloc_fd(self._ready, None, self.fd, self._mask())
        eventer.set_owner(self._event, eventer.current())
        eventer.add(self._event)

    def __repr__(self) -> str:
        return f"<Channel {self.number} of {self.tunnel.id}>"

    def deliver(self, content: bytes) -> None:
        """Hand *content* to the local side, now or when it takes it."""
        if not content:
            return
        self.used = time.monotonic()
        sent = 0
        if not self._waiting and not self._connecting:
            try:
                sent = self._send(content)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError:
                self.tunnel.lost(self)
                return
            self.taken += sent
            self.moved = self.used
            if sent == len(content):
                return
        self._waiting.append(content[sent:] if sent else content)
        self._weigh(len(content) - sent)
        self._rearm()

    def finish(self) -> None:
        """The other side is done: what waits is delivered, then the local side sees the end."""
        if not self._waiting and not self._connecting:
            self.close()
        else:
            self._draining = True
            self._rearm()

    def close(self, abort: bool = False) -> None:
        """Close the socket; *abort*: the local side sees a reset where there is such a thing."""
        if self._event is None:
            return
        event, self._event = self._event, None
        eventer.remove(event)
        self._weigh(-self.size)
        self._waiting.clear()
        if abort:
            try:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))
            except OSError:
                pass  # it closes as it can
        if _closing.heard[0]:
            eventer.told_close(self.fd, event, self.sock.close)
        else:
            self.sock.close()

    def pause(self) -> None:
        """Read no more from the local side until :meth:`resume`."""
        self._paused = True
        self._rearm()

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        self._rearm()

    def _mask(self) -> int:
        mask = EXCEPTION
        if not self._paused and not self._draining and not self._connecting:
            mask |= READ
        if self._waiting or self._connecting:
            mask |= WRITE
        return mask

    def _rearm(self) -> None:
        if self._event is not None and self._event.active and self._event.mask != self._mask():
            eventer.update(self._event, self._mask())

    def _ready(self, _event: Event, mask: int, _closure: object, _now: float) -> int:
        if self._connecting and not self._connected():
            return 0
        if mask & WRITE and self._waiting and not self._flush():
            return 0
        if mask & (READ | EXCEPTION) and not self._paused and not self._draining and not self._read():
            return 0
        return self._mask() if self._event is not None else 0

    def _connected(self) -> bool:
        if self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.tunnel.lost(self)
            return False
        self._connecting = False
        if self._draining and not self._waiting:
            self.close()
            return False
        return True

    def _flush(self) -> bool:
        """Send what waits; False when the channel ended by it."""
        waiting = self._waiting
        before = self.taken
        try:
            while waiting:
                sent = self._send(waiting[0])
                self.taken += sent
                if sent < len(waiting[0]):
                    waiting[0] = waiting[0][sent:]
                    break
                waiting.popleft()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.tunnel.lost(self)
            return False
        if self.taken > before:
            self.moved = time.monotonic()
            self._weigh(before - self.taken)
        if self._draining and not waiting:
            self.close()
            return False
        return True

    def _read(self) -> bool:
        """Take what the local side sent; False when the channel ended by it."""
        try:
            content = self._recv()
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            self.tunnel.lost(self)
            return False
        if not content:
            self.tunnel.ended(self)
            return False
        self.used = time.monotonic()
        self.out_bytes += len(content)
        self.out_frames += 1
        self.tunnel.send_data(self.number, content)
        return True

    def _recv(self) -> bytes:
        if _reading.heard[0] and self._event is not None:
            told: Callable[..., bytes] = eventer.told_read
            return told(self._event, LONGEST, self.sock.recv)
        return self.sock.recv(LONGEST)

    def _send(self, content: bytes) -> int:
        if _writing.heard[0] and self._event is not None:
            return eventer.told_send(self._event, content, self.sock.send)
        return self.sock.send(content)

    def _weigh(self, change: int) -> None:
        self.size += change
        self.tunnel.weigh(self, change)
