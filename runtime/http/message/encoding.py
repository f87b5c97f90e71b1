"""Content encodings: what a client accepts, and the compressor for it.  RFC 9110, Accept-Encoding."""

import zlib
from typing import Any

GZIP, DEFLATE, LZ4F = 1, 2, 4

_NAMES = ((GZIP, b"gzip"), (DEFLATE, b"deflate"), (LZ4F, b"lz4f"))
_WINDOW = {b"gzip": 31, b"deflate": 15}


def choose(accept: bytes | None, offered: int) -> bytes | None:
    """The encoding of *offered*, a mask of those above, that a client with the header *accept* takes best."""
    if not accept or not offered:
        return None
    weights: dict[bytes, float] = {}
    for part in accept.lower().split(b","):
        name, *parameters = (each.strip() for each in part.split(b";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith(b"q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        weights[name.removeprefix(b"x-")] = weight
    best, best_weight = None, 0.0
    for flag, name in _NAMES:
        weight = weights.get(name, weights.get(b"*", 0.0))
        if offered & flag and weight > best_weight:
            best, best_weight = name, weight
    return best


def compressor(encoding: bytes) -> Any:
    """A compressor for *encoding*, as zlib has them."""
    if encoding == b"lz4f":
        return _Lz4f()
    return zlib.compressobj(6, zlib.DEFLATED, _WINDOW[encoding])


class _Lz4f:
    """LZ4 frames."""

    def __init__(self) -> None:
        from lz4.frame import LZ4FrameCompressor  # few clients take it

        self._frame = LZ4FrameCompressor(auto_flush=True)
        self._start: bytes = self._frame.begin()

    def compress(self, data: bytes) -> bytes:
        start, self._start = self._start, b""
        return bytes(start + self._frame.compress(data))

    def flush(self, mode: int = zlib.Z_FINISH) -> bytes:
        if mode != zlib.Z_FINISH:
            return b""  # nothing is held back
        start, self._start = self._start, b""
        return bytes(start + self._frame.flush())


class TooLong(ValueError):
    """What is decoded is longer than it may be."""


def decoded(body: bytes, encoding: bytes, most: int) -> bytes:
    """*body* without its *encoding*, gzip, deflate or lz4f.

    Raises :exc:`TooLong` beyond *most* bytes, LookupError for another encoding, ValueError for what is none such."""
    found = bytearray()
    while body or not found:
        step = _decompressor(encoding.removeprefix(b"x-"), body)
        try:
            found += step.decompress(body, most - len(found) + 1)
        except Exception as broken:  # each library has its own
            raise ValueError(f"no {encoding.decode()}: {broken}") from None
        if len(found) > most:
            raise TooLong
        if not step.eof:
            raise ValueError(f"{encoding.decode()} that is cut off")
        body = step.unused_data or b""  # another member
        if not body:
            break
    return bytes(found)


def _decompressor(encoding: bytes, body: bytes) -> Any:
    if encoding == b"lz4f":
        from lz4.frame import LZ4FrameDecompressor

        return LZ4FrameDecompressor()
    if encoding == b"deflate" and not _is_zlib(body):
        return zlib.decompressobj(-zlib.MAX_WBITS)  # without its frame, as some send it
    return zlib.decompressobj(_WINDOW[encoding])


def _is_zlib(body: bytes) -> bool:
    return len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
