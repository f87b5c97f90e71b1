"""What is on the loops now: descriptors and timers, for people who look at a running system.

Each loop thread describes its own events, some at a time, so that nothing is described while it changes and no loop is
held up by ten thousand connections.  Manual: Operations; ``eventer_foreach_fdevent``, ``eventer_find_fd``.
"""

import gc
import socket
import threading
from collections.abc import Callable
from copy import copy
from typing import Any

from . import _pools
from ._callbacks import name_callback, name_for_callback
from ._errors import EventerError
from ._event import ACTIVITY, TIMER, Event, allocated
from ._events import add_in, remove
from ._slices import Slice
from ._thread import LoopThread, current, is_loop_thread

TIMEOUT = 5.0
"""Seconds after which a loop thread that does not answer is left out."""

Address = dict[str, Any]


class Row(dict[str, Any]):
    """What is told of one event, or of what else waits on this loop thread, by name.

    Attributes, for the console: ``thread``, its loop thread; ``event`` and ``closure``, addresses as text."""

    def __init__(self, told: dict[str, Any], event: str, closure: str) -> None:
        self.thread = current()
        super().__init__(told, eventer_pool=self.thread.pool.name)
        self.event = event
        self.closure = closure


def sockets(done: Callable[[list[Row]], object] | None = None) -> list[Row]:
    """Every event on a descriptor: ``callback``, ``fd``, ``mask``, ``impl``, ``eventer_pool``, ``local``, ``remote``.

    The last two are an address and a port, or None for what has none.  With *done* the rows are handed to that, on this
    loop thread when it is one, and what is returned is empty; without, the call waits for them, which on a loop thread
    raises :exc:`EventerError`.  A loop that is stuck is left out."""
    return _gathered(ACTIVITY, describe_socket, done)


def timers(done: Callable[[list[Row]], object] | None = None) -> list[Row]:
    """Every timer, the earliest first: ``callback``, ``whence`` (milliseconds since the epoch), ``eventer_pool``.

    *done* as for :func:`sockets`."""
    if done is None:
        return sorted(_gathered(TIMER, describe_timer, None), key=_whence)
    return _gathered(TIMER, describe_timer, lambda rows: done(sorted(rows, key=_whence)))


def foreach_fdevent(function: Callable[[Event], object]) -> None:
    """Call *function* with each event on a descriptor, on the event's own loop thread, soon."""
    _each(ACTIVITY, function)


def foreach_timedevent(function: Callable[[Event], object]) -> None:
    """Call *function* with each timer, on the timer's own loop thread, soon."""
    _each(TIMER, function)


def find_fd(fd: int) -> Event | None:
    """The event on descriptor *fd*, or None.  Manual: ``eventer_find_fd``."""
    for thread in _threads():
        for place in list(thread.events):
            event: Event | None = place.event
            if event is not None and event.mask & ACTIVITY and event.fd == fd:
                return event
    return None


def remove_fd(fd: int) -> Event | None:
    """Remove the event on descriptor *fd*; returns it, or None.  Manual: ``eventer_remove_fd``."""
    event = find_fd(fd)
    return None if event is None else remove(event)


def allocations() -> dict[str, int]:
    """How many events there are, ``current``, and ever were, ``total``, as ``/eventer/memory.json`` shows them.

    Looks at every object of the process: to be called from a job.  Manual: ``eventer_allocations_current``."""
    current_events = sum(isinstance(each, Event) for each in gc.get_objects())
    return {"current": current_events, "total": next(copy(allocated))}


def _row(told: dict[str, Any], event: Event) -> Row:
    closure = event.closure
    return Row(told, f"{id(event):#x}", "(nil)" if closure is None else f"{id(closure):#x}")


def describe_socket(event: Event) -> Row:
    """A row of :func:`sockets`; on the thread of *event*."""
    local, remote = addresses(event.fd)
    told = {
        "callback": name_for_callback(event.callback, event),
        "fd": event.fd,
        "mask": event.mask,
        "impl": event.opset.name if event.opset is not None else "POSIX",
        "local": local,
        "remote": remote,
    }
    return _row(told, event)


def describe_timer(event: Event) -> Row:
    """A row of :func:`timers`; on the thread of *event*."""
    return _row(
        {"callback": name_for_callback(event.callback, event), "whence": int(event.whence * 1000)},
        event,
    )


