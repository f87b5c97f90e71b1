"""The bytes of a jlog: metastore, checkpoints, segments.  No I/O here.

Integers are 32 bits in the machine's own byte order.
"""

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

PLAIN: Final = 0x663A7318
COMPRESSED: Final = 0x15106A00
"""The mark of a message; of a compressed one the low byte names what compressed it."""
LZ4: Final = 1

UNSAFE, ALMOST_SAFE, SAFE = 0, 1, 2
"""How hard a writer tries: SAFE has every message on the disk before the write returns."""

UNIT_LIMIT: Final = 4 * 1024 * 1024
"""Bytes after which a segment is followed by the next, unless the metastore says otherwise."""

_META: Final = struct.Struct("=IIII")
_HEADER: Final = struct.Struct("=IIII")
_COMPRESSED_HEADER: Final = struct.Struct("=IIIII")
_ID: Final = struct.Struct("=II")


class JlogError(Exception):
    """A jlog that cannot be read or written; the message names its path."""


class Id(NamedTuple):
    """The place of a message: its segment, and its number in that, from 1; 0 is before the first."""

    log: int
    marker: int

    def __str__(self) -> str:
        return f"{self.log:08x}:{self.marker:08x}"

    def pack(self) -> bytes:
        """The bytes of a checkpoint."""
        return _ID.pack(self.log, self.marker)

    @classmethod
    def unpack(cls, data: bytes) -> "Id":
        """Raises :exc:`ValueError` for bytes that are no checkpoint."""
        if len(data) != _ID.size:
            raise ValueError(f"a checkpoint has {_ID.size} bytes, not {len(data)}")
        return cls(*_ID.unpack(data))


class Message(NamedTuple):
    """A message that was read."""

    id: Id
    when: int
    """Nanoseconds since the epoch, to the microsecond."""
    data: bytes


@dataclass
class Metastore:
    """What all who open a jlog agree on."""

    storage_log: int = 0
    unit_limit: int = UNIT_LIMIT
    safety: int = ALMOST_SAFE
    magic: int = PLAIN

    def pack(self) -> bytes:
        """The bytes of the file."""
        return _META.pack(self.storage_log, self.unit_limit, self.safety, self.magic)

    @classmethod
    def unpack(cls, data: bytes) -> "Metastore":
        """Raises :exc:`ValueError` for bytes that are no metastore."""
        if len(data) < _META.size:
            raise ValueError(f"a metastore has {_META.size} bytes, not {len(data)}")
        made = cls(*_META.unpack_from(data))
        if made.magic != PLAIN and made.magic != COMPRESSED | LZ4:
            raise ValueError(f"a metastore with an unknown format {made.magic:#x}")
        return made


def encode(magic: int, when: int, data: bytes) -> bytes:
    """A message as a segment holds it; *when* in nanoseconds since the epoch."""
    seconds, rest = divmod(when, 1_000_000_000)
    if magic == PLAIN:
        return _HEADER.pack(magic, seconds & 0xFFFFFFFF, rest // 1000, len(data)) + data
    import lz4.block

    packed: bytes = lz4.block.compress(data, store_size=False)
    return _COMPRESSED_HEADER.pack(magic, seconds & 0xFFFFFFFF, rest // 1000, len(data), len(packed)) + packed


def header_size(magic: int) -> int:
    """Bytes before those of the message."""
    return _HEADER.size if magic == PLAIN else _COMPRESSED_HEADER.size


def end_of(magic: int, data: memoryview, at: int) -> int | None:
    """Where the message at *at* ends; None when there is none, or not all of it."""
    size = header_size(magic)
    if at + size > len(data):
        return None
    fields = (_HEADER if magic == PLAIN else _COMPRESSED_HEADER).unpack_from(data, at)
    end: int = at + size + fields[-1]
    return end if fields[0] == magic and end <= len(data) else None


def decode(magic: int, data: memoryview, at: int) -> tuple[int, bytes]:
    """Time and bytes of the message at *at*.  Raises :exc:`ValueError` for one that cannot be decompressed."""
    size = header_size(magic)
    fields = (_HEADER if magic == PLAIN else _COMPRESSED_HEADER).unpack_from(data, at)
    when = fields[1] * 1_000_000_000 + fields[2] * 1000
    body = bytes(data[at + size : at + size + fields[-1]])
    if magic == PLAIN:
        return when, body
    import lz4.block

    try:
        unpacked: bytes = lz4.block.decompress(body, uncompressed_size=fields[3])
    except lz4.block.LZ4BlockError as bad:
        raise ValueError(f"message at byte {at}: {bad}") from None
    return when, unpacked


def scan(magic: int, data: memoryview, at: int = 0) -> tuple[list[int], int, list[tuple[int, int]]]:
    """The offsets of the messages from *at* on, the end of the last, and what lies between that is none.

    After something torn the next message counts that ends at another one or at the end."""
    offsets: list[int] = []
    torn: list[tuple[int, int]] = []
    mark = magic.to_bytes(4, "little" if struct.pack("=H", 1) == b"\1\0" else "big")
    whole = bytes(data) if at < len(data) and end_of(magic, data, at) is None else None
    end = at
    while at < len(data):
        stop = end_of(magic, data, at)
        if stop is not None:
            offsets.append(at)
            at = end = stop
            continue
        if whole is None:
            whole = bytes(data)
        start, at = at, _resume(magic, data, whole, mark, at + 1)
        if at == len(data):
            break
        torn.append((start, at))
    return offsets, end, torn


def _resume(magic: int, data: memoryview, whole: bytes, mark: bytes, at: int) -> int:
    while True:
        at = whole.find(mark, at)
        if at < 0:
            return len(data)
        stop = end_of(magic, data, at)
        if stop is not None and (stop == len(data) or whole.startswith(mark, stop)):
            return at
        at += 1
