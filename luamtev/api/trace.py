"""Trace points for Lua: told from there, and heard there.  Manual: DTrace-accessible Observability.

A point may be passed on any thread, and below Lua.  So what a subscriber in Lua hears comes to it a moment later, on
its own thread, as values that may cross.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from luamtev.bridge import LuaError
from runtime import eventer, trace

if TYPE_CHECKING:
    from luamtev.port import Port

MOST = 10_000
"""Events that wait for a state; what comes then is lost, and counted."""


class Hearing:
    """What one state hears.  :meth:`hear` is called from any thread, all else on the state's."""

    def __init__(self, state: "Port") -> None:
        self._state = state
        self._waiting: deque[tuple[int, tuple[Any, ...]]] = deque()
        self._ends: dict[int, Callable[[], None]] = {}
        self._lost: dict[int, int] = {}
        self._telling = self._woken = False
        state.on_close(self._close)

    def begin(self, number: int, name: str) -> None:
        """Have the function that Lua keeps under *number* called when point *name* is passed.

        Raises ValueError for a name that no point has."""
        self._lost[number] = 0
        self._ends[number] = trace.subscribe(name, lambda *values: self.hear(number, values))

    def end(self, number: int) -> None:
        """Call it no more; what it has not heard yet is forgotten."""
        end = self._ends.pop(number, None)
        if end is not None:
            end()

    def lost(self, number: int) -> int:
        """How many events it did not hear because too many waited."""
        return self._lost.get(number, 0)

    def hear(self, number: int, values: tuple[Any, ...]) -> None:
        """Something happened.  What a subscriber does itself while it is told is none of it."""
        waiting = self._waiting
        if self._telling and eventer.is_loop_thread() and eventer.current() is self._state.thread:
            return
        if len(waiting) >= MOST:
            self._lost[number] = self._lost.get(number, 0) + 1
            return
        waiting.append((number, tuple(map(_crossing, values))))
        if not self._woken:
            self._woken = self._state.thread.post(self._tell_all)

    def _tell_all(self) -> None:
        self._woken = False  # before they are taken: who comes from now on has this called again
        eventer.in_slices(iter(self._next, None), self._tell)

    def _next(self) -> tuple[int, tuple[Any, ...]] | None:
        return self._waiting.popleft() if self._waiting else None

    def _tell(self, event: tuple[int, tuple[Any, ...]]) -> None:
        number, values = event
        if number in self._ends:
            self._telling = True
            try:
                self._state.enter("traced", number, *values)
            finally:
                self._telling = False

    def _close(self) -> None:
        for number in list(self._ends):
            self.end(number)
        self._waiting.clear()


def functions(state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/trace.lua`` builds on."""
    points = trace.points()
    found: list[Hearing] = []

    def hearing() -> Hearing:
        if not found:
            found.append(Hearing(state))
        return found[0]

    def subscribe(number: float, name: bytes) -> None:
        try:
            hearing().begin(int(number), name.decode("utf-8", "replace"))
        except ValueError as mistake:
            raise LuaError(f"mtev.trace.subscribe: {mistake}") from None

    def tell(number: float, *values: Any) -> None:
        points[int(number)].tell(*(int(each) if isinstance(each, float) else each for each in values))

    return {
        "trace_address": trace.address,
        "trace_number": lambda name: trace.ORDER[name.decode()],
        "trace_points": lambda: [
            {"name": each.name, "arguments": [name for name, _ in each.arguments]} for each in points
        ],
        "trace_subscribe": subscribe,
        "trace_end": lambda number: hearing().end(int(number)),
        "trace_lost": lambda number: hearing().lost(int(number)),
        "trace_tell": tell,
    }


def _crossing(value: Any) -> bytes | int | None:
    """*value* as Lua gets it: an object as a number that no other has while it lives."""
    if isinstance(value, bytes | int | None):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return bytes(value) if isinstance(value, memoryview | bytearray) else id(value)
