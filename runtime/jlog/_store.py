"""The directory of a jlog: its files, their locks, and who subscribes."""

import fcntl
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ._format import Id, JlogError, Metastore, scan

DIRECTORY_MODE: Final = 0o750
FILE_MODE: Final = 0o640

BEGIN, END = "begin", "end"
"""Where a subscriber starts: with the earliest message there is, or after the last."""

_SEGMENT: Final = re.compile(r"[0-9a-f]{8}")

_locks: dict[str, threading.RLock] = {}
_locks_lock = threading.Lock()


def _forked() -> None:
    global _locks_lock
    _locks_lock = threading.Lock()
    _locks.clear()


os.register_at_fork(after_in_child=_forked)


@contextmanager
def locked(path: Path, name: str) -> Iterator[int]:
    """The file *name* of the jlog, made if missing, locked against other processes and all of the jlog against threads.

    Gives a descriptor for reading and writing."""
    with thread_lock(path):
        fd = os.open(path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)


def thread_lock(path: Path) -> threading.RLock:
    """Held by a thread while it has a file of the jlog open: closing one would drop the locks of another thread."""
    with _locks_lock:
        return _locks.setdefault(os.path.realpath(path), threading.RLock())


def create(path: str | os.PathLike[str], **settings: int) -> Path:
    """Make a jlog at *path* unless there is one; *settings* are those of :class:`Metastore`, for a new one.

    Returns the path.  Raises :exc:`JlogError`."""
    directory = Path(path)
    try:
        directory.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
        with locked(directory, "metastore") as fd:
            if os.fstat(fd).st_size == 0:
                os.pwrite(fd, Metastore(**settings).pack(), 0)
    except OSError as failure:
        raise JlogError(f"jlog {path}: {failure.strerror}") from None
    return directory


def read_metastore(path: Path) -> Metastore:
    """Raises :exc:`JlogError` when there is none that can be understood."""
    try:
        return Metastore.unpack((path / "metastore").read_bytes())
    except (OSError, ValueError) as bad:
        raise JlogError(f"jlog {path}: metastore: {getattr(bad, 'strerror', None) or bad}") from None


def metastore(path: str | os.PathLike[str]) -> Metastore:
    """What all who open the jlog agree on.  Raises :exc:`JlogError` when there is none that can be understood."""
    return read_metastore(Path(path))


def segments(path: str | os.PathLike[str]) -> list[int]:
    """The numbers of the segments there are, in order.  Raises :exc:`JlogError`."""
    try:
        return sorted(int(each.name, 16) for each in Path(path).iterdir() if _SEGMENT.fullmatch(each.name))
    except OSError as failure:
        raise JlogError(f"jlog {path}: {failure.strerror}") from None


def segment_name(number: int) -> str:
    """The file of segment *number*."""
    return f"{number:08x}"


def read_segment(path: Path, number: int) -> bytes:
    """The bytes of a segment, none when it is missing.  Raises :exc:`JlogError` for one that cannot be read."""
    with thread_lock(path):
        try:
            return (path / segment_name(number)).read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as failure:
            raise JlogError(f"jlog {path}: segment {segment_name(number)}: {failure.strerror}") from None


def subscribers(path: str | os.PathLike[str]) -> dict[str, Id]:
    """The subscribers by name, each with its checkpoint.  Raises :exc:`JlogError`."""
    found = {}
    try:
        for each in Path(path).iterdir():
            if each.name.startswith("cp."):
                name = bytes.fromhex(each.name[3:]).decode("utf-8", "surrogateescape")
                found[name] = Id.unpack(each.read_bytes())
    except (OSError, ValueError) as bad:
        raise JlogError(f"jlog {path}: {getattr(bad, 'strerror', None) or bad}") from None
    return found


def checkpoint_name(subscriber: str) -> str:
    """The file of a subscriber's checkpoint."""
    return "cp." + subscriber.encode("utf-8", "surrogateescape").hex()


def add_subscriber(path: str | os.PathLike[str], name: str, where: "str | Id" = BEGIN) -> bool:
    """Subscribe *name* from BEGIN, END or after an id; returns False, and changes nothing, if it is subscribed.

    Raises :exc:`JlogError` for an empty name."""
    directory = Path(path)
    if not name:
        raise JlogError(f"jlog {path}: a subscriber needs a name")
    meta = read_metastore(directory)
    if where == BEGIN:
        place = Id((segments(directory) or [meta.storage_log])[0], 0)
    elif where == END:
        data = memoryview(read_segment(directory, meta.storage_log))
        place = Id(meta.storage_log, len(scan(meta.magic, data)[0]))
    elif isinstance(where, Id):
        place = where
    else:
        raise JlogError(f"jlog {path}: a subscriber starts at BEGIN, at END or at an Id, not at {where!r}")
    try:
        with locked(directory, checkpoint_name(name)) as fd:
            if os.fstat(fd).st_size:
                return False
            os.pwrite(fd, place.pack(), 0)
    except OSError as failure:
        raise JlogError(f"jlog {path}: subscriber '{name}': {failure.strerror}") from None
    return True


def remove_subscriber(path: str | os.PathLike[str], name: str) -> bool:
    """End a subscription; returns whether there was one.  Raises :exc:`JlogError` when it cannot be ended."""
    try:
        (Path(path) / checkpoint_name(name)).unlink()
    except FileNotFoundError:
        return False
    except OSError as failure:
        raise JlogError(f"jlog {path}: subscriber '{name}': {failure.strerror}") from None
    clean(Path(path))
    return True


def clean(path: Path) -> list[int]:
    """Remove the segments that every subscriber has left behind; returns their numbers."""
    checkpoints = subscribers(path).values()
    if not checkpoints:
        return []
    least = min(each.log for each in checkpoints)
    gone = [each for each in segments(path) if each < min(least, read_metastore(path).storage_log)]
    for number in gone:
        for name in (segment_name(number), segment_name(number) + ".idx"):
            (path / name).unlink(missing_ok=True)
    return gone


def repair(path: str | os.PathLike[str]) -> int:
    """Drop what was torn by a crash from every segment; returns how many bytes.  Nobody may write meanwhile."""
    directory = Path(path)
    meta = read_metastore(directory)
    dropped = 0
    for number in segments(directory):
        with locked(directory, segment_name(number)):
            data = read_segment(directory, number)
            view = memoryview(data)
            offsets, end, torn = scan(meta.magic, view)
            if not torn and end == len(data):
                continue
            stops = [*offsets[1:], end]
            holes = dict(torn)
            starts = {stop: start for start, stop in holes.items()}
            whole = b"".join(data[start : starts.get(stop, stop)] for start, stop in zip(offsets, stops, strict=False))
            temporary = directory / f".{segment_name(number)}"
            temporary.write_bytes(whole)
            temporary.chmod(FILE_MODE)
            temporary.replace(directory / segment_name(number))
            (directory / f"{segment_name(number)}.idx").unlink(missing_ok=True)
            dropped += len(data) - len(whole)
    return dropped
