"""The byte of each stream that tells whether logging to it does anything, readable from any language in the process.

The table is private to the process and keeps its address across a fork: a child has a copy of its own.
"""

import mmap
from typing import Final

from ._base import LogError

CAPACITY: Final = 1 << 20  # bytes, one a stream; pages nobody touched cost nothing

OFF: Final = 0
ON: Final = 1
WANTS_PLACE: Final = 2
"""Beside ON: some stream on the way writes file and line number.  Alone: nothing is written, but a tracer hears it."""

DIRECT_CAPACITY: Final = CAPACITY * 4  # bytes, a 32-bit integer a stream

_bytes = mmap.mmap(-1, CAPACITY, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
_descriptors = memoryview(mmap.mmap(-1, DIRECT_CAPACITY, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)).cast("i")
_used = 0
_address = 0

set_byte = _bytes.__setitem__


def set_direct(slot: int, fd: int) -> None:
    """What :func:`direct_address` shows of *slot*: a descriptor, -1 for none."""
    _descriptors[slot] = fd + 1  # pages nobody touched are zero


def enabled_address() -> int:
    """The address of byte 0 of the table: the byte at :attr:`LogStream.slot` is 0 to 3.

    0: logging there does nothing.  1: it is enabled.  3: it is enabled, and a stream on the way has the DEBUG flag, so
    the caller should find out its file and line number.  2: nothing would be written, but a tracer hears all that.
    A byte is right before the change that alters it returns."""
    global _address
    if not _address:
        import ctypes

        _address = ctypes.addressof(ctypes.c_char.from_buffer(_bytes))
    return _address


def direct_address() -> int:
    """The address of a table of 32-bit integers, one for each :attr:`LogStream.slot`.

    Above 0: all that logging there does is one write of the line as it is to the descriptor of that number less 1,
    which the caller may do itself; a write that fails or falls short goes to :meth:`LogStream.log` with the rest."""
    import ctypes

    return ctypes.addressof(ctypes.c_char.from_buffer(_descriptors.obj))


def new_slot(name: str) -> int:
    """A slot nobody had before.  Raises :exc:`LogError` when all are taken."""
    global _used
    if _used >= CAPACITY:
        raise LogError(f"log '{name}': there are {CAPACITY} log streams already")
    _used += 1
    return _used - 1
