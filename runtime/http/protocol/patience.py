"""Which streams wait for a client that makes no progress, and since when."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .stream import Stream


class Patience:
    """With the streams of one connection."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since: dict[Stream, tuple[int, float]] = {}  # how far each that waits had come, and since when

    def overdue(self, waiting: "dict[Stream, int]", now: float, limit: float) -> "list[Stream]":
        """Those of *waiting*, with how far each has come, that have waited for *limit* seconds at *now*; 0: none."""
        since = self._since
        self._since = {
            stream: since[stream] if since.get(stream, (-1, now))[0] == done else (done, now)
            for stream, done in waiting.items()
        }
        return [stream for stream, (_, then) in self._since.items() if limit and now - then >= limit]

    def clear(self) -> None:
        """Nobody waits any more."""
        self._since = {}
