"""How one stream itself writes: through a type, in a format, by a thread of its own or not, repeats counted or not.

Which lines come to it is not its concern.  Manual: Logging, Log Types; Hooks.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from runtime import hooks

from ._asynch import Writer
from ._base import tell
from ._dedup import Dedup
from ._formats import FORMATS
from ._line import Line
from ._pending import Pending
from ._types import LogType, find_type, known_type

if TYPE_CHECKING:
    from ._stream import LogStream

line_hook: Final = hooks.declare("mtev_log_line")
"""``(stream, line)`` for each stream about to write a :class:`Line`; what is not CONTINUE keeps it from that."""
plain_hook: Final = hooks.declare("mtev_log_plain")
"""``(stream, when, bytes)`` for each line written as plain text; *when* in nanoseconds since the epoch."""
flatbuffer_hook: Final = hooks.declare("mtev_log_flatbuffer")
"""The same for each line written as a flatbuffer."""

HOOKS: Final = (line_hook, plain_hook, flatbuffer_hook)
_FORMAT_HOOKS: Final = {"plain": plain_hook, "flatbuffer": flatbuffer_hook}

_asynchronous = False


def set_asynchronous(on: bool) -> None:
    """Whether outputs that are made or renewed from now on write behind the caller's back."""
    global _asynchronous
    _asynchronous = on


class Output:
    """The way out of one stream.

    Attributes: ``type``, the name of its type, and ``ctx``, what that writes through, both None for a stream that only
    has outlets; ``format``; ``dedup``, what counts lines that are the same as the one before, or None."""

    __slots__ = ("_stream", "_writer", "ctx", "dedup", "format", "type")

    def __init__(self, stream: "LogStream") -> None:
        self._stream = stream
        self._writer: Writer | None = None
        self.type: str | None = None
        self.ctx: LogType | None = None
        self.format = "plain"
        self.dedup: Dedup | None = None

    @property
    def is_plain(self) -> bool:
        """Whether a plain line may go to :attr:`write`, without :meth:`put`."""
        return (
            self.ctx is not None
            and self.format == "plain"
            and self.dedup is None
            and not any(hook.exists() for hook in HOOKS)
        )

    @property
    def write(self) -> Callable[[int, bytes], None]:
        """What takes formatted lines, where there is a type."""
        if self._writer is not None:
            return self._writer.put
        assert self.ctx is not None
        return self.ctx.write if self.ctx.is_sure else self.ctx.write_safely

    @property
    def unqueued(self) -> LogType | None:
        """The type, where lines are written to it at once."""
        return None if self._writer is not None else self.ctx

    def put(self, line: Line, flags: int) -> None:
        """Write *line*, which came along streams with *flags*."""
        for each in [line] if self.dedup is None else self.dedup.lines(line):
            self._put_one(each, flags)

    def _put_one(self, line: Line, flags: int) -> None:
        ctx, format_hook = self.ctx, _FORMAT_HOOKS.get(self.format)
        if ctx is None:
            return
        try:
            if line_hook.exists() and line_hook.invoke(self._stream, line) != hooks.CONTINUE:
                return
            text = FORMATS[self.format](flags, line)
            if format_hook is not None and format_hook.exists():
                format_hook.invoke(self._stream, line.when, text)
        except Exception as failure:  # whoever logs did nothing wrong
            ctx.write_errors += 1
            tell(f"log '{self._stream.name}': {type(failure).__name__}: {failure}\n")
            return
        self.write(line.when, text)

    def open(self, name: str, path: str | None, fd: int | None, config: Mapping[str, str], later: bool) -> LogType:
        """A type *name*, open and ready for :meth:`change`.  Raises :exc:`LogError`."""
        wanted = Pending if later and not known_type(name) else find_type(name, self._stream.name)
        fresh = wanted(self._stream.name, path, fd, config)
        fresh.open()
        return fresh

    def change(self, name: str | None, fresh: LogType | None) -> Callable[[], None]:
        """Write through *fresh* from now on; returns what is to be called once lines have taken their new way."""
        before, writer = self.ctx, self._writer
        if isinstance(before, Pending) and fresh is not None:
            before.hand_over(fresh)
        self.ctx, self.type = fresh, name
        self._writer = self._new_writer()

        def close() -> None:
            if writer is not None:
                writer.stop()
            if isinstance(before, Pending) and fresh is not None:
                before.hand_over(fresh)  # what came meanwhile
            if before is not None:
                before.close()

        return close

    def renew_writer(self) -> Callable[[], None] | None:
        """Have a thread that writes, or none, as is wanted now; returns what is to be called once lines have taken
        their new way, None where nothing changes."""
        writer = self._writer
        if self._wants_writer() == (writer is not None):
            return None
        self._writer = self._new_writer()
        return writer.stop if writer is not None else lambda: None

    def _wants_writer(self) -> bool:
        return _asynchronous and self.ctx is not None and self.ctx.asynch

    def _new_writer(self) -> Writer | None:
        return Writer(self.ctx) if self.ctx is not None and self._wants_writer() else None

    def flush(self, timeout: float | None) -> bool:
        """Wait until what is queued is written, or *timeout* seconds; returns whether it is."""
        if self._writer is not None and not self._writer.flush(timeout):
            return False
        return self.ctx is None or self.ctx.flush(timeout)

    def forked(self) -> bool:
        """Called in the child after a fork; returns whether lines take another way now."""
        if self.ctx is not None:
            self.ctx.forked()
        if self._writer is None or self.ctx is None:
            return False
        self._writer = Writer(self.ctx)
        return True

    def maintain(self, now: float, flags: int) -> None:
        """What is to be done every second; counts of repeated lines are written with *flags*."""
        if self.dedup is not None:
            for each in self.dedup.due(int(now * 1_000_000_000)):
                self._put_one(each, flags)
        if self.ctx is not None:
            self.ctx.maintain(now)
