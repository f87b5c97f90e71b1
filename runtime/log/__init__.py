"""Logging: a graph of named streams, the types that write, and the lines they write.  Manual: Logging.

``stderr``, ``error``, ``notice`` and ``debug`` are there from the start and stay the same objects for ever.
"""

from collections.abc import Mapping
from typing import NoReturn

from ._base import DEBUG, ENABLED, FACILITY, TIMESTAMPS, LogError
from ._facilities import NAMES as FACILITIES
from ._filter import Filter
from ._formats import FORMATS, Formatter
from ._line import Line, Value
from ._memory import Memory
from ._registry import (
    close_all,
    debug,
    error,
    facility,
    fatal,
    follow_all,
    go_asynch,
    go_synch,
    init,
    listen,
    maintain,
    new_stream,
    notice,
    reopen_all,
    reopen_type,
    reset,
    stderr,
    stream_exists,
    stream_find,
    streams,
)
from ._stream import LogStream, watch_lines
from ._table import direct_address, enabled_address
from ._types import LogType, check_type, no_type, register_type
from ._types import known_type as type_exists

__all__ = [
    "DEBUG",
    "ENABLED",
    "FACILITIES",
    "FACILITY",
    "FORMATS",
    "TIMESTAMPS",
    "Filter",
    "Formatter",
    "Line",
    "LogError",
    "LogStream",
    "LogType",
    "Memory",
    "Value",
    "check_type",
    "close_all",
    "debug",
    "direct_address",
    "enabled_address",
    "error",
    "facility",
    "fatal",
    "follow_all",
    "go_asynch",
    "go_synch",
    "init",
    "listen",
    "maintain",
    "mtevEL",
    "mtevFatal",
    "mtevL",
    "mtevLT",
    "new_stream",
    "no_type",
    "notice",
    "register_type",
    "reopen_all",
    "reopen_type",
    "reset",
    "stderr",
    "stream_exists",
    "stream_find",
    "streams",
    "type_exists",
    "watch_lines",
]


def mtevL(stream: LogStream, fmt: str, *args: object) -> None:
    """Log ``fmt % args`` to *stream*; formatted only when it is enabled.  Manual: Writing to a log."""
    if stream.enabled:
        stream.logf(fmt, *args)


def mtevLT(stream: LogStream, when: int, fmt: str, *args: object) -> None:
    """The same with the time *when*, in nanoseconds since the epoch.  Manual: Writing to a log."""
    if stream.enabled:
        stream.log(fmt % args, when=when)


def mtevEL(stream: LogStream, pairs: Mapping[str, Value], fmt: str, *args: object) -> None:
    """The same with *pairs* of key and value: integers, floats, texts, UUIDs.  Manual: Writing to a log."""
    if stream.enabled:
        stream.log(fmt % args, pairs=pairs)


def mtevFatal(stream: LogStream, fmt: str, *args: object) -> NoReturn:
    """Log ``fmt % args``, write everything queued, and abort the process.  Manual: Logging a programming error."""
    fatal(stream, fmt % args)
