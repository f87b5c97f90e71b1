"""Files and directories for Lua, as far as Lua cannot ask the system itself.  Manual: mtev.lockfile_*, mtev.getcwd."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luamtev.state import State


def functions(_state: "State") -> dict[str, Callable[..., Any]]:
    """What ``mtev/files.lua`` builds on."""
    return {
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
