"""HTTP/2 frames out of a stream of bytes, and how many of which kind a client may send.  RFC 9113, section 4.

What a frame means is not known here.  The sizes of frames and header blocks are checked before their bytes are kept.
"""

from collections.abc import Iterator
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client of HTTP/2 says first."""

MAX_FRAME = 16384  # bytes; nobody was told that larger ones were welcome
MAX_CONTINUATIONS = 32

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_HEADERS, ACK = 0x4, 0x1

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR = 0x0, 0x1, 0x2
FRAME_SIZE_ERROR, REFUSED_STREAM, ENHANCE_YOUR_CALM = 0x6, 0x7, 0xB


class FrameError(Exception):
    """The connection cannot go on; ``code`` tells the client why."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Frame(NamedTuple):
    """One frame: its head taken apart, and all of its ``octets``."""

    kind: int
    flags: int
    stream: int
    octets: bytes


class Frames:
    """Cuts what a client sends into frames.

    Attributes: ``count``, frames so far, a header block counting once; ``begun``, the client has said who it is."""

    def __init__(self, max_block: int) -> None:
        """Args: *max_block*, bytes of a header block in all its frames."""
        self.count = 0
        self.begun = False
        self._max_block = max_block
        self._data = bytearray()
        self._greeted = False
        self._block = 0  # the stream whose header block is open
        self._block_bytes = self._continuations = 0

    @property
    def torn(self) -> bool:
        """Whether a header block, or a frame that is no DATA, has begun and not ended."""
        return bool(self._block or (self._data and (len(self._data) < 4 or self._data[3] != DATA)))

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that *data* completes; to be taken until the end.  Raises :exc:`FrameError`."""
        buffer = self._data
        buffer += data
        if not self._greeted:
            size = len(PREFACE)
            if buffer[:size] != PREFACE[: len(buffer)]:
                raise FrameError(PROTOCOL_ERROR)
            if len(buffer) < size:
                return
            self._greeted = True
            del buffer[:size]
        while len(buffer) >= 9:
            length = int.from_bytes(buffer[:3], "big")
            kind, flags = buffer[3], buffer[4]
            stream = int.from_bytes(buffer[5:9], "big") & 0x7FFFFFFF
            self._check(kind, flags, stream, length)
            size = 9 + length
            if len(buffer) < size:
                return
            with memoryview(buffer) as view:
                octets = bytes(view[:size])
            del buffer[:size]
            self._took(kind, flags, stream, length)
            yield Frame(kind, flags, stream, octets)

    def _check(self, kind: int, flags: int, stream: int, length: int) -> None:
        if length > MAX_FRAME:
            raise FrameError(FRAME_SIZE_ERROR)
        if not self.begun and (kind != SETTINGS or flags & ACK):
            raise FrameError(PROTOCOL_ERROR)
        if (kind == CONTINUATION) != bool(self._block) or (self._block and stream != self._block):
            raise FrameError(PROTOCOL_ERROR)
        if kind in (HEADERS, CONTINUATION) and (
            self._block_bytes + length > self._max_block or self._continuations >= MAX_CONTINUATIONS
        ):
            raise FrameError(ENHANCE_YOUR_CALM)

    def _took(self, kind: int, flags: int, stream: int, length: int) -> None:
        self.begun = True
        if kind in (HEADERS, CONTINUATION) and not flags & END_HEADERS:
            self._block = stream
            self._block_bytes += length
            self._continuations += 1
            return
        self._block = self._block_bytes = self._continuations = 0
        self.count += 1


class Allowance:
    """How often a client may do something that costs more than it brings: so many at once, so many a second."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, burst: int, rate: int) -> None:
        self._burst = self._left = float(burst)
        self._rate = rate
        self._at = 0.0

    def earn(self, count: int) -> None:
        """Allow *count* more, for work done."""
        self._left = min(self._burst, self._left + count)

    def spend(self, now: float) -> None:
        """Once more, at *now* in epoch seconds.  Raises :exc:`FrameError` when that was too often."""
        if now > self._at:
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
            self._at = now
        self._left -= 1
        if self._left < 0:
            raise FrameError(ENHANCE_YOUR_CALM)


def goaway(last_stream: int, code: int) -> bytes:
    """A GOAWAY frame: streams above *last_stream* were not and will not be served."""
    return b"\0\0\x08\x07\0\0\0\0\0" + last_stream.to_bytes(4, "big") + code.to_bytes(4, "big")
