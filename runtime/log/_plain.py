"""The plain line: what goes before the message.  Manual: Logging, Generic Attributes.

Called with the flags gathered on the way, the time in nanoseconds since the epoch, the name of the stream first logged
to, the message, and the caller's file and line number; returns the bytes to write.
"""

import threading
import time
from typing import Final

from ._base import DEBUG, FACILITY, TIMESTAMPS, as_bytes
from ._line import Line

_SECOND: Final = 1_000_000_000  # ns

# The second last written and its text.  One tuple, so that threads see both or neither.
_clock: tuple[int, bytes] = (-_SECOND, b"")


def plain(flags: int, when: int, facility: bytes, message: bytes, file: str, line: int) -> bytes:
    """``[time] [facility] [t@TID/thread,file:line] message``, each part as its flag says; the message as it is."""
    if flags == TIMESTAMPS:  # the usual ones first
        start, text = _clock
        past = when - start
        if not 0 <= past < _SECOND:
            start, text = _tick(when)
            past = when - start
        return b"%b.%06d] %b" % (text, past // 1000, message)
    if not flags:
        return message
    parts = []
    if flags & TIMESTAMPS:
        parts.append(plain(TIMESTAMPS, when, b"", b"", "", 0))
    if flags & FACILITY:
        parts.append(b"[%b] " % facility)
    if flags & DEBUG:
        thread = as_bytes(threading.current_thread().name)
        parts.append(b"[t@%d/%b,%b:%d] " % (threading.get_native_id(), thread, as_bytes(file), line))
    parts.append(message)
    return b"".join(parts)


def _tick(when: int) -> tuple[int, bytes]:
    global _clock
    seconds = when // _SECOND
    clock = (seconds * _SECOND, b"[%04d-%02d-%02d %02d:%02d:%02d" % time.localtime(seconds)[:6])
    _clock = clock
    return clock


def as_plain(flags: int, line: Line) -> bytes:
    """The same of a :class:`Line`."""
    return plain(flags, line.when, line.facility, line.message, line.file, line.line)
