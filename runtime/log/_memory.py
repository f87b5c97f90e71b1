"""The log type `memory`: the last lines, kept in memory within two limits.  Manual: Log Types, memory."""

import threading
from collections import deque
from collections.abc import Mapping

from ._base import LogError
from ._types import NO_CONFIG, LogType

Entry = tuple[int, int, bytes]
"""Index, counted from 0 for ever; nanoseconds since the epoch; the line."""


class Memory(LogType):
    """At most so many lines and so many bytes, as its path ``lines,bytes`` says."""

    is_sure = True

    asynch = False

    def __init__(self, name: str, path: str | None, fd: int | None, config: Mapping[str, str] = NO_CONFIG) -> None:
        super().__init__(name, path, fd, config)
        parts = [each.strip() for each in (path or "").split(",")]
        if len(parts) != 2 or not all(each.isdecimal() and int(each) > 0 for each in parts):
            raise LogError(
                f"log '{name}': the path of a memory log is 'lines,bytes', two numbers above 0, not '{path}'"
            )
        self._most_lines, self._most_bytes = int(parts[0]), int(parts[1])
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._next = 0
        self._lock = threading.Lock()

    def open(self) -> None:
        """Nothing to do."""

    def write(self, when: int, line: bytes) -> None:
        """Keep *line*; the oldest make room.  A line longer than the limit is counted and not kept."""
        with self._lock:
            index = self._next
            self._next += 1
            if len(line) > self._most_bytes:
                self.write_errors += 1
                return
            self._entries.append((index, when, line))
            self._bytes += len(line)
            while len(self._entries) > self._most_lines or self._bytes > self._most_bytes:
                self._bytes -= len(self._entries.popleft()[2])

    def entries(self, since: int | None = None, last: int | None = None) -> list[Entry]:
        """The lines kept, oldest first: those after index *since*, and of them the newest *last*."""
        with self._lock:
            found = [each for each in self._entries if since is None or each[0] > since]
        return found if last is None else found[max(0, len(found) - last) :]

    def close(self) -> None:
        """The lines stay."""

    def forked(self) -> None:
        self._lock = threading.Lock()
