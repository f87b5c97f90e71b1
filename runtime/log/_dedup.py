"""Identical lines in a row, told once and then counted.  Manual: Logging, dedup_seconds."""

import threading

from ._line import Line


class Dedup:
    """What one stream last wrote.  Lines are identical when facility and message are."""

    def __init__(self, seconds: float) -> None:
        """*seconds*: how long repetitions are held back before their count is written."""
        self._window = int(seconds * 1_000_000_000)
        self._last: Line | None = None
        self._repeats = 0
        self._lock = threading.Lock()

    def lines(self, line: Line) -> list[Line]:
        """What to write now that *line* was logged: nothing, itself, or the count of what was held back and itself."""
        with self._lock:
            last = self._last
            same = last is not None and last.message == line.message and last.facility == line.facility
            if same and last is not None and line.when - last.when < self._window:
                self._repeats += 1
                return []
            held = self._held(line.when)
            self._last = line
            return [*held, line]

    def due(self, when: int) -> list[Line]:
        """What to write at *when* if nothing else comes: the count, once its window is over."""
        with self._lock:
            if self._last is None or when - self._last.when < self._window:
                return []
            held = self._held(when)
            self._last = None
            return held

    def _held(self, when: int) -> list[Line]:
        if self._last is None or not self._repeats:
            return []
        count, self._repeats = self._repeats, 0
        message = b"the line before was repeated %d time%s\n" % (count, b"" if count == 1 else b"s")
        told = Line(when, self._last.facility, message, self._last.file, self._last.line, ())
        return [told]
