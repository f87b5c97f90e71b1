"""The log types `file` and `file_synch`: one write a line, to a path or to a descriptor.  Manual: Log Types, file.

A line is one write in append mode, which the system keeps apart from all others if the file is a regular one: those
need no lock, and threads that log do not wait for each other.  Elsewhere, and for what the system did not take at once,
a lock keeps lines whole.

A thread may be about to write when another closes the file.  So the descriptor of a path keeps its number as long as
anyone could use it; reopening and closing only change what is behind the number.
"""

import os
import select
import stat
import threading
import weakref
from collections import deque
from collections.abc import Iterable, Mapping
from os import write as os_write
from pathlib import Path

from ._base import LogError, tell
from ._rotate import cull, free
from ._types import NO_CONFIG, LogType

STDERR = 2
MODE = 0o664
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY

CLOSE_PATIENCE = 1.0
"""Seconds for which closing waits on a write that does not come to an end, a full pipe nobody reads say."""


class File(LogType):
    """Lines to *path*, opened when :meth:`open` says so, or to the descriptor *fd*, which stays the caller's."""

    def __init__(self, name: str, path: str | None, fd: int | None, config: Mapping[str, str] = NO_CONFIG) -> None:
        super().__init__(name, path, fd, config)
        if (path is None) == (fd is None):
            raise LogError(f"log '{name}': a file log needs either a path or a descriptor")
        if fd is not None and fd < 0:
            raise LogError(f"log '{name}': {fd} is no descriptor")
        self._fd = -1 if fd is None else fd
        self._regular = False
        self._closed = False
        self._lock = threading.RLock()  # re-entrant: a signal handler or finalizer may log in the middle of a write
        self._writing = False
        self._pending: deque[bytes] = deque()  # the rest of the line being written, then what came meanwhile
        self._failing = False
        if self.retention is not None and path is None:
            raise LogError(f"log '{name}': a descriptor cannot be rotated")

    @property
    def direct_to(self) -> int:
        """The descriptor that lines are written to."""
        return self._fd

    def open(self) -> None:
        if self.path is not None:
            self._fd = self._opened(self.path)
            weakref.finalize(self, os.close, self._fd).atexit = False
        try:
            self._regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
        except OSError:
            pass  # a descriptor that is not open, yet: writing to it will fail

    def follow(self) -> None:
        if self.path is not None and not self._closed and Path(self.path).exists():
            try:
                self.reopen()
            except LogError:
                pass  # gone again, or not ours to open: what is open will do

    def reopen(self) -> None:
        if self.path is None:
            return
        try:
            there, here = Path(self.path).stat(), os.fstat(self._fd)
            if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                return
        except (OSError, ValueError):
            pass  # moved away
        fresh = self._opened(self.path)
        with self._lock:
            self._become(fresh)
            self._regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
            self._closed = False

    def direct(self) -> int:
        return self._fd if self._regular and not self._failing else -1

    def size(self) -> int | None:
        return None if self._closed else os.fstat(self._fd).st_size

    def begun(self) -> float | None:
        state = os.fstat(self._fd)
        return state.st_mtime if state.st_size else None

    def rename(self, target: str) -> bool:
        assert self.path is not None
        here = os.fstat(self._fd)
        there = Path(self.path).stat()
        if (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino):
            return True  # somebody else did
        if not free(target):
            return False
        Path(self.path).rename(target)
        return True

    def cull(self, age: int | None, size: int | None, now: float) -> list[str]:
        assert self.path is not None
        return cull(self.path, age, size, now)

    def write_all(self, lines: Iterable[tuple[int, bytes]]) -> None:
        batch = [line for _when, line in lines]
        before = self.write_errors
        self.write(0, b"".join(batch))
        if self.write_errors != before:
            self.write_errors += len(batch) - 1

    def write(self, when: int, line: bytes) -> None:
        if self._regular:
            try:
                written = os_write(self._fd, line)
            except OSError:
                pass  # once more, where failures are dealt with
            else:
                if written == len(line):
                    if self._failing:
                        self._recovered()
                    return
                line = line[written:]
        report = None
        with self._lock:
            pending = self._pending
            if self._writing:  # further up on this very thread
                pending.append(line)
                return
            if self._closed:
                self.write_errors += 1
                return
            self._writing = True
            try:
                if pending:
                    pending.append(line)
                else:
                    try:
                        written = os_write(self._fd, line)
                    except OSError:
                        pending.appendleft(line)  # before what a signal handler may have logged by now
                    else:
                        if written != len(line):
                            pending.appendleft(line[written:])
                        elif self._failing:
                            self._recovered()
                if pending:
                    report = self._drain()
            finally:
                self._writing = False
        if report:
            tell(report)

    def close(self) -> None:
        if not self._lock.acquire(timeout=CLOSE_PATIENCE):
            return
        try:
            if self.path is not None and not self._closed:
                self._closed = True
                self._regular = False
                self._become(os.open(os.devnull, os.O_WRONLY))
        except OSError:
            pass  # no null device here: the file stays open until nobody can write to it any more
        finally:
            self._lock.release()

    def forked(self) -> None:
        self._lock = threading.RLock()
        self._writing = False
        self._pending.clear()  # what some other thread was writing: the parent does

    def _opened(self, path: str) -> int:
        try:
            return os.open(path, _FLAGS, MODE)
        except (OSError, ValueError) as failure:  # ValueError: a NUL in the path
            why = failure.strerror if isinstance(failure, OSError) else failure
            raise LogError(f"log '{self.name}': cannot open '{path}': {why}") from None

    def _become(self, fresh: int) -> None:
        """Put what *fresh* is open on behind the number that is written to, and free *fresh*."""
        os.dup2(fresh, self._fd, inheritable=False)
        os.close(fresh)

    def _drain(self) -> str | None:
        """Write what is pending, waiting for the reader where need be; returns what to tell about failures."""
        report = None
        pending = self._pending
        while pending:
            try:
                written = os_write(self._fd, pending[0])
            except BlockingIOError:
                self._wait()
            except OSError as failure:
                pending.popleft()
                report = self._failed(failure) or report
            else:
                if written == len(pending[0]):
                    pending.popleft()
                    if self._failing:
                        self._recovered()
                else:
                    pending[0] = pending[0][written:]
        return report

    def _recovered(self) -> None:
        self._failing = False
        if self.redirected is not None:
            self.redirected()

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        poll.poll()

    def _failed(self, failure: OSError) -> str | None:
        """Count a line that is lost; returns what to tell, if this was not told yet and there is someone to tell."""
        self.write_errors += 1
        if self._failing or self._fd == STDERR:
            return None
        self._failing = True
        if self.redirected is not None:
            self.redirected()
        where = self.path if self.path is not None else f"descriptor {self._fd}"
        return f"log '{self.name}': cannot write to {where}: {failure.strerror}; lines are lost until it can be again\n"
