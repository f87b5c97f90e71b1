"""Log streams and the graph they form.  Manual: Logging; log_stream.

A line goes from the stream it is logged to along every path of enabled streams to every stream with a type.  Those
paths are worked out when the graph or a flag changes, for the stream changed and all that lead to it; logging itself
only walks a flat tuple.  Each path delivers: a stream reached along two paths writes the line twice.
"""

import sys
import threading
from collections.abc import Callable
from time import time_ns
from typing import Final

from . import _table
from ._base import ALL_FLAGS, DEBUG, ENABLED, LogError, as_bytes
from ._plain import FORMATS, Formatter
from ._types import LogType, find_type

graph_lock: Final = threading.RLock()
"""Held while the graph changes."""

# How a line gets out: the type's write, the formatter, and the flags of every stream on the way.
_Route = tuple[Callable[[int, bytes], None], Formatter, int]


class LogStream:
    """A node of the log graph.  Made by :func:`stream_find` and :func:`new_stream`, never directly.

    Attributes: ``name``; ``slot``, its index in the table at :func:`enabled_address`; ``enabled``, whether logging here
    would write anything, for reading only.
    """

    __slots__ = (
        "_ctx",
        "_facility",
        "_flags",
        "_format",
        "_inlets",
        "_outlets",
        "_properties",
        "_routes",
        "_type",
        "_wants_place",
        "enabled",
        "name",
        "slot",
    )

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.slot: Final = _table.new_slot(name)
        self.enabled = False
        self._facility = as_bytes(name)
        self._flags = ENABLED
        self._format = "plain"
        self._type: str | None = None
        self._ctx: LogType | None = None
        self._outlets: list[LogStream] = []
        self._inlets: list[LogStream] = []
        self._routes: tuple[_Route, ...] = ()
        self._wants_place = False
        self._properties: dict[str, object] = {}

    def __repr__(self) -> str:
        return f"<LogStream {self.name}>"

    # Logging

    def log(self, message: bytes | str, *, file: str = "", line: int = 0) -> None:
        """Log *message* exactly as it is: no newline is added; str is written as UTF-8.

        *file* and *line* (from 1) are where the caller is, as lines with the DEBUG flag show it; found out if missing.
        A failing write is counted, see :attr:`write_errors`, and never raised.  Manual: Writing to a log."""
        if self.enabled:
            self._write(message, file, line)

    def logf(self, fmt: str, *args: object) -> None:
        """Log ``fmt % args``, which is worked out only when this stream is enabled.

        Raises what ``%`` does when *fmt* and *args* do not fit.  Manual: Writing to a log."""
        if self.enabled:
            self._write(fmt % args, "", 0)

    def _write(self, message: bytes | str, file: str, line: int) -> None:
        if message.__class__ is not bytes:
            message = as_bytes(message)
        if self._wants_place and not file:
            file, line = _place()
        when = time_ns()
        for write, formatter, flags in self._routes:
            write(when, formatter(flags, when, self._facility, message, file, line))

    # Flags, type and properties

    @property
    def flags(self) -> int:
        """The mask of ENABLED, DEBUG, TIMESTAMPS and FACILITY of this stream itself."""
        return self._flags

    def get_flags(self) -> int:
        """The same as :attr:`flags`.  Manual: ``mtev_log_stream_get_flags``."""
        return self._flags

    def set_flags(self, mask: int) -> int:
        """Make *mask* the flags; returns the mask before.  When this returns, ``enabled`` and the table are right.

        Raises :exc:`LogError` for unknown bits.  Manual: ``mtev_log_stream_set_flags``."""
        if mask & ~ALL_FLAGS:
            raise LogError(f"log '{self.name}': {mask:#x} has bits that are no flags (all flags: {ALL_FLAGS:#x})")
        with graph_lock:
            before, self._flags = self._flags, mask
            if before != mask:
                self._changed()
        return before

    @property
    def type(self) -> str | None:
        """The name of the type, None for a stream that only has outlets.  Manual: ``mtev_log_stream_get_type``."""
        return self._type

    @property
    def path(self) -> str | None:
        """The path of a typed stream, as given.  Manual: ``mtev_log_stream_get_path``."""
        return None if self._ctx is None else self._ctx.path

    @property
    def ctx(self) -> LogType | None:
        """What a typed stream writes through.  Manual: ``mtev_log_stream_get_ctx``."""
        return self._ctx

    @property
    def format(self) -> str:
        """The name of the format in which this stream, if typed, writes lines."""
        return self._format

    @property
    def write_errors(self) -> int:
        """How many lines this stream itself could not write."""
        return 0 if self._ctx is None else self._ctx.write_errors

    def set_type(self, name: str | None, path: str | None = None, fd: int | None = None) -> None:
        """Write through type *name*, with *path* or descriptor *fd*, from now on; None: only to outlets.

        Raises :exc:`LogError`, and changes nothing, for an unknown type or a path that cannot be opened."""
        fresh = None
        if name is not None:
            fresh = find_type(name, self.name)(self.name, path, fd)
            fresh.open()  # outside the lock: opening a pipe may take long
        with graph_lock:
            before, self._ctx, self._type = self._ctx, fresh, name
            self._changed()
        if before is not None:
            before.close()

    def set_format(self, name: str) -> None:
        """Write lines in format *name*.  Raises :exc:`LogError` for one that is not known."""
        if name not in FORMATS:
            raise LogError(f"log '{self.name}': unknown format '{name}' (known: {', '.join(sorted(FORMATS))})")
        with graph_lock:
            self._format = name
            self._changed()

    def get_property(self, name: str) -> object:
        """The property *name*, None if it was never set.  Manual: ``mtev_log_stream_get_property``."""
        return self._properties.get(name)

    def set_property(self, name: str, value: object) -> None:
        """Attach *value* to the stream as *name*.  Manual: ``mtev_log_stream_set_property``."""
        self._properties[name] = value

    def reopen(self) -> None:
        """Reopen the file, if the path no longer leads to it.

        Raises :exc:`LogError` when it cannot be opened; lines then still go to the old one."""
        if self._ctx is not None:
            self._ctx.reopen()

    # The graph

    @property
    def outlets(self) -> tuple["LogStream", ...]:
        """The streams this one passes lines on to, in the order they were added."""
        return tuple(self._outlets)

    def add_outlet(self, outlet: "LogStream") -> None:
        """Pass lines on to *outlet* too.  Adding what is an outlet already changes nothing.

        Raises :exc:`LogError` naming the cycle this would close."""
        with graph_lock:
            if outlet in self._outlets:
                return
            # Without an inlet nothing leads here, so no way back needs to be looked for.
            back = _path(outlet, self) if self._inlets or outlet is self else []
            if back:
                names = " -> ".join(each.name for each in [self, *back])
                raise LogError(f"log '{self.name}': outlet '{outlet.name}' would make a cycle: {names}")
            self._outlets.append(outlet)
            outlet._inlets.append(self)
            self._changed()

    def remove_outlet(self, outlet: "LogStream") -> bool:
        """Stop passing lines on to *outlet*; returns whether that was an outlet."""
        with graph_lock:
            if outlet not in self._outlets:
                return False
            self._outlets.remove(outlet)
            outlet._inlets.remove(self)
            self._changed()
        return True

    def remove_all_outlets(self) -> None:
        """Stop passing lines on."""
        with graph_lock:
            for outlet in self._outlets:
                outlet._inlets.remove(self)
            self._outlets.clear()
            self._changed()

    def reset(self) -> None:
        """Make this a disabled stream without type, outlets and properties.  For when all streams are reset."""
        with graph_lock:
            self._outlets.clear()
            self._inlets.clear()
            self._properties.clear()
            self._format = "plain"
            self._flags = 0
            self.set_type(None)

    def _changed(self) -> None:
        """Work out anew where lines go from this stream and from all that lead to it."""
        for each in _upwards(self):
            each._route()

    def _route(self) -> None:
        own = self._flags & ~ENABLED
        routes: list[_Route] = []
        if self._flags & ENABLED:
            if self._ctx is not None:
                routes.append((self._ctx.write, FORMATS[self._format], own))
            for outlet in self._outlets:
                routes += [(write, formatter, flags | own) for write, formatter, flags in outlet._routes]
        self._routes = tuple(routes)
        self._wants_place = any(flags & DEBUG for _, _, flags in routes)
        self.enabled = bool(routes)
        _table.set_byte(self.slot, _table.WANTS_PLACE if self._wants_place else _table.ON if routes else _table.OFF)


