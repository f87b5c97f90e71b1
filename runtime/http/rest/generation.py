"""The number that says when what :func:`decide` answered is old, readable from any language in the process.

It changes with every mount, every change of access control, and whenever a hook of HTTP is taken or left.
"""

import mmap
from threading import Lock

_cell = memoryview(mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)).cast("I")
_lock = Lock()


def advance() -> None:
    """Make all answers old.  From any thread."""
    with _lock:
        _cell[0] = (_cell[0] + 1) & 0xFFFFFFFF


def current() -> int:
    """The number now."""
    return _cell[0]


def address() -> int:
    """Where the number lies: 32 bits, unsigned, for as long as the process lives."""
    import ctypes

    return ctypes.addressof(ctypes.c_char.from_buffer(_cell.obj))
