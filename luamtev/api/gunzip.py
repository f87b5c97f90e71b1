"""Inflating streams for Lua: gzip, zlib or bare deflate data, so many bytes at a time.  Manual: mtev.gunzip."""

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from luamtev.bridge import Handles

if TYPE_CHECKING:
    from luamtev.port import Port

HEADER = 32 + zlib.MAX_WBITS  # gzip or zlib, by its header
BARE = -zlib.MAX_WBITS
GZIP_MAGIC = b"\x1f\x8b"
FIRST_BLOCK = 65536
"""Bytes of input after which a stream is what its header said."""

CORRUPT = "zlib: data error"


class _Ended:
    """Stands for a stream at its end, whose window and tables are memory to give back."""

    eof = True


class Inflater:
    """One stream.  After an error it stays in error."""

    def __init__(self) -> None:
        self._stream: Any = zlib.decompressobj(HEADER)
        self._first: bytes | None = b""  # input so far, while it may turn out to have no header
        self._gzip = False
        self._rest = b""  # input not consumed: the start of what may be another member

    @property
    def has_ended(self) -> bool:
        """Whether nothing is under way: after the end of a stream, and after an error."""
        return self._stream is None or self._stream.eof

    def inflate(self, data: bytes, limit: int) -> bytes | None:
        """The bytes that *data* adds, None when it is corrupt.  Raises :exc:`OverflowError` beyond *limit* bytes."""
        if self._stream is None:
            return None
        if self._first is not None:
            self._first += data
            if len(self._first) >= 2:
                self._gzip = self._first.startswith(GZIP_MAGIC)
        made: bytes | None
        try:
            made = self._pieces(data, limit)
        except zlib.error:
            made = self._bare(limit)
        except OverflowError:
            self._stream = None
            raise
        if made is None:
            self._stream = None
        if made or (self._first is not None and len(self._first) > FIRST_BLOCK):
            self._first = None
        return made

    def _bare(self, limit: int) -> bytes | None:
        if self._first is None:
            return None
        data, self._first, self._gzip, self._rest = self._first, None, False, b""
        self._stream = zlib.decompressobj(BARE)
        try:
            return self._pieces(data, limit)
        except zlib.error:
            return None

    def _pieces(self, data: bytes, limit: int) -> bytes:
        """Inflate *data*, from one gzip member to the next; whatever else follows the stream is ignored."""
        pieces: list[bytes] = []
        size = 0
        while True:
            if self._stream.eof:
                data = self._rest + data
                self._rest = b""
                if not self._gzip or not data:
                    break
                if len(data) < len(GZIP_MAGIC):
                    self._rest = data
                    break
                if not data.startswith(GZIP_MAGIC):
                    self._gzip = False
                    break
                self._stream = zlib.decompressobj(HEADER)
            made = self._stream.decompress(data, limit - size + 1)
            size += len(made)
            if size > limit:
                raise OverflowError
            pieces.append(made)
            if not self._stream.eof:
                break
            data = self._stream.unused_data
            self._stream = _Ended()
        return b"".join(pieces)


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/gunzip.lua`` builds on."""
    streams: Handles[Inflater] = Handles()

    def gunzip_open() -> int:
        return streams.add(Inflater())

    def gunzip_inflate(handle: int, data: bytes, limit: float) -> tuple[bytes | None, str | None, bool]:
        stream = streams[handle]
        try:
            made = stream.inflate(data, int(limit))
        except OverflowError:
            return None, f"zlib: more than {int(limit)} bytes of output", True
        return made, CORRUPT if made is None else None, stream.has_ended

    def gunzip_close(handle: int) -> None:
        streams.pop(handle)

    return {"gunzip_open": gunzip_open, "gunzip_inflate": gunzip_inflate, "gunzip_close": gunzip_close}
