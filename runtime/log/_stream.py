"""Log streams and the graph they form.  Manual: Logging; log_stream.

A line goes from the stream it is logged to along every path of enabled streams to every stream with a type.  Those
paths are worked out when the graph or a flag changes, for the stream changed and all that lead to it; logging itself
only walks a flat tuple.  Each path delivers: a stream reached along two paths writes the line twice.
"""

import sys
import threading
from collections.abc import Callable, Mapping
from time import time_ns
from typing import Final

from runtime import hooks
from runtime.trace import point

from . import _table
from ._asynch import Writer
from ._base import ALL_FLAGS, DEBUG, ENABLED, LogError, as_bytes, say_change, tell
from ._dedup import Dedup
from ._filter import Filter
from ._formats import FORMATS
from ._line import NO_PAIRS, Line, Pairs, Value, as_pairs
from ._pending import Pending
from ._plain import plain
from ._types import NO_CONFIG, LogType, find_type, known_type

graph_lock: Final = threading.RLock()
"""Held while the graph changes."""

line_hook: Final = hooks.declare("mtev_log_line")
"""``(stream, line)`` for each stream about to write a :class:`Line`; what is not CONTINUE keeps it from that."""
plain_hook: Final = hooks.declare("mtev_log_plain")
"""``(stream, when, bytes)`` for each line written as plain text; *when* in nanoseconds since the epoch."""
flatbuffer_hook: Final = hooks.declare("mtev_log_flatbuffer")
"""The same for each line written as a flatbuffer."""

_HOOKS: Final = (line_hook, plain_hook, flatbuffer_hook)
_FORMAT_HOOKS: Final = {"plain": plain_hook, "flatbuffer": flatbuffer_hook}

_point: Final = point("log")
_sniffed = False  # the trace point is heard: every stream counts as enabled
_asynchronous = False
_watching: Callable[[bytes], object] | None = None

# How a line gets out, the usual way: a plain line through the type's write, with the flags of every stream on the way.
_Plain = tuple[Callable[[int, bytes], None], int]
# Any other way: the stream that writes, those flags, and the filters on the way.
_Other = tuple["LogStream", int, tuple[Filter, ...]]
# A stream that counts the lines which pass the filters on the way to it.
_Counted = tuple["LogStream", tuple[Filter, ...]]


