"""Heads of HTTP/2 frames, seen before the library gets their bytes: sizes, order, and how many of which kind come.

RFC 9113, sections 3.4, 4.1, 6.10 and 10.5.  What frames do to streams is not known here.  A frame that was announced
too large, or a header block that does not end, is refused before its bytes are kept; the few frames that the library
would end the connection for, where only a stream should end, are handed out apart.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client of HTTP/2 says first."""

MAX_FRAME = 16384  # bytes; nobody was told that larger ones were welcome
MAX_CONTINUATIONS = 32
SMALL = 32  # bytes of a body; a frame with less counts as a nuisance
MAX_WINDOW = (1 << 31) - 1
MAX_SKIPPED = 100  # gaps among the numbers of streams that are remembered
LARGE_INCREMENT = 1 << 30  # of a window, that may overflow it

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
WHOLE = END_STREAM | END_HEADERS

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0x0, 0x1, 0x2, 0x3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 0x5, 0x6, 0x7, 0x8, 0xB


_head = struct.Struct(">BHBBI").unpack_from


_NAMES = (
    *("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED"),
    *("FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM"),
    *("INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"),
)


def name_of(code: int) -> str:
    """The name of an error *code*.  RFC 9113, section 7."""
    return _NAMES[code] if 0 <= code < len(_NAMES) else hex(code)


