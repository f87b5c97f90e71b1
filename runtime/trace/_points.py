"""The trace points of the stack: what each tells, whether anybody hears it, and those of this process who do.

A point is heard when its cell, 32 bits of memory, is not zero.  A tracer outside the process counts itself in the lower
half (see ``_usdt``), subscribers are counted in the upper one; so whoever would tell something has one test to make, in
Python and in Lua.  Manual: DTrace probe definitions.
"""

import threading
from collections.abc import Callable
from typing import Any, Final, Literal

INTEGER, TEXT, SIZE, OBJECT = "int", "char *", "size_t", "void *"
"""The kinds of arguments: an int; bytes or str; a length; anything, which a tracer and Lua see as a number."""

_CALL = (("fd", INTEGER), ("buf", TEXT), ("len", SIZE), ("mask", INTEGER), ("closure", OBJECT))
_ACCEPT = (("fd", INTEGER), ("peer", TEXT), ("len", INTEGER), ("mask", INTEGER), ("closure", OBJECT))
_CLOSE = (("fd", INTEGER), ("mask", INTEGER), ("closure", OBJECT))
_CALLBACK = (("event", OBJECT), ("callback", OBJECT), ("name", TEXT))
_RESULT = ("result", INTEGER)
_REVERSE = (("fd", INTEGER), ("host", TEXT), ("id", TEXT))
_HTTP = (("fd", INTEGER), ("session", OBJECT))

POINTS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    # Entry and return follow each other, the first of them at an even place: see `Call`.
    "eventer-accept-entry": _ACCEPT,
    "eventer-accept-return": (*_ACCEPT, _RESULT),
    "eventer-read-entry": _CALL,
    "eventer-read-return": (*_CALL, _RESULT),
    "eventer-write-entry": _CALL,
    "eventer-write-return": (*_CALL, _RESULT),
    "eventer-close-entry": _CLOSE,
    "eventer-close-return": (*_CLOSE, _RESULT),
    "eventer-callback-entry": (*_CALLBACK, ("fd", INTEGER), ("mask", INTEGER), ("happened", INTEGER)),
    "eventer-callback-return": (*_CALLBACK, _RESULT),
    "log": (("facility", TEXT), ("file", TEXT), ("line", INTEGER), ("msg", TEXT)),
    "reverse-reschedule": (*_REVERSE, ("delay", INTEGER)),
    "reverse-shutdown-permanent": _REVERSE,
    "reverse-connect": _REVERSE,
    "reverse-connect-success": _REVERSE,
    "reverse-connect-close": (*_REVERSE, ("permanent", INTEGER), ("error", INTEGER)),
    "reverse-connect-failed": (*_REVERSE, ("error", INTEGER)),
    "reverse-connect-ssl": _REVERSE,
    "reverse-connect-ssl-success": (*_REVERSE, ("cn", TEXT), ("verified", INTEGER)),
    "http-accept": _HTTP,
    "http-request-start": _HTTP,
    "http-request-finish": _HTTP,
    "http-response-start": _HTTP,
    "http-response-finish": _HTTP,
    "http-log": (*_HTTP, ("msg", TEXT)),
    "http-close": _HTTP,
}
"""Names and kinds of the arguments of every point, by its name."""

CELL: Final = 4  # bytes
ORDER: Final = {name: number for number, name in enumerate(POINTS)}

_cells = memoryview(bytearray(CELL * len(POINTS)))
_lock = threading.Lock()
_telling = threading.local()


