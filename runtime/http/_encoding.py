"""Content encodings: what a client accepts, and the compressor for it.  RFC 9110, Accept-Encoding."""

import zlib
from typing import Any

GZIP, DEFLATE = 1, 2

_NAMES = ((GZIP, b"gzip"), (DEFLATE, b"deflate"))
_WINDOW = {b"gzip": 31, b"deflate": 15}


def choose(accept: bytes | None, offered: int) -> bytes | None:
    """The encoding of *offered*, a mask of GZIP and DEFLATE, that a client with the header *accept* takes best."""
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
    """A zlib compressor for *encoding*."""
    return zlib.compressobj(6, zlib.DEFLATED, _WINDOW[encoding])
