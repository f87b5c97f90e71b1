"""Descriptors in an aco: accept, read, write and close that wait for what they need.  Manual: The Eventer (ACO).

While the aco waits, its event is on the loop as any other.  When it is ready again the aco runs inside the event's
callback, and if it comes back to wait for the same descriptor, which is the rule, its mask is what the callback
returns: the watcher is never touched.
"""

import time
from collections.abc import Callable
from errno import ETIME
from typing import Any, TypeVar

from . import _opset
from ._aco import Aco, aco_start, current_aco
from ._callbacks import name_callback, name_for_callback
from ._errors import EventerError
from ._event import Callback, Event
from ._events import add, alloc_copy, remove

Result = TypeVar("Result")


class AcoEvent(Event):
    """A descriptor for one aco at a time.  Made by :func:`set_eventer_aco`.

    Attributes: ``accept_timeout``, ``read_timeout``, ``write_timeout``, seconds for calls that name none, or None."""

    __slots__ = ("_aco", "_ticket", "_wanted", "accept_timeout", "read_timeout", "write_timeout")

    deferred = True  # it switches greenlets

    def __init__(self, event: Event) -> None:
        super().__init__(_ready, event.closure, event.mask, event.fd)
        self.opset = event.opset
        self.contexts = event.contexts
        self.accept_timeout: float | None = None
        self.read_timeout: float | None = None
        self.write_timeout: float | None = None
        self._aco: Aco | None = None
        self._ticket = 0
        self._wanted = 0

    def wait(self, mask: int, deadline: float | None) -> None:
        """Wait in this aco for *mask*, until *deadline* of the monotonic clock.

        Raises TimeoutError with ETIME, :exc:`EventerError` while another aco waits for the descriptor."""
        aco = current_aco()
        if self._aco is not None:
            raise EventerError(f"{self!r}: {self._aco!r} waits for it already")
        timeout = None if deadline is None else deadline - time.monotonic()
        if timeout is not None and timeout <= 0:
            raise TimeoutError(ETIME, f"fd {self.fd}: nothing happened in time")
        self._aco, self._wanted = aco, mask
        self._ticket = aco.draw()
        try:
            if not self.active:
                self.owner, self.mask = aco.thread, mask
                add(self)
            elif aco.thread.this_event is not self:
                assert self.place is not None
                self.place.rearm(mask)
            aco.suspend(timeout)
        except BaseException:
            remove(self)
            raise
        finally:
            self._aco, self._wanted = None, 0

    def ready(self, mask: int) -> int:
        """Go on with the aco; returns what it waits for next, 0 when that is not this descriptor."""
        aco = self._aco
        if aco is not None:
            aco.resume(self._ticket, mask)
        return self._wanted


def _ready(event: Event, mask: int, _closure: object, _now: float) -> int:
    assert isinstance(event, AcoEvent)
    return event.ready(mask)


def _describe(event: Event) -> str:
    aco = event._aco if isinstance(event, AcoEvent) else None
    return "aco" if aco is None else f"aco({name_for_callback(aco.function)})"


name_callback("aco", _ready, _describe)


def set_eventer_aco(event: Event) -> AcoEvent:
    """The descriptor of *event* for use in acos; *event* is taken off its loop and is not to be used any more.

    Raises :exc:`EventerError` when it has no descriptor.  Manual: ``eventer_set_eventer_aco``."""
    if event.fd < 0:
        raise EventerError(f"{event!r} has no descriptor")
    remove(event)
    return AcoEvent(event)


def aco_callback(function: Callable[[AcoEvent], object]) -> Callback:
    """A callback for an event that leaves its descriptor to an aco running ``function(aco_event)``, for listeners."""

    def callback(event: Event, _mask: int, _closure: object, _now: float) -> int:
        aco_start(function, set_eventer_aco(alloc_copy(event)))
        return 0

    name_callback(f"aco:{name_for_callback(function)}", callback)
    return callback


def aco_accept(event: AcoEvent, timeout: float | None = None) -> tuple[int, Any]:
    """Accept a connection: its non-blocking descriptor and the peer's address.  With TLS, shake hands: ``(-1, None)``.

    Raises TimeoutError (ETIME) after *timeout* seconds, OSError.  Manual: ``eventer_aco_accept``."""
    return _until(event, timeout, event.accept_timeout, lambda: _opset.accept(event))


def aco_read(event: AcoEvent, size: int, timeout: float | None = None) -> bytes:
    """Read up to *size* bytes, as soon as there are any; empty at the end.

    Raises TimeoutError (ETIME) after *timeout* seconds, OSError.  Manual: ``eventer_aco_read``."""
    data = _opset.read(event, size)
    if isinstance(data, int):
        data = _until(event, timeout, event.read_timeout, lambda: _opset.read(event, size), data)
    return data


def aco_write(event: AcoEvent, data: bytes, timeout: float | None = None) -> int:
    """Write all of *data*; returns how many bytes that were.

    Raises TimeoutError (ETIME) when it is not all written after *timeout* seconds, OSError.
    Manual: ``eventer_aco_write``."""
    written = _opset.write(event, data)
    if isinstance(written, tuple) and written[0] == len(data):
        return len(data)
    rest = memoryview(data)
    deadline = _deadline(timeout, event.write_timeout)
    while True:
        if isinstance(written, int):
            event.wait(written, deadline)
        else:
            rest = rest[written[0] :]
            if not rest:
                return len(data)
        written = _opset.write(event, rest)


def aco_close(event: AcoEvent) -> None:
    """Close the descriptor; an aco that waits for it gets :exc:`EventerError`.  Manual: ``eventer_aco_close``."""
    waiting, ticket = event._aco, event._ticket
    _opset.close(event)
    if waiting is not None:
        waiting.call(ticket)


def _deadline(timeout: float | None, default: float | None) -> float | None:
    seconds = default if timeout is None else timeout
    return None if seconds is None else time.monotonic() + seconds


def _until(
    event: AcoEvent,
    timeout: float | None,
    default: float | None,
    operation: Callable[[], Result | int],
    mask: int | None = None,
) -> Result:
    """The first result of *operation* that is no mask; *mask* is what it said already."""
    deadline = _deadline(timeout, default)
    while True:
        result = operation() if mask is None else mask
        if not isinstance(result, int):
            return result
        event.wait(result, deadline)
        mask = None
