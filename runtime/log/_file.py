"""The log types `file` and `file_synch`: one write a line, to a path or to a descriptor.  Manual: Log Types, file.

A line is one write in append mode, which the system keeps apart from all others if the file is a regular one: those
need no lock, and threads that log do not wait for each other.  Elsewhere, and for what the system did not take at once,
a lock keeps lines whole.  Nobody waits for a pipe, a terminal or a socket: what those do not take now stays here for
whoever logs next, and for a thread that lives while something waits.

A thread may be about to write when another closes the file.  So the descriptor of a path keeps its number as long as
anyone could use it; reopening and closing only change what is behind the number.
"""

import errno
import os
import select
import stat
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from os import write as os_write
from pathlib import Path
from time import monotonic

from ._base import LogError, tell
from ._now import takes, write_now
from ._rotate import cull, free
from ._types import NO_CONFIG, LogType

STDERR = 2
MODE = 0o664
_FLAGS = os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK

MOST: int = 8 << 20
"""Bytes that wait for whoever reads a pipe, a terminal or a socket; lines beyond are lost, and counted."""

PATIENCE = 30.0
"""Seconds in which nothing is taken, after which nobody waits for room any more."""

CLOSE_TIMEOUT = 1.0
"""Seconds for which closing waits on a reader that takes nothing."""

_LOOK = 0.5  # seconds between looks at a descriptor that may be another by now