def _upwards(stream: LogStream) -> list[LogStream]:
    """*stream* and all that lead to it, each after all of its outlets that are among them."""
    done: list[LogStream] = []
    seen = {stream}
    stack = [(stream, iter(stream._inlets))]
    while stack:
        here, inlets = stack[-1]
        for inlet in inlets:
            if inlet not in seen:
                seen.add(inlet)
                stack.append((inlet, iter(inlet._inlets)))
                break
        else:
            done.append(here)
            stack.pop()
    done.reverse()
    return done


def _path(start: LogStream, end: LogStream) -> list[LogStream]:
    """The streams from *start* along outlets to *end*, both included; empty when no way leads there."""
    came_from: dict[LogStream, LogStream | None] = {start: None}
    stack = [start]
    while stack:
        here = stack.pop()
        if here is end:
            path = []
            step: LogStream | None = here
            while step is not None:
                path.append(step)
                step = came_from[step]
            return path[::-1]
        for outlet in here._outlets:
            if outlet not in came_from:
                came_from[outlet] = here
                stack.append(outlet)
    return []


def _place() -> tuple[str, int]:
    """File name and line number of the nearest caller outside this room."""
    frame = sys._getframe(1)
    while frame.f_globals.get("__package__") == __package__:
        if frame.f_back is None:
            return "", 0
        frame = frame.f_back
    return frame.f_code.co_filename.rpartition("/")[2], frame.f_lineno
