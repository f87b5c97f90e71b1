"""Frames of reverse connections: bytes in, pieces out.  No I/O.

A frame is two bytes of channel, whose high bit makes it a command, four bytes of length, and as many bytes.  All
big-endian. Data is handed on as it comes, so that nobody waits for the end of a frame; a command is handed on when it
is whole."""

from collections.abc import Iterator
from struct import Struct

HEAD = Struct(">HI")
CHANNELS = 512
"""Channels are numbered from 0 to 511."""
LONGEST = 65530
"""Bytes of a frame, without its head."""

CONNECT, CLOSE, RESET, SHUTDOWN = b"CONNECT", b"CLOSE", b"RESET", b"SHUTDOWN"
"""The words that a command may be."""

_COMMAND = 0x8000
_LONGEST_WORD = 16  # what is longer is none of ours, and need not be kept


class FrameError(Exception):
    """The peer sends what is no frame: the connection cannot go on.  The text says what."""


def command(channel: int, word: bytes) -> bytes:
    """A frame that says *word* on *channel*."""
    return HEAD.pack(channel | _COMMAND, len(word)) + word


def data(channel: int, content: bytes) -> bytes:
    """A frame with *content*, at most :data:`LONGEST` bytes."""
    return HEAD.pack(channel, len(content)) + content


class Reader:
    """Takes the stream apart.  ``frames`` counts those that began."""

    def __init__(self) -> None:
        self.frames = 0
        self._head = b""
        self._channel = 0
        self._left = -1  # bytes of the frame under way; -1 between two
        self._word: bytearray | None = None

    def feed(self, received: bytes) -> Iterator[tuple[int, bytes, bool]]:
        """The pieces of *received*: channel, content, and whether that is a command.

        Raises :exc:`FrameError` for a channel or a length beyond the limits."""
        place, end = 0, len(received)
        while place < end or self._left == 0:
            if self._left < 0:
                missing = HEAD.size - len(self._head)
                self._head += received[place : place + missing]
                place += missing
                if len(self._head) < HEAD.size:
                    return
                self._begin()
                if place == end and self._left:
                    return
            taken = min(self._left, end - place)
            content = received if taken == end and place == 0 else received[place : place + taken]
            place += taken
            self._left -= taken
            whole = self._left == 0
            if whole:
                self._left = -1
            if self._word is None:
                yield self._channel, content, False
                continue
            self._word += content[: _LONGEST_WORD - len(self._word)]
            if whole:
                yield self._channel, bytes(self._word), True

    def _begin(self) -> None:
        channel, self._left = HEAD.unpack(self._head)
        self._head = b""
        self._channel = channel & ~_COMMAND
        if self._channel >= CHANNELS:
            raise FrameError(f"channel {self._channel} is beyond {CHANNELS - 1}")
        if self._left > LONGEST:
            raise FrameError(f"a frame of {self._left} bytes is longer than {LONGEST}")
        self._word = bytearray() if channel & _COMMAND else None
        self.frames += 1
