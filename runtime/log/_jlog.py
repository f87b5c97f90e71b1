"""The log type `jlog`: each line a message of a journal.  Manual: Log Types, jlog."""

import errno
import os
import re
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from runtime import jlog

from ._base import LogError, tell
from ._types import NO_CONFIG, LogType, whole_number

LARGEST_SEGMENT = 1 << 30  # bytes; a larger segment_size changes nothing


class JlogType(LogType):
    """A jlog at ``path``, or ``path(subscriber)`` for a jlog with that subscriber; ``(*)`` names none."""

    is_sure = True

    def __init__(self, name: str, path: str | None, fd: int | None, config: Mapping[str, str] = NO_CONFIG) -> None:
        super().__init__(name, path, fd, config)
        found = re.fullmatch(r"(?P<directory>[^()]+)(?:\((?P<subscriber>[^()]+)\))?", path or "")
        if found is None:
            raise LogError(f"log '{name}': the path of a jlog is a directory, or 'directory(subscriber)', not '{path}'")
        self._directory = found["directory"]
        self._subscriber = found["subscriber"]
        self._segment_size = whole_number(name, config, "segment_size")
        self._precommit = whole_number(name, config, "precommit")
        self._writer: jlog.Writer | None = None
        self._lock = threading.RLock()
        self._failing = False

    def open(self) -> None:
        settings = {}
        if self._segment_size and self._segment_size <= LARGEST_SEGMENT:
            settings["unit_limit"] = self._segment_size
        try:
            self._writer = jlog.Writer(self._directory, precommit=self._precommit, **settings)
            if self._subscriber not in (None, "*"):
                jlog.add_subscriber(self._directory, self._subscriber)
        except jlog.JlogError as bad:
            raise LogError(f"log '{self.name}': {bad}") from None

    def check(self) -> None:
        there = Path(self._directory)
        while not there.exists() and there != there.parent:
            there = there.parent
        if not there.is_dir():
            raise LogError(f"log '{self.name}': jlog {self._directory}: {there} is no directory")
        if not os.access(there, os.W_OK | os.X_OK):
            raise LogError(f"log '{self.name}': jlog {self._directory}: {os.strerror(errno.EACCES)}")

    def reopen(self) -> None:
        with self._lock:
            before = self._writer
            self.open()
            if before is not None:
                self._quietly(before)

    def write(self, when: int, line: bytes) -> None:
        self.write_all([(when, line)])

    def write_all(self, lines: Iterable[tuple[int, bytes]]) -> None:
        batch = list(lines)
        with self._lock:
            if self._writer is None:
                self.write_errors += len(batch)
                return
            try:
                self._writer.write_all(batch)
                self._failing = False
            except jlog.JlogError as failure:
                self.write_errors += len(batch)
                first, self._failing = not self._failing, True
                if first:
                    tell(f"log '{self.name}': {failure}; lines are lost until it can be written again\n")

    def close(self) -> None:
        with self._lock:
            writer, self._writer = self._writer, None
            if writer is not None:
                self._quietly(writer)

    def forked(self) -> None:
        self._lock = threading.RLock()

    def _quietly(self, writer: jlog.Writer) -> None:
        try:
            writer.close()
        except jlog.JlogError as failure:
            tell(f"log '{self.name}': {failure}\n")
