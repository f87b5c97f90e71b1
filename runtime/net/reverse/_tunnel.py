"""A reverse connection that is up: frames between one carrier and many channels.  Manual: Reverse Connections.

The side that listened opens channels; the side that dialled connects each to a service of its own.  Both are this
class, and differ in what a CONNECT means."""

import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from runtime import eventer, log, stats
from runtime.eventer import EXCEPTION, READ, WRITE, Event, LoopThread

from . import frames
from ._channel import Channel
from .frames import CLOSE, CONNECT, RESET, SHUTDOWN, FrameError

BUFFER = 1 << 20
"""Bytes that a channel keeps for a local side that does not take them, and what one read brings."""
ALL_BUFFERS = 16 << 20
"""Bytes that all channels keep together."""
TIMEOUT = 0.5
"""Seconds for which the carrier is not read at the most, when a channel keeps too much, or all together."""
STUCK = 10.0
"""Seconds after which a reader that takes nothing is given up, when all channels together keep too much."""
HIGH, LOW = 1 << 20, 1 << 18
"""Bytes for a carrier that does not take them: from HIGH on local sides are not read, from LOW on they are again."""
PIECE = 1 << 16
"""Bytes read from the carrier at once."""
RECORD = 1 << 14
"""Bytes that a read through TLS gives at the most: with less, there was no more."""
JOINED = 1 << 14
"""Bytes up to which small frames are sent as one."""
RECENT = 1.0
"""Seconds for which a channel counts as in use."""

errors: Final = log.facility("error/reverse")
_debug: Final = log.facility("debug/reverse")


class Carrier(Protocol):
    """What carries the frames, such as a :class:`runtime.net.Connection`."""

    def recv(self, size: int) -> bytes | None:
        """Up to *size* bytes; empty at the end, None when nothing is there yet.  Raises OSError."""

    def send(self, data: bytes | memoryview) -> int:
        """Send what fits; returns how many bytes that was.  Raises OSError."""

    def pending(self) -> bool:
        """Whether bytes wait that the descriptor does not tell of."""

    def close(self) -> None:
        """Close it; any number of times."""


