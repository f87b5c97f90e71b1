"""Reading a jlog for one subscriber."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from ._format import Id, JlogError, Message, decode, scan
from ._store import (
    FILE_MODE,
    checkpoint_name,
    clean,
    locked,
    read_metastore,
    read_segment,
    segment_name,
    segments,
)
from ._writer import flush_precommit


class Reader:
    """The messages of the jlog at *path* that *subscriber* has not consumed yet.

    Messages are consumed by :meth:`checkpoint`; until then the next reader gets them again."""

    def __init__(self, path: str | os.PathLike[str], subscriber: str) -> None:
        """Raises :exc:`JlogError` when there is no such jlog or subscriber."""
        self.path = Path(path)
        self.subscriber = subscriber
        self._meta = read_metastore(self.path)
        self._at = self._checkpoint()
        self._data = memoryview(b"")
        self._offsets: list[int] = []
        self._loaded = -1
        self._end = 0

    def __iter__(self) -> Iterator[Message]:
        """The messages after the last that was read, oldest first, up to what is there now."""
        while True:
            message = self.read()
            if message is None:
                return
            yield message

    def read(self) -> Message | None:
        """The next message, None when there is none yet.  Raises :exc:`JlogError` for one that cannot be read."""
        while True:
            self._load(self._at.log)
            if self._at.marker < len(self._offsets):
                self._at = Id(self._at.log, self._at.marker + 1)
                return self._message(self._at)
            following = [each for each in segments(self.path) if each > self._at.log]
            if not following:
                return None
            self._load(self._at.log)  # a last look: what was written before the next segment began
            if self._at.marker >= len(self._offsets):
                self._at = Id(following[0], 0)

    def read_message(self, place: Id) -> Message:
        """The message at *place*.  Raises :exc:`JlogError` when there is none."""
        self._load(place.log)
        if not 0 < place.marker <= len(self._offsets):
            raise JlogError(f"jlog {self.path}: there is no message {place}")
        return self._message(place)

    def interval(self) -> tuple[Id, Id] | None:
        """The first and the last unread message of the segment that comes next; None when there is none."""
        before = self._at
        message = self.read()
        self._at = before
        if message is None:
            return None
        self._load(message.id.log)
        return message.id, Id(message.id.log, len(self._offsets))

    def checkpoint(self, place: Id | None = None) -> None:
        """Everything up to *place*, or up to the last message that was read, is consumed.

        Segments that every subscriber has left behind are removed.  Raises :exc:`JlogError`."""
        place = self._at if place is None else place
        try:
            with locked(self.path, checkpoint_name(self.subscriber)) as fd:
                os.pwrite(fd, place.pack(), 0)
                os.fsync(fd)
        except OSError as failure:
            raise JlogError(f"jlog {self.path}: subscriber '{self.subscriber}': {failure.strerror}") from None
        clean(self.path)

    def _checkpoint(self) -> Id:
        try:
            return Id.unpack((self.path / checkpoint_name(self.subscriber)).read_bytes())
        except FileNotFoundError:
            raise JlogError(f"jlog {self.path}: there is no subscriber '{self.subscriber}'") from None
        except (OSError, ValueError) as bad:
            raise JlogError(f"jlog {self.path}: subscriber '{self.subscriber}': {bad}") from None

    def _load(self, number: int) -> None:
        """Have the segment *number*, as far as it is written, at hand."""
        flush_precommit(self.path)
        if number != self._loaded:
            self._offsets, self._end, self._loaded = [], 0, number
        data = memoryview(read_segment(self.path, number))
        if len(data) == len(self._data) and self._offsets:
            return
        fresh, self._end, _torn = scan(self._meta.magic, data, self._end)
        self._offsets += fresh
        self._data = data
        if number < read_metastore(self.path).storage_log:
            self._write_index(number)

    def _write_index(self, number: int) -> None:
        """The offsets of a segment that is complete, for those who look messages up; it can be made again."""
        name = self.path / f"{segment_name(number)}.idx"
        index = struct.pack(f"={len(self._offsets) + 1}Q", *self._offsets, 0)
        try:
            if name.exists() and name.stat().st_size == len(index):
                return
            temporary = self.path / f".{name.name}"
            temporary.write_bytes(index)
            temporary.chmod(FILE_MODE)
            temporary.replace(name)
        except OSError:
            pass

    def _message(self, place: Id) -> Message:
        try:
            when, data = decode(self._meta.magic, self._data, self._offsets[place.marker - 1])
        except ValueError as bad:
            raise JlogError(f"jlog {self.path}: segment {segment_name(place.log)}: {bad}") from None
        return Message(place, when, data)
