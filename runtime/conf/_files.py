"""Files that are replaced as a whole or not at all."""

import os
from pathlib import Path

from ._errors import ConfError


def replace(path: Path, data: bytes) -> None:
    """Have *data* as the content of *path*, through a file beside it that takes its place once it is on the disk.

    Mode and, where allowed, owner stay; of a symbolic link the file that it leads to is replaced.
    Raises :exc:`ConfError` naming *path*, which is then as it was."""
    target = Path(os.path.realpath(path))
    temporary = None
    try:
        before = target.stat() if target.exists() else None
        import tempfile

        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, before.st_mode & 0o7777 if before else 0o666 & ~_umask())
            if before and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                _give(descriptor, before.st_uid, before.st_gid)
            os.fsync(descriptor)
        Path(temporary).replace(target)
        temporary = None
        synchronise(target.parent)
    except (OSError, ValueError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) else failure
        raise ConfError(f"cannot write: {reason}", path) from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def synchronise(directory: Path) -> None:
    """Have the names in *directory* on the disk.  Raises :exc:`OSError`."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _give(descriptor: int, user: int, group: int) -> None:
    try:
        os.fchown(descriptor, user, group)
    except OSError:
        pass  # only root may; the file is ours then


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