class FrameError(Exception):
    """The connection cannot go on; ``code`` tells the client why."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Fault(NamedTuple):
    """A frame for which *stream* is to end with *code*, and nothing else."""

    stream: int
    code: int


class Late(NamedTuple):
    """The head of a frame, of a body or of fields, on a *stream* whose client had ended it: no more on it comes now."""

    stream: int


class Update(NamedTuple):
    """A WINDOW_UPDATE, *octets*, that may be too much for *stream*."""

    stream: int
    increment: int
    octets: bytes


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


class Frames:
    """Follows what a client sends from frame to frame.

    Attributes: ``count``, frames so far, a header block counting once; ``begun``, the client has said who it is;
    ``highest``, the last stream that it opened; ``open``, those whose body or trailers are to come;
    ``reset_count``, how many it reset; ``nuisances`` and ``resets``, what
    is left to it of those."""

    __slots__ = (
        "_block",
        "_block_bytes",
        "_continuations",
        "_kept",
        "_left",
        "_max_block",
        "_skipped",
        "_usual",
        "_within",
        "begun",
        "count",
        "highest",
        "nuisances",
        "open",
        "reset_count",
        "resets",
    )

    def __init__(self, max_block: int) -> None:
        """Args: *max_block*, bytes of a header block in all its frames."""
        self.count = 0
        self.begun = False
        self.highest = 0
        self.reset_count = 0
        self.nuisances = Allowance(1000, 500)
        self.resets = Allowance(200, 50)
        self.open: set[int] = set()
        self._skipped: list[tuple[int, int]] = []
        self._max_block = max_block
        self._usual = min(MAX_FRAME, max_block)
        self._kept = b""  # the beginning of a head, or of a frame that is looked into
        self._left = len(PREFACE)  # bytes of the frame under way that are still to come
        self._within: int | None = None  # its kind; None for the preface
        self._block = 0  # the stream whose header block is open
        self._block_bytes = self._continuations = 0

    @property
    def torn(self) -> bool:
        """Whether a header block, or a frame that is no DATA, has begun and not ended."""
        return bool(self._block or self._kept or (self._left and self._within != DATA))

    def was_skipped(self, stream: int) -> bool:
        """Whether the client opened streams above *stream*, and never that one."""
        return any(below < stream < above for below, above in self._skipped)

    def feed(self, data: bytes, now: float) -> "Iterator[bytes | Fault | Update | Late]":
        """What *data* brings, at *now* in epoch seconds: bytes for the library, and what is not for it to judge.

        To be taken until the end.  Raises :exc:`FrameError`, after the bytes before the offence."""
        if self._kept:
            data = self._kept + data
            self._kept = b""
        if self._within is None and not self._greet(data):
            return
        start, at, size = 0, self._left, len(data)  # *start*: of what was not given out yet
        self._left = 0
        while at < size:
            if size - at < 9:
                break
            high, low, kind, flags, stream = _head(data, at)
            length, stream = high << 16 | low, stream & MAX_WINDOW
            end = at + 9 + length
            if (  # a request without a body, as most are
                flags & WHOLE == WHOLE
                and stream == self.highest + 2
                and kind == HEADERS
                and length <= self._usual
                and self.begun
                and not self._block
            ):
                self.highest = stream
                self.count += 1
                self._within = HEADERS
                at = end
                continue
            if self._block or length > MAX_FRAME or kind == CONTINUATION or not self.begun or length > self._max_block:
                try:
                    self._check(kind, flags, stream, length)
                except FrameError:
                    if at > start:
                        yield data[start:at]
                    raise
            if kind == PRIORITY or (kind == WINDOW_UPDATE and stream and length == 4):
                if end > size:
                    break
                special = self._look(kind, stream, data[at:end])
                if special is not None:
                    if at > start:
                        yield data[start:at]
                    if special:
                        yield special
                    start = end
            elif (kind == DATA or (kind == HEADERS and stream <= self.highest)) and stream not in self.open:
                if at > start:
                    yield data[start:at]
                    start = at
                yield Late(stream)
            self._took(kind, flags, stream, length, now)
            at = end
        if at < size:
            self._kept = data[at:]
            size = at
        else:
            self._left = at - size
        if size > start:
            yield data[start:size] if start or size < len(data) else data

    def _greet(self, data: bytes) -> bool:
        """See that the client begins as it should; *data* is all that it said.  False when more is to come."""
        size = len(PREFACE)
        if data[:size] != PREFACE[: len(data)]:
            raise FrameError(PROTOCOL_ERROR)
        if len(data) < size:
            self._kept = data
            return False
        self._within = SETTINGS
        self._left = size
        return True

    def _check(self, kind: int, flags: int, stream: int, length: int) -> None:
        """Refuse what cannot be, by its head."""
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

    def _took(self, kind: int, flags: int, stream: int, length: int, now: float) -> None:
        self.begun = True
        self._within = kind
        if kind in (HEADERS, CONTINUATION):
            if stream > self.highest:
                self._opened(stream, flags)
            elif flags & END_STREAM and kind == HEADERS:
                self.open.discard(stream)
            if not flags & END_HEADERS:
                self._block = stream
                self._block_bytes += length
                self._continuations += 1
                return
            self._block = self._block_bytes = self._continuations = 0
        elif kind == DATA:
            if flags & END_STREAM:
                self.open.discard(stream)
            elif length < (SMALL + 256 if flags & PADDED else SMALL):
                self.nuisances.spend(now)
        elif kind == RST_STREAM:
            self.open.discard(stream)
            self.reset_count += 1
            self.resets.spend(now)
        elif kind != SETTINGS or not flags & ACK:
            self.nuisances.spend(now)
        self.count += 1

    def _opened(self, stream: int, flags: int) -> None:
        if stream > self.highest + 2:
            self._skipped.append((self.highest, stream))
            del self._skipped[:-MAX_SKIPPED]
        self.highest = stream
        if not flags & END_STREAM:
            self.open.add(stream)

    def _look(self, kind: int, stream: int, octets: bytes) -> "tuple[()] | Fault | Update | None":
        """What of a whole frame is not for the library: nothing to do, a fault, a question; None when it is."""
        if kind == PRIORITY:  # RFC 9113 5.3.2: of no meaning any more
            if not stream:
                raise FrameError(PROTOCOL_ERROR)
            return () if len(octets) == 14 else Fault(stream, FRAME_SIZE_ERROR)
        increment = int.from_bytes(octets[9:13], "big") & MAX_WINDOW
        if 0 < increment <= LARGE_INCREMENT:
            return None
        return Update(stream, increment, octets)


def goaway(last_stream: int, code: int) -> bytes:
    """A GOAWAY frame: streams above *last_stream* were not and will not be served."""
    return b"\0\0\x08\x07\0\0\0\0\0" + last_stream.to_bytes(4, "big") + code.to_bytes(4, "big")


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    payload = b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in values.items())
    return len(payload).to_bytes(3, "big") + b"\x04\0\0\0\0\0" + payload
