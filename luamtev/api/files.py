"""Files and directories for Lua, as far as Lua cannot ask the system itself.  Manual: mtev.lockfile_*, mtev.getcwd.

Whole files are read and written in a job queue: a disk may take its time."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luamtev.api import jobs

if TYPE_CHECKING:
    from luamtev.port import Port


_CHUNK = 1048576  # bytes read at a time


def functions(state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/files.lua`` builds on."""

    def read_later(ticket: int, path: bytes, limit: float) -> None:
        def readfile() -> jobs.Answer:
            return file_read(path, limit)

        jobs.begin(state, ticket, "files", readfile)

    def put_later(ticket: int, path: bytes, data: bytes, mode: float, how: bytes) -> None:
        def writefile() -> jobs.Answer:
            return file_put(path, data, mode, how)

        jobs.begin(state, ticket, "files", writefile)

    return {
        "file_read": file_read,
        "file_read_later": read_later,
        "file_put": file_put,
        "file_put_later": put_later,
        "file_status": file_status,
        "directory_list": directory_list,
        "current_directory": current_directory,
        "lockfile_acquire": lockfile_acquire,
        "lockfile_release": lockfile_release,
    }


def file_status(file: bytes | float) -> tuple[Any, ...]:
    """Device, inode, mode, links, user, group, device of a device file and size of a path, links not followed, or of a
    descriptor; or None, an error's number and its text."""
    try:
        found = os.lstat(file) if isinstance(file, bytes) else os.fstat(int(file))
    except OSError as failure:
        return None, failure.errno, failure.strerror
    numbers = (
        found.st_dev,
        found.st_ino,
        found.st_mode,
        found.st_nlink,
        found.st_uid,
        found.st_gid,
        found.st_rdev,
        found.st_size,
    )
    return tuple(map(float, numbers))  # an integer of more than 63 bits could not cross


def file_read(path: bytes, limit: float) -> jobs.Answer:
    """All that is in the file *path*; or None, an error's number and its text, EFBIG beyond *limit* bytes.

    Blocks, but not for whoever might write to a pipe."""
    most = int(limit)
    try:
        with open(_opened(path, os.O_RDONLY), "rb", buffering=0) as file:
            data = bytearray()
            while chunk := os.read(file.fileno(), min(_CHUNK, most + 1 - len(data))):
                data += chunk
                if len(data) > most:
                    raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
            return (bytes(data),)
    except OSError as failure:
        return None, *_told(failure)


def file_put(path: bytes, data: bytes, mode: float, how: bytes) -> jobs.Answer:
    """Make *data* what is in the file *path*, or the end of it where *how* is ``append``; a new file gets *mode*.

    Returns True; or False, an error's number and its text.  Blocks."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if how == b"append" else os.O_TRUNC)
    try:
        with open(_opened(path, flags, int(mode)), "wb", buffering=0) as file:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file.fileno(), rest) :]
    except OSError as failure:
        return False, *_told(failure)
    return (True,)


def _opened(path: bytes, flags: int, mode: int = 0) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, mode)


def _told(failure: OSError) -> tuple[int, bytes]:
    return failure.errno or 0, (failure.strerror or str(failure)).encode("utf-8", "replace")


def directory_list(path: bytes) -> bytes | None:
    """The names in a directory, a zero byte between them; None when it cannot be opened."""
    try:
        with os.scandir(path) as entries:
            return b"\0".join((b".", b"..", *(each.name for each in entries)))
    except OSError:
        return None


def current_directory() -> bytes | None:
    """The working directory, None when it is no more."""
    try:
        return os.fsencode(Path.cwd())
    except OSError:
        return None


def lockfile_acquire(path: bytes) -> int:
    """Lock a file; returns its descriptor or -1."""
    from runtime import lockfile  # here, because few programs do

    return lockfile.acquire(path)


def lockfile_release(fd: float) -> int:
    """Let go of a locked file; returns 0 or -1."""
    from runtime import lockfile

    return lockfile.release(int(fd))