class Tunnel:
    """One reverse connection on its loop thread, from the handshake on.

    Attributes: ``id``; ``fd``, of the carrier; ``began``, steady seconds; ``in_bytes``, ``in_frames``, ``out_bytes``,
    ``out_frames``, of data and commands, without heads; ``channels`` by number; ``slow``, channels cut off because of
    their readers; ``proxies``, addresses that clients of channels connect to.

    *connect* gives, on the side that dialled, a socket that is connecting to the local service; None on the other.
    *closed* is called once, when it is over."""

    def __init__(
        self,
        tunnel_id: str,
        carrier: Carrier,
        event: Event,
        *,
        connect: Callable[[], socket.socket] | None = None,
        closed: Callable[["Tunnel"], object] = lambda tunnel: None,
        buffer: int = BUFFER,
    ) -> None:
        self.id = tunnel_id
        self.fd = event.fd
        self.began = time.monotonic()
        self.in_bytes = self.in_frames = self.out_bytes = self.out_frames = 0
        self.channels: dict[int, Channel] = {}
        self.slow = 0
        self.proxies: dict[str, Any] = {}
        self.buffer = buffer
        self.open = True
        assert event.owner is not None
        self.owner: LoopThread = event.owner
        self._carrier = carrier
        self._event = event
        self._connect = connect
        self._closed = closed
        self._reader = frames.Reader()
        self._out: deque[bytes] = deque()
        self._out_size = 0
        self._last_number = 0
        self._kept = 0
        self._full: set[Channel] = set()
        self._held: dict[Channel, int] = {}
        self._holding = False
        self._paused = False
        self._flushing = False
        self._lingering: set[Channel] = set()
        event.callback, event.closure = self.ready, self

    def __repr__(self) -> str:
        return f"<Tunnel {self.id}>"

    def begin(self, received: bytes) -> int:
        """Go on behind the handshake, of which *received* came along; the next mask."""
        if received:
            self._take(received)
        return self._read()

    def ready(self, _event: Event, mask: int, _closure: object, _now: float) -> int:
        """The carrier's descriptor is ready."""
        if mask & WRITE:
            self._flush()
        if mask & (READ | EXCEPTION) and self.open:
            return self._read()
        return self._mask()

    def connect(self) -> socket.socket:
        """A new channel, as a connected local socket, from any thread; the other side's service is behind it.

        Raises :exc:`ConnectionError` when the connection is over."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        if not self.open or not self.owner.post(self.adopt, ours):
            ours.close()
            theirs.close()
            raise ConnectionError(f"the reverse connection {self.id} is over")
        return theirs

    def adopt(self, sock: socket.socket) -> None:
        """Make *sock*, non-blocking, a channel; on the loop.  It is closed when there is no number left."""
        number = self._free_number() if self.open else None
        if number is None:
            sock.close()
            return
        self._send(frames.command(number, CONNECT), len(CONNECT))
        self._add(Channel(self, number, sock))

    def _add(self, channel: Channel) -> None:
        """*channel* is open: its local side is read, unless the carrier is behind."""
        self.channels[channel.number] = channel
        if self._paused:
            channel.pause()

    def send_data(self, number: int, content: bytes) -> None:
        """Send *content* of channel *number*."""
        self._send(frames.data(number, content), len(content))

    def ended(self, channel: Channel) -> None:
        """The local side of *channel* has ended."""
        self._drop(channel, SHUTDOWN)

    def lost(self, channel: Channel) -> None:
        """The local side of *channel* failed."""
        self._drop(channel, RESET)

    def cut(self, channel: Channel) -> None:
        """The reader of *channel* does not read."""
        self.slow += 1
        _SLOW.add()
        errors.log(f"reverse connection {self.id}: channel {channel.number} is reset: nobody reads what comes for it\n")
        self._drop(channel, RESET)

    def weigh(self, channel: Channel, change: int) -> None:
        """*channel* keeps so many bytes more, or less, than before."""
        self._kept += change
        if channel.size > self.buffer:
            self._full.add(channel)
        elif channel.size <= self.buffer // 2:
            self._full.discard(channel)
        if not self._holding:
            if self._full or self._kept > ALL_BUFFERS:
                self._hold()
        elif not self._full and self._kept <= ALL_BUFFERS // 2:
            self._release()

    def _hold(self) -> None:
        """Leave the carrier unread for a while: its readers have the time to take what is kept for them."""
        self._holding = True
        self._held = held = {each: each.taken for each in (*self.channels.values(), *self._lingering) if each.size}
        eventer.add_in(self._time_is_up, held, TIMEOUT)

    def _release(self) -> None:
        self._holding = False
        self._held = {}
        if self.open:
            self.owner.post(self._go_on)

    def _time_is_up(self, _event: Event, _mask: int, held: dict[Channel, int], _now: float) -> int:
        """Who keeps too much is cut off, unless it takes some and nobody else wants a turn; then the carrier is
        read."""
        if not self.open or held is not self._held or not self._holding:
            return 0
        stuck = time.monotonic() - STUCK
        for channel, taken in held.items():
            if channel in self._full:
                if channel.taken == taken or self._is_shared(channel):
                    self.cut(channel)
            elif channel.size and channel.moved < stuck:
                self.cut(channel)
        if self._holding:
            self._release()
        return 0

    def _is_shared(self, channel: Channel) -> bool:
        """Whether others than *channel* were in use a moment ago."""
        since = time.monotonic() - TIMEOUT - RECENT
        return any(each.used > since for each in self.channels.values() if each is not channel)

    def close(self, why: str = "") -> None:
        """End it, with all channels; on the loop thread, any number of times."""
        if not self.open:
            return
        self.open = False
        if why:
            errors.log(f"reverse connection {self.id}: {why}\n")
        if _debug.enabled:
            _debug.log(f"reverse connection {self.id} is over\n")
        for channel in [*self.channels.values(), *self._lingering]:
            channel.close()
        self.channels.clear()
        self._lingering.clear()
        for proxy in self.proxies.values():
            proxy.close()
        self._carrier.close()
        self._closed(self)

    def _drop(self, channel: Channel, word: bytes) -> None:
        """Forget *channel*, and tell the other side, unless it was forgotten already and only delivered the rest."""
        if self.channels.get(channel.number) is channel:
            del self.channels[channel.number]
            self._send(frames.command(channel.number, word), len(word))
        self._lingering.discard(channel)
        self._full.discard(channel)
        channel.close(abort=word == RESET)

    def _free_number(self) -> int | None:
        for step in range(1, frames.CHANNELS):
            number = (self._last_number + step - 1) % (frames.CHANNELS - 1) + 1
            if number not in self.channels:
                self._last_number = number
                return number
        return None

    def _read(self) -> int:
        """Take what came; in pieces, so that others have their turn."""
        budget: eventer.Slice | None = None
        while self.open and not self._holding:
            try:
                received = self._carrier.recv(PIECE)
            except OSError as failure:
                self.close(str(failure.strerror or failure))
                return 0
            if received is None:
                break
            if not received:
                self.close()
                return 0
            self._take(received)
            if len(received) < RECORD:
                break  # the descriptor tells of what comes next
            budget = budget or eventer.Slice()
            if budget.is_over():
                if self._carrier.pending():
                    self.owner.post(self._go_on)
                break
        return self._mask()

    def _take(self, received: bytes) -> None:
        try:
            for number, content, is_command in self._reader.feed(received):
                if not self.open:
                    return
                self.in_bytes += len(content)
                self.in_frames = self._reader.frames
                channel = self.channels.get(number)
                if is_command:
                    self._obey(number, channel, content)
                elif channel is None:
                    self._refuse(number)
                else:
                    channel.in_bytes += len(content)
                    channel.in_frames += 1
                    channel.deliver(content)
        except FrameError as wrong:
            self.close(str(wrong))

    def _obey(self, number: int, channel: Channel | None, word: bytes) -> None:
        if channel is None:
            if word == CONNECT and self._connect is not None:
                self._open(number)
            elif word != RESET:
                self._refuse(number)
            return
        channel.in_frames += 1
        del self.channels[number]
        if word == RESET:
            channel.close(abort=True)
        elif word in (CLOSE, SHUTDOWN):
            if word == SHUTDOWN:
                self._send(frames.command(number, SHUTDOWN), len(SHUTDOWN))
            self._lingering.add(channel)
            channel.finish()
            self._lingering = {each for each in self._lingering if each.sock.fileno() >= 0}
        else:  # a second CONNECT, or a word that is none
            self._send(frames.command(number, SHUTDOWN if word == CONNECT else RESET), len(word))
            channel.close(abort=True)

    def _open(self, number: int) -> None:
        assert self._connect is not None
        try:
            sock = self._connect()
        except OSError as failure:
            errors.log(f"reverse connection {self.id}: cannot connect to the local service: {failure}\n")
            self._refuse(number)
            return
        self._add(Channel(self, number, sock, connecting=True))

    def _refuse(self, number: int) -> None:
        """There is no such channel: say so."""
        self._send(frames.command(number, RESET), len(RESET))

    def _send(self, frame: bytes, size: int) -> None:
        if not self.open:
            return
        self.out_bytes += size
        self.out_frames += 1
        if not self._out and not self._flushing:
            try:
                sent = self._carrier.send(frame)
            except OSError as failure:
                self.close(str(failure.strerror or failure))
                return
            if sent == len(frame):
                return
            frame = frame[sent:]
        self._out.append(frame)
        self._out_size += len(frame)
        if not self._flushing:
            self._flush()
            if self._out or self._event.mask & WRITE:
                self._rearm()

    def _flush(self) -> None:
        """Send what waits, as far as the carrier takes it."""
        out = self._out
        self._flushing = True
        try:
            while out:
                if len(out) > 1 and len(out[0]) < JOINED:
                    _join(out)
                frame = out[0]
                sent = self._carrier.send(frame)
                self._out_size -= sent
                if sent < len(frame):
                    out[0] = frame[sent:]
                    break
                out.popleft()
        except OSError as failure:
            self._flushing = False
            self.close(str(failure.strerror or failure))
            return
        self._flushing = False
        if self._out_size > HIGH and not self._paused:
            self._paused = True
            for channel in self.channels.values():
                channel.pause()
        elif self._out_size < LOW and self._paused:
            self._paused = False
            for channel in list(self.channels.values()):
                channel.resume()

    def _mask(self) -> int:
        if not self.open:
            return 0
        return EXCEPTION | (0 if self._holding else READ) | (WRITE if self._out else 0)

    def _rearm(self) -> None:
        if self.open and self._event.active and self._event.mask != self._mask():
            eventer.update(self._event, self._mask())

    def _go_on(self) -> None:
        """What was held back is read now."""
        if self.open and not self._holding:
            self._read()
            self._rearm()


_SLOW = stats.counter("reverse.channels.slow")


def _join(out: deque[bytes]) -> None:
    """Make one of the first few of *out*."""
    taken, size = [], 0
    while out and size < JOINED:
        taken.append(out.popleft())
        size += len(taken[-1])
    out.appendleft(b"".join(taken))
