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


class Decoder:
    """Takes an encoding off a body that comes in pieces."""

    __slots__ = ("_encoding", "_ended", "_full", "_rest", "_step")

    def __init__(self, encoding: bytes) -> None:
        """Raises LookupError for an encoding other than gzip, deflate and lz4f."""
        self._encoding = encoding.removeprefix(b"x-")
        if self._encoding not in dict.fromkeys(name for _, name in _NAMES):
            raise LookupError(encoding)
        self._step: Any = None  # of a member
        self._rest = b""  # of what came
        self._full = False  # there is more in the step
        self._ended = False  # a member, and none has begun since

    @property
    def has_more(self) -> bool:
        """Whether :meth:`decode` is to be called again without data."""
        return self._full or (bool(self._rest) and (self._step is not None or len(self._rest) > 1))

    def decode(self, data: bytes, most: int) -> bytes:
        """What *data*, behind what came before, becomes: *most* bytes at most.  Raises ValueError for what is none."""
        data = self._rest + data
        self._rest = b""
        if self._step is None:
            if len(data) < 2:
                self._rest = data  # two bytes tell of which kind it is
                return b""
            self._step = _decompressor(self._encoding, data)
            self._ended = False
        step = self._step
        try:
            piece: bytes = step.decompress(data, most)
        except Exception as broken:  # each library has its own
            raise ValueError(f"no {self._encoding.decode()}: {broken}") from None
        if step.eof:
            self._step, self._rest, self._full, self._ended = None, step.unused_data or b"", False, True
        else:
            self._rest = getattr(step, "unconsumed_tail", b"")
            self._full = len(piece) == most
        return piece

    def finish(self) -> None:
        """Nothing more comes.  Raises ValueError where that is too early."""
        if not self._ended or self._rest:
            raise ValueError(f"{self._encoding.decode()} that is cut off")


def _decompressor(encoding: bytes, body: bytes) -> Any:
    if encoding == b"lz4f":
        from lz4.frame import LZ4FrameDecompressor

        return LZ4FrameDecompressor()
    if encoding == b"deflate" and not _is_zlib(body):
        return zlib.decompressobj(-zlib.MAX_WBITS)  # without its frame, as some send it
    return zlib.decompressobj(_WINDOW[encoding])


def _is_zlib(body: bytes) -> bool:
    return len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
