"""Log streams, the nodes of a graph: what a stream is, and how one logs to it.  Manual: Logging; log_stream.

Where lines go from there is worked out in ``_route``, how a stream itself writes is the matter of ``_output``.
"""

import sys
import threading
from collections.abc import Callable, Mapping
from time import time_ns
from typing import Final

from runtime.trace import point

from . import _route, _table
from ._base import ALL_FLAGS, ENABLED, LogError, as_bytes, say_change
from ._dedup import Dedup
from ._filter import Filter
from ._formats import FORMATS
from ._line import NO_PAIRS, Line, Pairs, Value, as_pairs
from ._output import Output
from ._pending import Pending
from ._plain import plain
from ._types import NO_CONFIG, LogType

graph_lock: Final = threading.RLock()
"""Held while the graph changes."""

_point: Final = point("log")
_is_heard = False  # the trace point: every stream counts as enabled
_watching: Callable[[bytes], object] | None = None


class LogStream:
    """A node of the log graph.  Made by :func:`stream_find` and :func:`new_stream`, never directly.

    Attributes: ``name``; ``slot``, its index in the table at :func:`enabled_address`; for reading only ``enabled``,
    whether logging here would write anything or a tracer hears it, ``writes``, whether it would write anything,
    ``lines``, how many came by if :meth:`set_stats` has them counted, ``inlets``, the streams that pass lines on here,
    ``route``, where its lines go, and ``output``, how it writes itself.
    """

    __slots__ = (
        "__weakref__",
        "_facility",
        "_filters",
        "_flags",
        "_outlets",
        "_properties",
        "_stats",
        "enabled",
        "inlets",
        "lines",
        "name",
        "output",
        "route",
        "slot",
        "writes",
    )

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.slot: Final = _table.new_slot(name)
        self.enabled = self.writes = False
        self.lines = 0
        self.output: Final = Output(self)
        self.route = _route.NOWHERE
        self.inlets: Final[list[LogStream]] = []
        self._facility = as_bytes(name)
        self._flags = ENABLED
        self._outlets: list[LogStream] = []
        self._filters: dict[LogStream, Filter] = {}
        self._stats = False
        self._properties: dict[str, object] = {}
        if _is_heard:
            self.take(self.route)

    def __repr__(self) -> str:
        return f"<LogStream {self.name}>"

    # Logging

    def log(
        self,
        message: bytes | str,
        *,
        file: str = "",
        line: int = 0,
        pairs: Mapping[str, Value] | None = None,
        when: int | None = None,
    ) -> None:
        """Log *message* exactly as it is: no newline is added; str is written as UTF-8.

        *file* and *line* (from 1) are where the caller is, as lines with the DEBUG flag show it; found out if missing.
        *pairs* are integers, floats, texts or UUIDs by name for filters and for the formats json and flatbuffer.
        *when* is the time in nanoseconds since the epoch, now if missing.
        A failing write is counted, see :attr:`write_errors`, and never raised.  Raises :exc:`LogError` for a pair of
        another type.  Manual: Writing to a log."""
        if self.enabled:
            self._write(message, file, line, as_pairs(pairs) if pairs else NO_PAIRS, when)

    def logf(self, fmt: str, *args: object) -> None:
        """Log ``fmt % args``, which is worked out only when this stream is enabled.

        Raises what ``%`` does when *fmt* and *args* do not fit.  Manual: Writing to a log."""
        if self.enabled:
            self._write(fmt % args, "", 0)

    def _write(
        self, message: bytes | str, file: str, line: int, pairs: Pairs = NO_PAIRS, when: int | None = None
    ) -> None:
        if message.__class__ is not bytes:
            message = as_bytes(message)
        if _watching is not None and self.writes:
            _watching(message)
        route = self.route
        if (route.wants_place or _is_heard) and not file:
            file, line = _place()
        if _is_heard:
            _point.tell(self._facility, file, line, message)
        if when is None:
            when = time_ns()
        for write, flags, _ in route.plain:
            write(when, plain(flags, when, self._facility, message, file, line))
        if route.other or route.counted:
            whole = Line(when, self._facility, message, file, line, pairs)
            for stream, filters in route.counted:
                if all(passes(whole) for passes in filters):
                    with _count_lock:
                        stream.lines += 1
            for output, flags, filters in route.other:
                if all(passes(whole) for passes in filters):
                    output.put(whole, flags)

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
                say_change("%s: flags %#x, before %#x", self.name, mask, before)
                self._changed()
        return before

    @property
    def type(self) -> str | None:
        """The name of the type, None for a stream that only has outlets.  Manual: ``mtev_log_stream_get_type``."""
        return self.output.type

    @property
    def path(self) -> str | None:
        """The path of a typed stream, as given.  Manual: ``mtev_log_stream_get_path``."""
        return None if self.output.ctx is None else self.output.ctx.path

    @property
    def ctx(self) -> LogType | None:
        """What a typed stream writes through.  Manual: ``mtev_log_stream_get_ctx``."""
        return self.output.ctx

    @property
    def format(self) -> str:
        """The name of the format in which this stream, if typed, writes lines."""
        return self.output.format

    @property
    def write_errors(self) -> int:
        """How many lines this stream itself could not write."""
        return 0 if self.output.ctx is None else self.output.ctx.write_errors

    def set_type(
        self,
        name: str | None,
        path: str | None = None,
        fd: int | None = None,
        config: Mapping[str, str] = NO_CONFIG,
        *,
        later: bool = False,
    ) -> None:
        """Write through type *name*, with *path* or descriptor *fd*, and *config*, from now on; None: only to outlets.

        *later*: a type that nobody registered yet is waited for, see :meth:`resolve_type`.
        Raises :exc:`LogError`, and changes nothing, for an unknown type, what cannot be opened or a bad value."""
        fresh = None
        if name is not None:
            fresh = self.output.open(name, path, fd, config, later)  # outside the lock: opening a pipe may take long
            fresh.redirected = self._redirect
        say_change("%s: type %s, path %s", self.name, name, path if fd is None else f"(descriptor {fd})")
        with graph_lock:
            close_before = self.output.change(name, fresh)
            self._changed()
        close_before()

    def resolve_type(self) -> None:
        """Go on with the type that was waited for, and write what was logged meanwhile.

        Raises :exc:`LogError` as :meth:`set_type` does.  Manual: Adding custom logging types."""
        before = self.output.ctx
        if isinstance(before, Pending):
            self.set_type(self.output.type, before.path, config=before.config)

    def renew_writer(self) -> None:
        """Write behind the caller's back, or not, as logging does now; what is queued is written first."""
        with graph_lock:
            stop_before = self.output.renew_writer()
            if stop_before is None:
                return
            self._changed()
        stop_before()

    @property
    def is_full(self) -> bool:
        """Whether so much waits for whoever reads this stream that those who can wait should: :meth:`await_room`."""
        ctx = self.output.ctx
        return ctx is not None and ctx.is_full

    def await_room(self, function: Callable[[], object]) -> bool:
        """Have *function* called, from any thread, once the stream is no longer full, or seems to stay so; it must not
        wait.  False where there is nothing to wait for: it is not full, or its reader took nothing for long."""
        ctx = self.output.ctx
        return ctx is not None and ctx.await_room(function)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what is queued is written, or *timeout* seconds; returns whether it is."""
        return self.output.flush(timeout)

    def forked(self) -> None:
        """Called in the child after a fork: what is queued is the parent's to write."""
        if self.output.forked():
            self._changed()

    def maintain(self, now: float) -> None:
        """What is to be done every second: rotation, removal of old files, counts of repeated lines."""
        self.output.maintain(now, self._flags & ~ENABLED)

    def set_dedup(self, seconds: float) -> None:
        """Have identical lines in a row written once, and counted for *seconds*; 0: not.  Manual: dedup_seconds."""
        with graph_lock:
            self.output.dedup = Dedup(seconds) if seconds > 0 else None
            self._changed()

    @property
    def is_bare(self) -> bool:
        """Whether lines go to one place, just as they are: then several may be logged as one."""
        return self.route.is_bare and not _is_heard

    @property
    def wants_pairs(self) -> bool:
        """Whether pairs would be seen by a format or a filter: whoever has to build them can save it."""
        return bool(self.route.other)

    def set_stats(self, on: bool) -> None:
        """Have the lines that come by counted in ``lines``, or not.  Manual: Generic Attributes, stats."""
        with graph_lock:
            self._stats = on
            self._changed()

    @property
    def stats(self) -> bool:
        """Whether lines are counted."""
        return self._stats

    def set_format(self, name: str) -> None:
        """Write lines in format *name*.  Raises :exc:`LogError` for one that is not known."""
        if name not in FORMATS:
            raise LogError(f"log '{self.name}': unknown format '{name}' (known: {', '.join(sorted(FORMATS))})")
        with graph_lock:
            self.output.format = name
            self._changed()

    def get_property(self, name: str) -> object:
        """The property *name*, None if it was never set.  Manual: ``mtev_log_stream_get_property``."""
        return self._properties.get(name)

    def set_property(self, name: str, value: object) -> None:
        """Attach *value* to the stream as *name*.  Manual: ``mtev_log_stream_set_property``."""
        self._properties[name] = value

    def reopen(self) -> bool:
        """Reopen the file, if the path no longer leads to it; True when that is so.

        Raises :exc:`LogError` when it cannot be opened; lines then still go to the old one."""
        if self.output.ctx is None:
            return False
        say_change("%s: reopen", self.name)
        return bool(self.output.ctx.reopen())

    def follow(self) -> None:
        """Go on in the file that has the path now, if another process has put one there."""
        if self.output.ctx is not None:
            self.output.ctx.follow()

    # The graph

    @property
    def outlets(self) -> tuple["LogStream", ...]:
        """The streams this one passes lines on to, in the order they were added."""
        return tuple(self._outlets)

    def filtered_outlets(self) -> list[tuple["LogStream", Filter | None]]:
        """Those, each with what keeps lines from it."""
        return [(outlet, self._filters.get(outlet)) for outlet in self._outlets]

    def add_outlet(self, outlet: "LogStream", filter: Filter | None = None) -> None:  # noqa: A002 - the attribute's name
        """Pass lines on to *outlet* too, those that *filter* lets through if there is one.

        Adding what is an outlet already changes its filter.  Raises :exc:`LogError` naming a cycle this would close."""
        with graph_lock:
            if outlet in self._outlets:
                self._set_filter(outlet, filter)
                self._changed()
                return
            # Without an inlet nothing leads here, so no way back needs to be looked for.
            back = _route.path(outlet, self) if self.inlets or outlet is self else []
            if back:
                names = " -> ".join(each.name for each in [self, *back])
                raise LogError(f"log '{self.name}': outlet '{outlet.name}' would make a cycle: {names}")
            say_change("%s: outlet %s", self.name, outlet.name)
            self._outlets.append(outlet)
            outlet.inlets.append(self)
            self._set_filter(outlet, filter)
            self._changed()

    def _set_filter(self, outlet: "LogStream", wanted: Filter | None) -> None:
        if wanted is None:
            self._filters.pop(outlet, None)
        else:
            self._filters[outlet] = wanted

    def remove_outlet(self, outlet: "LogStream") -> bool:
        """Stop passing lines on to *outlet*; returns whether that was an outlet."""
        with graph_lock:
            if outlet not in self._outlets:
                return False
            say_change("%s: no outlet %s", self.name, outlet.name)
            self._outlets.remove(outlet)
            self._filters.pop(outlet, None)
            outlet.inlets.remove(self)
            self._changed()
        return True

    def remove_all_outlets(self) -> None:
        """Stop passing lines on."""
        with graph_lock:
            say_change("%s: no outlets", self.name)
            for outlet in self._outlets:
                outlet.inlets.remove(self)
            self._outlets.clear()
            self._filters.clear()
            self._changed()

    def detach(self) -> None:
        """Have no stream pass lines on to this one."""
        for inlet in tuple(self.inlets):
            inlet.remove_outlet(self)

    def reset(self) -> None:
        """Make this a disabled stream without type, outlets and properties.  For when all streams are reset."""
        with graph_lock:
            self._outlets.clear()
            self._filters.clear()
            self.inlets.clear()
            self._properties.clear()
            self.output.dedup, self.output.format = None, "plain"
            self._stats = False
            self._flags = 0
            self.set_type(None)

    def _changed(self) -> None:
        """Work out anew where lines go from this stream and from all that lead to it."""
        for each in _route.upwards(self):
            each.take(_route.work_out(each))

    def take(self, route: _route.Route) -> None:
        """Have lines take *route*, and show that to those who ask without us."""
        self.route = route
        self.writes = route.writes
        self.enabled = self.writes or _is_heard
        wants_place = _is_heard or route.wants_place
        _table.set_byte(
            self.slot,
            (_table.ON if self.writes else _table.OFF) | (_table.WANTS_PLACE if wants_place else _table.OFF),
        )
        self._show_direct()

    def look(self) -> None:
        """Somebody began or ceased to look at lines: they take another way."""
        if self.output.ctx is not None:
            self._changed()

    def _redirect(self) -> None:
        """Show whoever writes plain lines without us where they go, see :func:`direct_address`."""
        for each in _route.upwards(self):
            each._show_direct()

    def _show_direct(self) -> None:
        _table.set_direct(self.slot, -1 if _is_heard else self.route.direct)


_count_lock = threading.Lock()


def watch_lines(function: Callable[[bytes], object] | None) -> Callable[[bytes], object] | None:
    """Have *function* called with each line that is logged to an enabled stream, where it is logged; None: nobody.

    Returns who was called before."""
    global _watching
    before, _watching = _watching, function
    return before


def hear(is_heard: bool) -> bool:
    """Have all that is logged come by, enabled or not, or not any more; returns whether streams must :meth:`take`
    their routes again for that."""
    global _is_heard
    before, _is_heard = _is_heard, is_heard
    return before != is_heard


def _place() -> tuple[str, int]:
    """File name and line number of the nearest caller outside this room."""
    frame = sys._getframe(1)
    while frame.f_globals.get("__package__") == __package__:
        if frame.f_back is None:
            return "", 0
        frame = frame.f_back
    return frame.f_code.co_filename.rpartition("/")[2], frame.f_lineno