class LogStream:
    """A node of the log graph.  Made by :func:`stream_find` and :func:`new_stream`, never directly.

    Attributes: ``name``; ``slot``, its index in the table at :func:`enabled_address`; for reading only ``enabled``,
    whether logging here would write anything or a tracer hears it, ``writes``, whether it would write anything, and
    ``lines``, how many came by if :meth:`set_stats` has them counted.
    """

    __slots__ = (
        "__weakref__",
        "_counted",
        "_ctx",
        "_dedup",
        "_facility",
        "_filters",
        "_flags",
        "_format",
        "_inlets",
        "_other",
        "_outlets",
        "_plain",
        "_properties",
        "_stats",
        "_type",
        "_wants_place",
        "_writer",
        "enabled",
        "lines",
        "name",
        "slot",
        "writes",
    )

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.slot: Final = _table.new_slot(name)
        self.enabled = self.writes = False
        self._facility = as_bytes(name)
        self._flags = ENABLED
        self._format = "plain"
        self._type: str | None = None
        self._ctx: LogType | None = None
        self._writer: Writer | None = None
        self._outlets: list[LogStream] = []
        self._filters: dict[LogStream, Filter] = {}
        self._inlets: list[LogStream] = []
        self._plain: tuple[_Plain, ...] = ()
        self._other: tuple[_Other, ...] = ()
        self._dedup: Dedup | None = None
        self._stats = False
        self._counted: tuple[_Counted, ...] = ()
        self.lines = 0
        self._wants_place = False
        self._properties: dict[str, object] = {}
        if _sniffed:
            self._route()

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
        if self._wants_place and not file:
            file, line = _place()
        if _sniffed:
            _point.tell(self._facility, file, line, message)
        if when is None:
            when = time_ns()
        for write, flags in self._plain:
            write(when, plain(flags, when, self._facility, message, file, line))
        if self._other or self._counted:
            whole = Line(when, self._facility, message, file, line, pairs)
            for stream, filters in self._counted:
                if all(passes(whole) for passes in filters):
                    with _count_lock:
                        stream.lines += 1
            for stream, flags, filters in self._other:
                if all(passes(whole) for passes in filters):
                    stream._put(whole, flags)

    def _put(self, line: Line, flags: int) -> None:
        """Write *line*, which came along streams with *flags*, as this stream writes."""
        for each in [line] if self._dedup is None else self._dedup.lines(line):
            self._put_one(each, flags)

    def _put_one(self, line: Line, flags: int) -> None:
        ctx, format_hook = self._ctx, _FORMAT_HOOKS.get(self._format)
        if ctx is None:
            return
        try:
            if line_hook.exists() and line_hook.invoke(self, line) != hooks.CONTINUE:
                return
            text = FORMATS[self._format](flags, line)
            if format_hook is not None and format_hook.exists():
                format_hook.invoke(self, line.when, text)
        except Exception as failure:  # whoever logs did nothing wrong
            ctx.write_errors += 1
            tell(f"log '{self.name}': {type(failure).__name__}: {failure}\n")
            return
        (self._writer.put if self._writer is not None else ctx.write)(line.when, text)

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

        *later*: a type that nobody registered yet is waited for, see :meth:`settle_type`.
        Raises :exc:`LogError`, and changes nothing, for an unknown type, what cannot be opened or a bad value."""
        fresh = None
        if name is not None:
            wanted = Pending if later and not known_type(name) else find_type(name, self.name)
            fresh = wanted(self.name, path, fd, config)
            fresh.open()  # outside the lock: opening a pipe may take long
            fresh.redirected = self._redirect
        say_change("%s: type %s, path %s", self.name, name, path if fd is None else f"(descriptor {fd})")
        with graph_lock:
            before, writer = self._ctx, self._writer
            if isinstance(before, Pending) and fresh is not None:
                before.hand_over(fresh)
            self._ctx, self._type = fresh, name
            self._writer = Writer(fresh) if fresh is not None and _asynchronous and fresh.asynch else None
            self._changed()
        if writer is not None:
            writer.stop()
        if isinstance(before, Pending) and fresh is not None:
            before.hand_over(fresh)  # what came while the streams that lead here took their new way
        if before is not None:
            before.close()

    def settle_type(self) -> None:
        """Go on with the type that was waited for, and write what was logged meanwhile.

        Raises :exc:`LogError` as :meth:`set_type` does.  Manual: Adding custom logging types."""
        before = self._ctx
        if isinstance(before, Pending):
            self.set_type(self._type, before.path, config=before.config)

    def go_asynch(self, on: bool) -> None:
        """Write behind the caller's back, or not; what is queued is written first.  For all streams at once."""
        global _asynchronous
        with graph_lock:
            _asynchronous = on
            writer = self._writer
            wanted = on and self._ctx is not None and self._ctx.asynch
            if wanted == (writer is not None):
                return
            self._writer = Writer(self._ctx) if wanted and self._ctx is not None else None
            self._changed()
        if writer is not None:
            writer.stop()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what is queued is written, or *timeout* seconds; returns whether it is."""
        if self._writer is not None and not self._writer.flush(timeout):
            return False
        return self._ctx is None or self._ctx.flush(timeout)

    def forked(self) -> None:
        """Called in the child after a fork: what is queued is the parent's to write."""
        if self._ctx is not None:
            self._ctx.forked()
        if self._writer is not None and self._ctx is not None:
            self._writer = Writer(self._ctx)
            self._changed()

    def maintain(self, now: float) -> None:
        """What is to be done every second: rotation, removal of old files, counts of repeated lines."""
        if self._dedup is not None:
            for each in self._dedup.due(int(now * 1_000_000_000)):
                self._put_one(each, self._flags & ~ENABLED)
        if self._ctx is not None:
            self._ctx.maintain(now)

    def set_dedup(self, seconds: float) -> None:
        """Have identical lines in a row written once, and counted for *seconds*; 0: not.  Manual: dedup_seconds."""
        with graph_lock:
            self._dedup = Dedup(seconds) if seconds > 0 else None
            self._changed()

    @property
    def is_bare(self) -> bool:
        """Whether lines go to one place, just as they are: then several may be logged as one."""
        return len(self._plain) == 1 and not (self._plain[0][1] or self._other or self._counted or _sniffed)

    @property
    def wants_pairs(self) -> bool:
        """Whether pairs would be seen by a format or a filter: whoever has to build them can save it."""
        return bool(self._other)

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
            self._format = name
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
        if self._ctx is not None:
            say_change("%s: reopen", self.name)
            return bool(self._ctx.reopen())
        return False

    def follow(self) -> None:
        """Go on in the file that has the path now, if another process has put one there."""
        if self._ctx is not None:
            self._ctx.follow()

    # The graph

    @property
    def outlets(self) -> tuple["LogStream", ...]:
        """The streams this one passes lines on to, in the order they were added."""
        return tuple(self._outlets)

    def add_outlet(self, outlet: "LogStream", filter: Filter | None = None) -> None:  # noqa: A002 - the attribute's name
        """Pass lines on to *outlet* too, those that *filter* lets through if there is one.

        Adding what is an outlet already changes its filter.  Raises :exc:`LogError` naming a cycle this would close."""
        with graph_lock:
            if outlet in self._outlets:
                self._set_filter(outlet, filter)
                self._changed()
                return
            # Without an inlet nothing leads here, so no way back needs to be looked for.
            back = _path(outlet, self) if self._inlets or outlet is self else []
            if back:
                names = " -> ".join(each.name for each in [self, *back])
                raise LogError(f"log '{self.name}': outlet '{outlet.name}' would make a cycle: {names}")
            say_change("%s: outlet %s", self.name, outlet.name)
            self._outlets.append(outlet)
            outlet._inlets.append(self)
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
            outlet._inlets.remove(self)
            self._changed()
        return True

    def remove_all_outlets(self) -> None:
        """Stop passing lines on."""
        with graph_lock:
            say_change("%s: no outlets", self.name)
            for outlet in self._outlets:
                outlet._inlets.remove(self)
            self._outlets.clear()
            self._filters.clear()
            self._changed()

    def detach(self) -> None:
        """Have no stream pass lines on to this one."""
        for inlet in tuple(self._inlets):
            inlet.remove_outlet(self)

    def reset(self) -> None:
        """Make this a disabled stream without type, outlets and properties.  For when all streams are reset."""
        with graph_lock:
            self._outlets.clear()
            self._filters.clear()
            self._inlets.clear()
            self._properties.clear()
            self._dedup, self._stats = None, False
            self._format = "plain"
            self._flags = 0
            self.set_type(None)

    def _changed(self) -> None:
        """Work out anew where lines go from this stream and from all that lead to it."""
        for each in _upwards(self):
            each._route()

    def _route(self) -> None:
        own = self._flags & ~ENABLED
        usual: list[_Plain] = []
        other: list[_Other] = []
        counted: list[_Counted] = [(self, ())] if self._stats else []
        if self._flags & ENABLED:
            if self._ctx is not None:
                if self._format == "plain" and self._dedup is None and not any(hook.exists() for hook in _HOOKS):
                    usual.append((self._ctx.write if self._writer is None else self._writer.put, own))
                else:
                    other.append((self, own, ()))
            for outlet in self._outlets:
                passes = self._filters.get(outlet)
                more = () if passes is None else (passes,)
                counted += [(stream, (*more, *filters)) for stream, filters in outlet._counted]
                if passes is None:
                    usual += [(write, flags | own) for write, flags in outlet._plain]
                    other += [(stream, flags | own, filters) for stream, flags, filters in outlet._other]
                elif outlet.enabled:
                    other += [(stream, flags | own, (passes, *filters)) for stream, flags, filters in outlet._every()]
        self._plain, self._other = tuple(usual), tuple(other)
        self.writes = bool(usual or other)
        self.enabled = self.writes or _sniffed
        self._counted = tuple(counted) if self.writes else ()
        self._wants_place = _sniffed or bool(other) or any(flags & DEBUG for _, flags in usual)
        _table.set_byte(
            self.slot,
            (_table.ON if self.writes else _table.OFF) | (_table.WANTS_PLACE if self._wants_place else _table.OFF),
        )
        self._show_direct()

    def _every(self) -> list[_Other]:
        """All ways out of this stream as they are behind a filter."""
        found: list[_Other] = []
        if self._flags & ENABLED:
            own = self._flags & ~ENABLED
            if self._ctx is not None:
                found.append((self, own, ()))
            for outlet in self._outlets:
                passes = self._filters.get(outlet)
                more = () if passes is None else (passes,)
                found += [(stream, flags | own, (*more, *filters)) for stream, flags, filters in outlet._every()]
        return found

    def _redirect(self) -> None:
        """Show whoever writes plain lines without us where they go, see :func:`direct_address`."""
        for each in _upwards(self):
            each._show_direct()

    def _show_direct(self) -> None:
        fd = -1
        if len(self._plain) == 1 and not (self._other or self._counted or _sniffed):
            write, flags = self._plain[0]
            ctx = getattr(write, "__self__", None)
            fd = ctx.direct() if not flags and isinstance(ctx, LogType) else -1
        _table.set_direct(self.slot, fd)


_count_lock = threading.Lock()


def watch_lines(function: Callable[[bytes], object] | None) -> Callable[[bytes], object] | None:
    """Have *function* called with each line that is logged to an enabled stream, where it is logged; None: nobody.

    Returns who was called before."""
    global _watching
    before, _watching = _watching, function
    return before


def listen() -> None:
    """Look whether the trace point ``log`` is heard: then all that is logged comes by, enabled or not."""
    global _sniffed
    from ._registry import streams

    with graph_lock:
        heard = bool(_point.heard[0])
        if heard != _sniffed:
            _sniffed = heard
            for each in streams():
                each._route()


_point.changed = listen


def _all_changed() -> None:
    """Somebody began or ceased to look at lines: they take another way."""
    from ._registry import streams

    with graph_lock:
        for each in streams():
            if each.ctx is not None:
                each._changed()


for _hook in _HOOKS:
    _hook.changed = _all_changed


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
