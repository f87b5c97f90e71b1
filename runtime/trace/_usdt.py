"""The trace points as USDT probes: a small shared object, written to memory and loaded, has one for each.

The object has no name in the file system: it is a file of memory, which tracers find among the mappings and the
descriptors of the process.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from typing import Any

from . import _points
from ._object import CELLS, MACHINES, Probe, build, symbol
from ._points import INTEGER, POINTS, SIZE, TEXT, Point

PROVIDER = "libmtev"

_SIZES = {INTEGER: -4}  # bytes; pointers and lengths have 8
_TYPES: dict[str, Any] = {INTEGER: ctypes.c_int, TEXT: ctypes.c_char_p, SIZE: ctypes.c_size_t}

_library: ctypes.PyDLL | None = None


def object_for(machine: str) -> bytes:
    """The shared object for *machine*.  Raises KeyError for one that is not in :data:`MACHINES`."""
    return build(machine, PROVIDER, [_probe(each) for each in _points.points()])


def expose() -> bool:
    """As :func:`runtime.trace.expose`."""
    global _library
    if _library is not None:
        return True
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in MACHINES:
        return False
    try:
        fd = os.memfd_create(f"{PROVIDER}_trace.so", os.MFD_CLOEXEC)  # stays open: its number is how tracers read it
    except OSError:
        return False
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(object_for(machine))
        library = ctypes.PyDLL(f"/proc/{os.getpid()}/fd/{fd}")  # not self: debuggers open it, too
    except OSError:
        os.close(fd)
        return False
    cells = (ctypes.c_char * (_points.CELL * len(POINTS))).in_dll(library, CELLS)
    probes = [_caller(library, each) for each in _points.points()]
    if not _points.move_to(memoryview(cells).cast("B"), probes):
        os.close(fd)
        return False
    _library = library
    return True


def _probe(point: Point) -> Probe:
    # As the probes of D are called where their names have a dash.
    return point.name.replace("-", "__"), tuple(_SIZES.get(kind, 8) for _, kind in point.arguments)


def _caller(library: ctypes.PyDLL, point: Point) -> Callable[..., object]:
    kinds = [kind for _, kind in point.arguments]
    function = library[symbol(_probe(point)[0])]
    function.restype = None
    function.argtypes = [_TYPES.get(kind, ctypes.c_void_p) for kind in kinds]

    def call(*values: Any) -> None:
        if point.heard[0] & 0xFFFF:
            function(*map(_as_c, kinds, values))

    return call


def _as_c(kind: str, value: Any) -> Any:
    if kind != TEXT:
        return value if isinstance(value, int) else id(value)
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return None if value is None else bytes(value)
