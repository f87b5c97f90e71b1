"""Looking at a jlog without being a subscriber, and without changing anything: the right to read it is enough."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from ._format import Id, JlogError, Message, decode, scan
from ._store import read_metastore, read_segment, segment_name, segments

START = Id(0, 0)


def messages(path: str | os.PathLike[str], after: Id = START) -> Iterator[Message]:
    """The messages behind *after* that are in segments now, oldest first.  Raises :exc:`JlogError`."""
    directory = Path(path)
    magic = read_metastore(directory).magic
    for number in segments(directory):
        if number < after.log:
            continue
        data = memoryview(read_segment(directory, number))
        offsets = scan(magic, data)[0]
        for marker in range(after.marker if number == after.log else 0, len(offsets)):
            yield _message(directory, magic, data, offsets, Id(number, marker + 1))


def waiting(path: str | os.PathLike[str]) -> Iterator[Message]:
    """The messages that a writer with a pre-commit buffer gathers, and that are in no segment yet.

    Their ids are those they will have if the segment does not end before.  Raises :exc:`JlogError`."""
    directory = Path(path)
    meta = read_metastore(directory)
    try:
        buffer = (directory / "pre_commit").read_bytes()
    except FileNotFoundError:
        return
    except OSError as failure:
        raise JlogError(f"jlog {path}: pre_commit: {failure.strerror}") from None
    used = struct.unpack_from("=I", buffer)[0] if len(buffer) >= 4 else 0
    data = memoryview(buffer)[4 : 4 + used]
    offsets = scan(meta.magic, data)[0]
    before = len(scan(meta.magic, memoryview(read_segment(directory, meta.storage_log)))[0])
    for at in range(len(offsets)):
        message = _message(directory, meta.magic, data, offsets, Id(meta.storage_log, at + 1))
        yield message._replace(id=Id(meta.storage_log, before + at + 1))


def _message(directory: Path, magic: int, data: memoryview, offsets: list[int], place: Id) -> Message:
    try:
        when, body = decode(magic, data, offsets[place.marker - 1])
    except ValueError as bad:
        raise JlogError(f"jlog {directory}: segment {segment_name(place.log)}: {bad}") from None
    return Message(place, when, body)


def figures(path: str | os.PathLike[str]) -> list[tuple[int, int, int, int]]:
    """Of each segment its number, its bytes, its messages, and the bytes in it that are none: torn, or being written.

    Raises :exc:`JlogError`."""
    directory = Path(path)
    magic = read_metastore(directory).magic
    rows = []
    for number in segments(directory):
        data = memoryview(read_segment(directory, number))
        offsets, end, torn = scan(magic, data)
        rows.append((number, len(data), len(offsets), len(data) - end + sum(stop - start for start, stop in torn)))
    return rows
