"""What a server does to the process it is: its lock, the background, and those who ask for it.  Manual: mtev_main.

The lock file is the attribute ``lockfile`` of the configuration's root.  It is held by the process that was started, or
by its monitor, so it tells who that is for as long as it lives, and nobody longer.
"""

import enum
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from runtime import lockfile
from runtime.conf import Conf

EXIT_LOCKED = -1
"""Told where the lock file cannot be had."""

POLL = 0.1  # seconds between two tries for a lock
TERMINATE_TIMEOUT = 30.0


class LockOp(enum.Enum):
    """What to do about the lock file.  Manual: ``mtev_main``, lockop."""

    NONE = "none"
    """Ignore it."""
    LOCK = "lock"
    """Take it, or do not start."""
    WAIT = "wait"
    """Wait for it."""


class LockError(Exception):
    """Another process holds the lock file, or it cannot be used; the message says which."""


def lock(configuration: Conf, operation: LockOp) -> int | None:
    """Take the lock file of *configuration*; returns its descriptor, None when there is none to take.

    Raises :exc:`LockError` naming the file and who holds it."""
    path = configuration.root.get("lockfile")
    if not path or operation is LockOp.NONE:
        return None
    while True:
        fd, owner = lockfile.acquire_owner(path)
        if fd >= 0:
            return fd
        if owner < 0 and not _is_usable(path):
            raise LockError(_unusable(configuration, path))
        if operation is LockOp.LOCK:
            who = f"process {owner}" if owner > 0 else "another process"
            raise LockError(f"lockfile {path}: {who} holds it")
        time.sleep(POLL)


def check(configuration: Conf) -> None:
    """Raises :exc:`LockError` for a lock file that cannot be used; it may be held."""
    path = configuration.root.get("lockfile")
    if path and not _is_usable(path):
        raise LockError(_unusable(configuration, path))


def _unusable(configuration: Conf, path: str) -> str:
    return str(configuration.error(f"lockfile {path}: cannot be opened for writing", configuration.root))


def status(configuration: Conf) -> tuple[int, int] | None:
    """Process id and process group of the server that runs under *configuration*, or None.

    Manual: ``mtev_main_status``."""
    path = configuration.root.get("lockfile")
    if not path or not os.path.exists(path):  # noqa: PTH110
        return None
    fd, owner = lockfile.acquire_owner(path)
    if fd >= 0:
        lockfile.release(fd)
        return None
    if owner <= 0:
        return None
    try:
        return owner, os.getpgid(owner)
    except ProcessLookupError:
        return None


def terminate_running(configuration: Conf, timeout: float = TERMINATE_TIMEOUT) -> bool:
    """Have the server that runs under *configuration* end; True when none runs any more after *timeout* seconds.

    Raises PermissionError when it belongs to somebody else.  Manual: ``mtev_main_terminate``."""
    found = status(configuration)
    if found is None:
        return True
    try:
        os.kill(found[0], signal.SIGTERM)
    except ProcessLookupError:
        pass
    deadline = time.monotonic() + timeout
    while status(configuration) is not None:
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL)
    return True


class StartError(Exception):
    """The server in the background did not come up; ``status`` is the exit status that it ended with."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Background:
    """What a process in the background tells the one that the user started, which waits for it."""

    def __init__(self, writer: int) -> None:
        self._writer = writer

    def told(self, status: int, message: str = "") -> None:
        """It is up, 0, or has failed with *status*.  What is said first counts."""
        if self._writer >= 0:
            line = f"{status} {' '.join(message.split())}\n".encode()
            try:
                os.write(self._writer, line[: select.PIPE_BUF])
            except OSError:
                pass  # nobody waits any more
            os.close(self._writer)
            self._writer = -1


def daemonize(begin: Callable[[], None]) -> Background:
    """Go on in the background: a session of its own, and 0, 1 and 2 lead nowhere.

    *begin* is called there before; what it raises is raised here, in the process that the user started.  That waits
    until it is told how the start went, ends with status 0 when it went well, and raises :exc:`StartError` else."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork() > 0:
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            line = pipe.readline()
        os.wait()
        _conclude(line.decode("utf-8", "replace"))
    os.close(reader)
    os.setsid()
    if os.fork() > 0:
        os._exit(0)
    background = Background(writer)
    try:
        begin()
    except LockError as failure:
        background.told(EXIT_LOCKED, str(failure))
        os._exit(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    return background


def _conclude(line: str) -> NoReturn:
    """End as the process in the background has told."""
    number, _, message = line.strip().partition(" ")
    if number == "0":
        os._exit(0)
    status = int(number or 1)
    if status == EXIT_LOCKED:
        raise LockError(message)
    raise StartError(message or f"the server ended with status {status} before it was up: its log says why", status)


def _is_usable(path: str) -> bool:
    """Whether *path* could be opened, found out without: closing it would let go of a lock of this process's own."""
    file = Path(path)
    if file.exists():
        return file.is_file() and os.access(file, os.R_OK | os.W_OK)
    return os.access(file.parent, os.W_OK | os.X_OK)
