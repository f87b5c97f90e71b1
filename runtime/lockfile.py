"""Lock files: a file that one process holds at a time.  Manual: mtev_lockfile_acquire, _acquire_owner, _release.

The lock is the system's record lock (fcntl) on the whole file, so it ends with its process however that ends, and the
file itself stays.  Such locks know processes only: one process may lock twice, and loses its lock as soon as it closes
*any* descriptor of the file.  So what this process holds is kept in a table, and a second acquisition is refused before
the file is opened again.  Whoever else opens and closes the file in this process lets go of the lock.
"""

import fcntl
import os
import struct
import sys
import threading
from pathlib import Path

_REFUSED = -1

# struct flock: where the owner is found, and what asks for it.
if sys.platform == "linux":
    _FLOCK = struct.Struct("hhqqi4x")  # type, whence, start, length, pid
    _QUERY = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    _PID = 4
else:
    _FLOCK = struct.Struct("qqihhi4x")  # start, length, pid, type, whence; FreeBSD: system id
    _QUERY = _FLOCK.pack(0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET, 0)
    _PID = 2

_FileId = tuple[int, int]

_lock = threading.Lock()
_held: dict[_FileId, int] = {}  # device and inode of a file -> the descriptor it is locked through


def acquire(path: str | bytes | os.PathLike[str]) -> int:
    """Lock the file *path*, created if need be, without waiting.

    Returns the descriptor that holds the lock, -1 when another process or this one holds it or the file cannot be
    opened.  Manual: mtev_lockfile_acquire."""
    return acquire_owner(path)[0]


def acquire_owner(path: str | bytes | os.PathLike[str]) -> tuple[int, int]:
    """As :func:`acquire`; the second result is the pid of the other process that holds the lock, else -1.

    Manual: mtev_lockfile_acquire_owner."""
    with _lock:
        try:
            if _is_held(_file_id(Path(os.fsdecode(path)).stat())):
                return _REFUSED, -1
        except FileNotFoundError:
            pass
        except (OSError, ValueError):  # ValueError: a zero byte in the path
            return _REFUSED, -1
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o644)
        except (OSError, ValueError):
            return _REFUSED, -1
        identity = _file_id(os.fstat(fd))
        if _is_held(identity):
            return _REFUSED, -1  # became one of ours meanwhile: closing the descriptor would let go of that lock
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = _owner(fd)
            os.close(fd)
            return _REFUSED, owner
        _held[identity] = fd
        return fd, -1


def release(fd: int) -> int:
    """Let go of the lock held through *fd* and close it; the file stays.

    Returns 0, or -1 when *fd* holds no lock.  Manual: mtev_lockfile_release."""
    with _lock:
        for identity, holder in _held.items():
            if holder == fd:
                del _held[identity]
                if not _is_file(fd, identity):
                    return -1
                os.close(fd)
                return 0
    return -1


def _file_id(status: os.stat_result) -> _FileId:
    return status.st_dev, status.st_ino


def _is_file(fd: int, identity: _FileId) -> bool:
    try:
        return _file_id(os.fstat(fd)) == identity
    except OSError:
        return False


def _is_held(identity: _FileId) -> bool:
    """Whether this process holds the lock; one whose descriptor was closed behind our back is forgotten."""
    fd = _held.get(identity)
    if fd is None:
        return False
    if _is_file(fd, identity):
        return True
    del _held[identity]
    return False


def _owner(fd: int) -> int:
    """The process that holds the lock on *fd*, -1 when it has gone or cannot be told."""
    try:
        pid = int(_FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, _QUERY))[_PID])
    except OSError:
        return -1
    return pid if pid > 0 else -1


def _after_fork() -> None:
    """A child holds none of its parent's locks."""
    global _lock
    _lock = threading.Lock()
    _held.clear()


os.register_at_fork(after_in_child=_after_fork)
