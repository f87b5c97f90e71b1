"""Appending to a jlog."""

import fcntl
import os
import struct
import time
from pathlib import Path

from ._format import SAFE, JlogError, Metastore, encode, scan
from ._store import FILE_MODE, create, locked, read_metastore, read_segment, segment_name

_USED = struct.Struct("=I")
MOST_PRECOMMIT = 8 * 1024 * 1024  # bytes


class Writer:
    """Appends messages to the jlog at *path*, which is made if there is none.  For any thread.

    With *precommit* bytes, messages gather in a buffer on disk, and go into the segment when the next does not fit."""

    def __init__(self, path: str | os.PathLike[str], *, precommit: int | None = None, **settings: int) -> None:
        """*settings*: unit_limit in bytes, safety, for a new jlog.  Raises :exc:`JlogError`."""
        self.path = create(path, **settings)
        self._fd = -1
        self._number = -1
        try:
            with locked(self.path, "metastore") as meta:
                self._meta = read_metastore(self.path)
                self._mend()
                self._precommit = self._open_precommit(meta, precommit)
        except OSError as failure:
            raise JlogError(f"jlog {path}: {failure.strerror}") from None

    def write(self, data: bytes, when: int | None = None) -> None:
        """Append *data*, logged at *when*: nanoseconds since the epoch, now if missing.

        Raises :exc:`JlogError`; nothing of the message is there then."""
        self.write_all([(time.time_ns() if when is None else when, data)])

    def write_all(self, messages: list[tuple[int, bytes]]) -> None:
        """Append several, each with its time.  Raises :exc:`JlogError`; those before the one that failed are there."""
        try:
            with locked(self.path, "metastore") as meta:
                self._meta = Metastore.unpack(os.pread(meta, 16, 0))
                for when, data in messages:
                    self._add(meta, encode(self._meta.magic, when, data))
        except (OSError, ValueError) as failure:
            raise JlogError(f"jlog {self.path}: {getattr(failure, 'strerror', None) or failure}") from None

    def flush(self) -> None:
        """Have everything in the segments.  Raises :exc:`JlogError`."""
        try:
            with locked(self.path, "metastore") as meta:
                self._meta = Metastore.unpack(os.pread(meta, 16, 0))
                self._flush(meta)
        except (OSError, ValueError) as failure:
            raise JlogError(f"jlog {self.path}: {getattr(failure, 'strerror', None) or failure}") from None

    def close(self) -> None:
        """Flush, and let go of the files.  Closing twice is harmless."""
        if self._number != -2:
            self.flush()
            self._close_segment()
            self._number = -2

    def _add(self, meta: int, record: bytes) -> None:
        if not self._precommit:
            return self._append(meta, record)
        fd = self._buffer()
        try:
            used = _USED.unpack(os.pread(fd, 4, 0))[0]
            if used + len(record) > self._precommit:
                self._flush(meta)
                used = 0
            if len(record) > self._precommit:
                return self._append(meta, record)
            os.pwrite(fd, record, 4 + used)
            os.pwrite(fd, _USED.pack(used + len(record)), 0)  # after its bytes: a crash between leaves the old end
        finally:
            os.close(fd)
        return None

    def _append(self, meta: int, record: bytes) -> None:
        """Write *record* at the end of the current segment, or of the next if that is full."""
        fd = self._segment(self._meta.storage_log)
        size = os.fstat(fd).st_size
        if size >= self._meta.unit_limit:
            self._meta.storage_log += 1
            os.pwrite(meta, self._meta.pack(), 0)
            fd = self._segment(self._meta.storage_log)
            size = os.fstat(fd).st_size
        fcntl.lockf(fd, fcntl.LOCK_EX)
        try:
            written = 0
            while written < len(record):
                written += os.write(fd, record[written:] if written else record)
        except OSError:
            os.ftruncate(fd, size)
            raise
        finally:
            fcntl.lockf(fd, fcntl.LOCK_UN)
        if self._meta.safety == SAFE:
            os.fsync(fd)

    def _flush(self, meta: int, after_a_crash: bool = False) -> None:
        fd = self._buffer()
        try:
            held = os.pread(fd, 4, 0)
            used = _USED.unpack(held)[0] if len(held) == 4 else 0
            if used:
                data = os.pread(fd, used, 4)
                _offsets, end, _torn = scan(self._meta.magic, memoryview(data))
                # A process that was killed between the two writes below has appended it already.
                if end and not (after_a_crash and self._ends_with(data[:end])):
                    self._append(meta, data[:end])
                os.pwrite(fd, _USED.pack(0), 0)
        finally:
            os.close(fd)

    def _ends_with(self, data: bytes) -> bool:
        return read_segment(self.path, self._meta.storage_log).endswith(data)

    def _buffer(self) -> int:
        return os.open(self.path / "pre_commit", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)

    def _open_precommit(self, meta: int, size: int | None) -> int:
        """Take over what a former writer left; returns the size of the buffer from now on."""
        self._flush(meta, after_a_crash=True)
        fd = self._buffer()
        try:
            there = max(0, os.fstat(fd).st_size - 4)
            wanted = there if size is None else min(size, MOST_PRECOMMIT)
            if wanted != there or os.fstat(fd).st_size < 4:
                os.ftruncate(fd, 4 + wanted)
        finally:
            os.close(fd)
        return wanted

    def _mend(self) -> None:
        """Cut off what a crash left at the end: what comes after it could not be told from it."""
        number = self._meta.storage_log
        data = memoryview(read_segment(self.path, number))
        _offsets, end, _torn = scan(self._meta.magic, data)
        if end != len(data):
            os.truncate(self.path / segment_name(number), end)

    def _segment(self, number: int) -> int:
        if number != self._number:
            self._close_segment()
            name = self.path / segment_name(number)
            self._fd = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            self._number = number
        return self._fd

    def _close_segment(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def flush_precommit(path: Path) -> None:
    """Have what a writer gathered in the segments, for a reader."""
    try:
        size = (path / "pre_commit").stat().st_size
    except OSError:
        return
    if size > 4:
        writer = Writer(path)
        writer.close()