def _whence(row: Row) -> int:
    whence: int = row["whence"]
    return whence


def _threads() -> list[LoopThread]:
    return [thread for pool in _pools.pools() for thread in pool.threads]


def _each(mask: int, function: Callable[[Event], object]) -> None:
    for thread in _threads():
        thread.post(_walk, thread, mask, function, None)


def _gathered(mask: int, describe: Callable[[Event], Row], done: Callable[[list[Row]], object] | None) -> list[Row]:
    threads = _threads()
    if done is not None:
        _Gathering(threads, mask, describe, done)
        return []
    if is_loop_thread():
        raise EventerError("a loop thread cannot wait for what is on the loops: pass a function to call")
    finished = threading.Event()
    gathering = _Gathering(threads, mask, describe, lambda _rows: finished.set())
    if not finished.wait(TIMEOUT):
        gathering.end()
    return gathering.rows()


class _Gathering:
    """The rows of several threads, and whom to give them when the last has come or time is up."""

    def __init__(
        self,
        threads: list[LoopThread],
        mask: int,
        describe: Callable[[Event], Row],
        done: Callable[[list[Row]], object],
    ) -> None:
        self._done = done
        self._lock = threading.Lock()
        self._ended = False
        self._home = current() if is_loop_thread() else None
        self._parts: dict[LoopThread, list[Row]] = {thread: [] for thread in threads}
        self._missing = set(threads)
        self._limit = None if self._home is None else add_in(_time_is_up, self, TIMEOUT)
        for thread in threads:
            rows = self._parts[thread]

            def note(event: Event, rows: list[Row] = rows) -> None:
                rows.append(describe(event))

            def came(thread: LoopThread, rows: list[Row] = rows) -> None:
                for others in list(thread.others):
                    rows += thread.guarded(others, mask) or ()
                self._came(thread)

            if not thread.post(_walk, thread, mask, note, came):
                self._came(thread)
        if not threads:
            self.end()

    def rows(self) -> list[Row]:
        """What has come, by pool and thread."""
        with self._lock:
            return [row for part in self._parts.values() for row in part]

    def _came(self, thread: LoopThread) -> None:
        with self._lock:
            self._missing.discard(thread)
            missing = bool(self._missing)
        if not missing:
            self.end()

    def end(self) -> None:
        """Hand over what there is, once."""
        with self._lock:
            ended, self._ended = self._ended, True
            for thread in self._missing:
                self._parts[thread] = []  # half of them would mislead
        if ended:
            return
        if self._limit is not None:
            remove(self._limit)
        if self._home is None or (is_loop_thread() and self._home is current()):
            self._done(self.rows())
        else:
            self._home.post(lambda: self._done(self.rows()))


def _time_is_up(_event: Event, _mask: int, gathering: _Gathering, _now: float) -> None:
    gathering.end()


name_callback("inspection", _time_is_up)


def _walk(
    thread: LoopThread,
    mask: int,
    function: Callable[[Event], object],
    finished: Callable[[LoopThread], object] | None,
    places: list[Any] | None = None,
) -> None:
    if places is None:
        places = [place for place in thread.events if place.event is not None and place.event.mask & mask]
    mine, done = Slice(), 0
    for place in places:
        done += 1
        if place in thread.events and place.event is not None:
            thread.guarded(function, place.event)
            if mine.is_over():
                break
    rest = places[done:]
    if not (rest and thread.post(_walk, thread, mask, function, finished, rest)) and finished is not None:
        finished(thread)


def addresses(fd: int) -> tuple[Address | None, Address | None]:
    """The local and the remote address of descriptor *fd*: an address and a port each, None for what it has not."""
    try:
        sock = socket.socket(fileno=fd)
    except OSError:
        return None, None  # a pipe, or the like
    try:
        return _address(sock.getsockname), _address(sock.getpeername)
    finally:
        sock.detach()


def _address(ask: Callable[[], Any]) -> Address | None:
    try:
        found = ask()
    except OSError:
        return None
    if isinstance(found, tuple):
        return {"address": found[0], "port": found[1]}
    path = found.decode(errors="replace") if isinstance(found, bytes) else str(found)
    return {"address": path, "port": 0} if path else None
