"""Logging: a graph of named streams, the types that write, and the lines they write.  Manual: Logging.

``stderr``, ``error``, ``notice`` and ``debug`` are there from the start and stay the same objects for ever.
"""

from ._base import DEBUG, ENABLED, FACILITY, TIMESTAMPS, LogError
from ._plain import FORMATS, Formatter
from ._registry import (
    close_all,
    debug,
    error,
    init,
    new_stream,
    notice,
    reopen_all,
    reset,
    stderr,
    stream_exists,
    stream_find,
    streams,
)
from ._stream import LogStream
from ._table import enabled_address
from ._types import LogType, register_type

__all__ = [
    "DEBUG",
    "ENABLED",
    "FACILITY",
    "FORMATS",
    "TIMESTAMPS",
    "Formatter",
    "LogError",
    "LogStream",
    "LogType",
    "close_all",
    "debug",
    "enabled_address",
    "error",
    "init",
    "mtevL",
    "new_stream",
    "notice",
    "register_type",
    "reopen_all",
    "reset",
    "stderr",
    "stream_exists",
    "stream_find",
    "streams",
]


def mtevL(stream: LogStream, fmt: str, *args: object) -> None:
    """Log ``fmt % args`` to *stream*; formatted only when it is enabled.  Manual: Writing to a log."""
    if stream.enabled:
        stream.logf(fmt, *args)
