"""What stands in for a log type that nobody knows yet: modules bring types, and logs come before modules.

Manual: Adding custom logging types.
"""

import threading
from collections import deque

from ._types import LogType

MOST = 10_000
"""Lines that are kept until the type is there."""


class Pending(LogType):
    """Keeps the lines; :meth:`hand_over` gives them to the type itself."""

    is_sure = True

    asynch = False

    def open(self) -> None:
        """Nothing to do."""
        self._kept: deque[tuple[int, bytes]] = deque()
        self._lock = threading.Lock()

    def write(self, when: int, line: bytes) -> None:
        """Keep *line*, or count it."""
        with self._lock:
            if len(self._kept) >= MOST:
                self.write_errors += 1
            else:
                self._kept.append((when, line))

    def hand_over(self, real: LogType) -> None:
        """Have *real* write what was kept."""
        with self._lock:
            kept, self._kept = self._kept, deque()
            real.write_errors, self.write_errors = real.write_errors + self.write_errors, 0
        if kept:
            real.write_all(kept)

    def close(self) -> None:
        """What is still kept is lost, and counted."""
        with self._lock:
            self.write_errors += len(self._kept)
            self._kept.clear()

    def forked(self) -> None:
        """The lines go along: the types of a server are its own to know."""
        self._lock = threading.Lock()
