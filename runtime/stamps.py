"""Whether a file is still the one that was read."""

import os

Stamp = tuple[int, int, int, int]
"""What changes with a file: device, inode, time of change in nanoseconds, size in bytes."""


def stamp(path: str | os.PathLike[str]) -> Stamp | None:
    """That of the file *path*; None where there is none."""
    try:
        state = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size
