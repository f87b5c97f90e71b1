"""Events, by which processes that run specs tell what happens: lines behind a mark that no spec can guess and print.

A kind, which is a letter, and fields that hold any bytes, as lua/wire.lua packs them.
"""

import os
import re

_ESCAPES = {b"\\": b"\\\\", b"\n": b"\\n", b"\x1f": b"\\s", b"\0": b"\\z"}
_UNESCAPES = {escape: plain for plain, escape in _ESCAPES.items()}


def new_mark() -> bytes:
    """What stands before each event of a run."""
    return f"\x01{os.urandom(4).hex()}\x02".encode()


def event(mark: bytes, kind: str, *texts: str | bytes) -> bytes:
    """An event with these fields, as a line."""
    data = (os.fsencode(each) for each in texts)
    packed = (re.sub(rb"[\\\n\x1f\0]", lambda found: _ESCAPES[found[0]], each) for each in data)
    return mark + kind.encode() + b"\x1f".join(packed) + b"\n"


def fields(packed: bytes) -> list[bytes]:
    """The fields of an event of which the kind was taken off."""
    return [re.sub(rb"\\.", lambda found: _UNESCAPES[found[0]], each) for each in packed.split(b"\x1f")]