class File(LogType):
    """Lines to *path*, opened when :meth:`open` says so, or to the descriptor *fd*, which stays the caller's."""

    is_sure = True

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
        self._changed = threading.Condition(self._lock)
        self._sending = False
        self._pending: deque[bytes] = deque()  # the rest of the line being written, then what came meanwhile
        self._waiting = 0  # bytes in it
        self._took_at = 0.0  # when some of them were taken, monotonic seconds
        self._for_room: list[Callable[[], object]] = []
        self._drainer: threading.Thread | None = None
        self._unread = 0  # lines lost since it was full
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

    def check(self) -> None:
        if self.path is None:
            return
        there = Path(self.path)
        why = 0
        if there.is_dir():
            why = errno.EISDIR
        elif not there.exists() and not there.parent.is_dir():
            why = errno.ENOTDIR if there.parent.exists() else errno.ENOENT
        elif not os.access(there if there.exists() else there.parent, os.W_OK):
            why = errno.EACCES
        if why:
            raise self._refused(self.path, os.strerror(why))

    def follow(self) -> None:
        if self.path is not None and not self._closed and Path(self.path).exists():
            try:
                self.reopen()
            except LogError:
                pass  # gone again, or not ours to open: what is open will do

    def reopen(self) -> bool:
        if self.path is None:
            return False
        try:
            there, here = Path(self.path).stat(), os.fstat(self._fd)
            if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                return False
        except (OSError, ValueError):
            pass  # moved away
        fresh = self._opened(self.path)
        with self._lock:
            self._become(fresh)
            self._regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
            self._closed = False
        return True

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
        try:
            there = Path(self.path).stat()
        except FileNotFoundError:
            return True  # so did this one, and then no other could be opened
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
        if not self._regular:
            super().write_all(lines)
            return
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
        if not line:
            return
        report = None
        with self._lock:
            if self._closed:
                self.write_errors += 1
                return
            if self._pending and self._waiting + len(line) > MOST:
                report = self._overflown()
            else:
                if not self._pending:
                    self._took_at = monotonic()
                self._pending.append(line)
                self._waiting += len(line)
            if not self._sending:  # else further up on this very thread
                report = self._send() or report
        if report:
            tell(report)

    def flush(self, timeout: float | None = None) -> bool:
        end = None if timeout is None else monotonic() + timeout
        with self._lock:
            while self._pending:
                left = CLOSE_TIMEOUT if end is None else min(CLOSE_TIMEOUT, end - monotonic())
                if left <= 0 or not self._changed.wait(left):
                    return False
        return True

    @property
    def is_full(self) -> bool:
        return self._waiting > MOST // 2

    def await_room(self, function: Callable[[], object]) -> bool:
        with self._lock:
            if not self.is_full or self._drainer is None or self._is_stuck:
                return False
            self._for_room.append(function)
        return True

    @property
    def _is_stuck(self) -> bool:
        return monotonic() > self._took_at + PATIENCE

    def close(self) -> None:
        self.flush(CLOSE_TIMEOUT)
        with self._lock:
            if self.path is None or self._closed:
                return
            self._closed = True
            self._regular = False
            self.write_errors += len(self._pending)
            self._forget()
            try:
                self._become(os.open(os.devnull, os.O_WRONLY))
            except OSError:
                pass  # no null device here: the file stays open until nobody can write to it any more

    def forked(self) -> None:
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._sending = False
        self._drainer = None
        self._for_room.clear()
        self._forget()  # what some other thread was writing: the parent does

    def _forget(self) -> None:
        self._pending.clear()
        self._waiting = self._unread = 0
        self._tell_of_room()

    def _tell_of_room(self) -> None:
        waiting, self._for_room = self._for_room, []
        for function in waiting:
            function()

    def _opened(self, path: str) -> int:
        # A pipe opened to read as well never waits for its reader, and outlives it.
        way = os.O_RDWR if _is_fifo(path) else os.O_WRONLY | os.O_CREAT
        try:
            return os.open(path, _FLAGS | way, MODE)
        except (OSError, ValueError) as failure:  # ValueError: a NUL in the path
            why = failure.strerror if isinstance(failure, OSError) else failure
            raise self._refused(path, why) from None

    def _refused(self, path: str, why: object) -> LogError:
        directory = os.path.dirname(path) or "."  # noqa: PTH120 - as it was given
        lacking = "" if os.path.isdir(directory) or "\0" in path else f": directory {directory} does not exist"  # noqa: PTH112
        return LogError(f"log '{self.name}': cannot open '{path}': {why}{lacking}")

    def _become(self, fresh: int) -> None:
        """Put what *fresh* is open on behind the number that is written to, and free *fresh*."""
        os.dup2(fresh, self._fd, inheritable=False)
        os.close(fresh)

    def _send(self) -> str | None:
        """Write what is pending as far as it is taken now; returns what to tell about failures.  Holds the lock."""
        report = None
        self._sending = True
        try:
            while self._pending:
                try:
                    written = (os_write if self._regular else write_now)(self._fd, self._next())
                except BlockingIOError:
                    self._drain_later()
                    break
                except OSError as failure:
                    self._waiting -= len(self._pending.popleft())
                    report = self._failed(failure) or report
                else:
                    self._took(written)
                if self._for_room and not self.is_full:
                    self._tell_of_room()
            else:
                if self._unread:
                    report = f"log '{self.name}': {self._place} is read again; {self._unread} lines were lost\n"
                    self._unread = 0
        finally:
            self._sending = False
        return report

    def _next(self) -> bytes:
        """Lines to be written at once: as many as stay together on a pipe that others write to as well."""
        pending = self._pending
        size, count = len(pending[0]), 1
        while count < len(pending) and size + len(pending[count]) <= select.PIPE_BUF:
            size += len(pending[count])
            count += 1
        return pending[0] if count == 1 else b"".join(pending[each] for each in range(count))

    def _took(self, written: int) -> None:
        self._waiting -= written
        self._took_at = monotonic()
        while written:
            first = self._pending[0]
            if written < len(first):
                self._pending[0] = first[written:]
                return
            written -= len(self._pending.popleft())
        if self._failing:
            self._recovered()

    def _drain_later(self) -> None:
        if self._drainer is None:
            self._drainer = threading.Thread(target=self._drain, name=f"log/{self.name}", daemon=True)
            try:
                self._drainer.start()
            except RuntimeError:  # no more threads: whoever logs next tries again
                self._drainer = None

    def _drain(self) -> None:
        """Write what is pending whenever there is somebody to take it, until nothing is."""
        me = threading.current_thread()
        while True:
            ready = takes(self._fd, _LOOK)
            with self._lock:
                report = self._send() if ready and not self._sending else None
                if ready:
                    self._changed.notify_all()
                elif self._for_room and self._is_stuck:
                    self._tell_of_room()
                done = not self._pending
                if done and self._drainer is me:
                    self._drainer = None
            if report:
                tell(report)
            if done:
                return

    def _recovered(self) -> None:
        self._failing = False
        if self.redirected is not None:
            self.redirected()

    @property
    def _place(self) -> str:
        return self.path if self.path is not None else f"descriptor {self._fd}"

    def _overflown(self) -> str | None:
        """Count a line that there is no room for; returns what to tell, if it is the first."""
        self.write_errors += 1
        self._unread += 1
        if self._unread > 1:
            return None
        return f"log '{self.name}': nobody reads {self._place}, {MOST} bytes wait; lines are lost until somebody does\n"

    def _failed(self, failure: OSError) -> str | None:
        """Count a line that is lost; returns what to tell, if this was not told yet and there is someone to tell."""
        self.write_errors += 1
        if self._failing or self._fd == STDERR:
            return None
        self._failing = True
        if self.redirected is not None:
            self.redirected()
        why = failure.strerror
        return f"log '{self.name}': cannot write to {self._place}: {why}; lines are lost until it can be again\n"


def _is_fifo(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)  # noqa: PTH116 - a path as configured, with a NUL perhaps
    except (OSError, ValueError):
        return False
