"""What every file of this room shares: the flags, the error, and text as bytes.  Manual: Logging."""

import os
import threading
from collections.abc import Callable
from typing import Final

from ._now import write_now

ENABLED: Final = 0x01
"""The stream passes lines on."""
DEBUG: Final = 0x02
"""Lines carry thread, file and line number."""
TIMESTAMPS: Final = 0x04
"""Lines carry the local time."""
FACILITY: Final = 0x08
"""Lines carry the name of the stream first logged to."""

ALL_FLAGS: Final = ENABLED | DEBUG | TIMESTAMPS | FACILITY


class LogError(Exception):
    """A log graph that cannot be: an unusable name, type, path or descriptor, a cycle, or no slot left."""


def as_bytes(text: object) -> bytes:
    """*text* as it is written: bytes as they are, str as UTF-8 with surrogate escapes turned back into their bytes.

    Raises :exc:`TypeError` for anything else."""
    if isinstance(text, str):
        try:
            return text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # a lone surrogate that stands for no byte
            return text.encode("utf-8", "backslashreplace")
    if isinstance(text, (bytes, bytearray, memoryview)):
        return bytes(text)
    raise TypeError(f"a log message is bytes or str, not {type(text).__name__}")


def say_change(fmt: str, *args: object) -> None:
    """Say on descriptor 2 what happens to the graph, if ``MTEV_LOG_DEBUG`` is a number but 0.  Manual: Environment."""
    if _TRACING:
        _say("log: " + fmt % args + "\n")


_TRACING: Final = os.environ.get("MTEV_LOG_DEBUG", "").strip().lstrip("+-").strip("0").isdecimal()


_listener: "Callable[[str], bool] | None" = None
_telling = threading.local()


def tell_also(listener: "Callable[[str], bool]") -> None:
    """Have :func:`tell` hand reports to *listener* first, which returns whether that leads to descriptor 2 too."""
    global _listener
    _listener = listener


def tell(report: str) -> None:
    """Say what went wrong with logging: in the log, and on descriptor 2, for the log may lead to what just failed."""
    if _listener is not None and not getattr(_telling, "under_way", False):
        _telling.under_way = True
        try:
            if _listener(report):
                return
        finally:
            _telling.under_way = False
    _say(report)


def _say(report: str) -> None:
    try:
        write_now(2, report.encode("utf-8", "backslashreplace"))
    except OSError:
        pass