class Point:
    """One trace point.  Got by :func:`point`, the same object for ever.

    Attributes: ``name``; ``heard``, whose only element is not 0 while anybody listens: who tells something asks
    ``if point.heard[0]`` first; ``arguments``, names and kinds."""

    __slots__ = ("_functions", "_probe", "arguments", "changed", "heard", "name")

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.arguments: Final = POINTS[name]
        self.heard: memoryview = _cell(name, "I")
        self._functions: tuple[Callable[..., object], ...] = ()
        self._probe: Callable[..., object] | None = None
        self.changed: Callable[[], object] | None = None
        """Called when there is one subscriber more or less, for who prepares for being heard."""

    def __repr__(self) -> str:
        return f"<Point {self.name}>"

    def tell(self, *values: Any) -> None:
        """Tell those who listen, with a value for each of :attr:`arguments`.

        What a subscriber raises is reported, and ends his subscription.  What happens on a thread while a subscriber
        runs there is told nobody of this process, or one who listens to logs could not log."""
        if self._probe is not None:
            self._probe(*values)
        if self._functions and not getattr(_telling, "now", False):
            _telling.now = True
            try:
                for function in self._functions:
                    self._call(function, values)
            finally:
                _telling.now = False

    def _call(self, function: Callable[..., object], values: tuple[Any, ...]) -> None:
        try:
            function(*values)
        except Exception:
            import traceback

            self.drop(function)
            _report(f"a subscriber of trace point {self.name} failed and is let go of\n{traceback.format_exc()}")

    def add(self, function: Callable[..., object]) -> None:
        """Have *function* called by :meth:`tell`."""
        with _lock:
            self._functions = (*self._functions, function)
            self._count()
        if self.changed is not None:
            self.changed()

    def drop(self, function: Callable[..., object]) -> None:
        """Have it called no more; nothing happens for one that is not."""
        with _lock:
            self._functions = tuple(each for each in self._functions if each is not function)
            self._count()
        if self.changed is not None:
            self.changed()

    def move(self, probe: Callable[..., object] | None) -> None:
        """Go over to the memory of :func:`move_to`, where *probe* tells those outside the process."""
        with _lock:
            self.heard, self._probe = _cell(self.name, "I"), probe
            self._count()

    def _count(self) -> None:
        _cell(self.name, "H")[1] = len(self._functions)


class Call:
    """The two points around something, ``NAME-entry`` and ``NAME-return``.

    Attributes: ``heard``, as of a point, for both at once; ``entry`` and ``leave``, the points."""

    __slots__ = ("entry", "heard", "leave")

    def __init__(self, name: str) -> None:
        self.entry: Final = point(f"{name}-entry")
        self.leave: Final = point(f"{name}-return")
        self.move()

    def move(self) -> None:
        """Follow the points to where they are now."""
        self.heard = _cell(self.entry.name, "Q", 2 * CELL)


def point(name: str) -> Point:
    """The trace point *name*.  Raises KeyError for a name that is not in :data:`POINTS`."""
    return _points[name]


def call(name: str) -> Call:
    """The points around *name*, ``eventer-read`` say.  Raises KeyError when there are none."""
    return _calls[name]


def subscribe(name: str, function: Callable[..., object]) -> Callable[[], None]:
    """Have *function* called, with the arguments of :data:`POINTS`, whenever point *name* is passed.

    It is called where that happens, on whatever thread, and must neither wait nor raise: one that raises is reported to
    the log ``error`` and called no more.  Returns a function that ends the subscription.
    Raises ValueError for a name that no point has.  Manual: DTrace-accessible Observability."""
    if name not in _points:
        raise ValueError(f"there is no trace point '{name}' (there are: {', '.join(POINTS)})")
    found = _points[name]

    def told(*values: Any) -> None:
        function(*values)

    found.add(told)
    return lambda: found.drop(told)


def points() -> list[Point]:
    """All of them."""
    return list(_points.values())


def address() -> int:
    """The address of the first cell, 32 bits each, in the order of :data:`POINTS`; it stays from now on."""
    global _is_fixed
    import ctypes

    _is_fixed = True
    return ctypes.addressof(ctypes.c_char.from_buffer(_cells))


def move_to(cells: memoryview, probes: list[Callable[..., object]]) -> bool:
    """Have points keep what is in their cells in *cells*, and call *probes* when a tracer listens; one for each.

    False, and nothing happens, once :func:`address` told somebody where they are."""
    global _cells
    if _is_fixed:
        return False
    _cells = cells
    for each, probe in zip(_points.values(), probes, strict=True):
        each.move(probe)
    for pair in _calls.values():
        pair.move()
    return True


def _cell(name: str, form: Literal["H", "I", "Q"], size: int = CELL) -> memoryview:
    at = CELL * ORDER[name]
    return _cells[at : at + size].cast(form)


def _to_stderr(text: str) -> None:
    import sys

    print(text, end="", file=sys.stderr)  # noqa: T201


def report_to(function: Callable[[str], object]) -> None:
    """Have *function* called with a text when a subscriber failed; before, it goes to the standard error stream."""
    global _report
    _report = function


_report: Callable[[str], object] = _to_stderr
_is_fixed = False
_points: Final = {name: Point(name) for name in POINTS}
_calls: Final = {
    name.removesuffix("-entry"): Call(name.removesuffix("-entry")) for name in POINTS if name.endswith("-entry")
}
