"""What every file of this room shares: the flags, the error, and text as bytes.  Manual: Logging."""

import os
from typing import Final

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


def trace(fmt: str, *args: object) -> None:
    """Say on descriptor 2 what happens to the graph, if ``MTEV_LOG_DEBUG`` is a number but 0.  Manual: Environment."""
    if _TRACING:
        tell("log: " + fmt % args + "\n")


_TRACING: Final = os.environ.get("MTEV_LOG_DEBUG", "").strip().lstrip("+-").strip("0").isdecimal()


def tell(report: str) -> None:
    """Say on descriptor 2 what went wrong with logging: a stream may lead to the very file that fails."""
    try:
        os.write(2, report.encode("utf-8", "backslashreplace"))
    except OSError:
        pass
