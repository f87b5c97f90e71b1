"""A loop thread: one native thread, its gevent hub, and the way in from other threads.

This file knows threads and hubs; what an event is, it does not know.  Whatever runs on the hub is a plain function
call; it is guarded so that a failure is logged with the callback's name and the loop goes on.
"""

import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent._config import config as gevent_config
from gevent.hub import Hub, Waiter

from runtime import log

from . import _settings
from ._callbacks import name_for_callback
from ._errors import EventerError, NotOnLoop

if TYPE_CHECKING:
    from ._backq import BackQueue
    from ._inspect import Row
    from ._pools import Pool

KERNEL_NAME = 15  # bytes of a thread's name that the kernel keeps, for top and gdb to show

STACK_SIZE = 64 << 20
"""Bytes of a loop thread's stack, the same whatever a platform gives a thread; addresses alone until they are used."""

# Imported by gevent when the first hub is made, which may be too late: after privileges were dropped.
gevent_config.loop, gevent_config.threadpool, gevent_config.resolver, gevent_config.format_context  # noqa: B018

_errors: Final = log.facility("error/eventer")
_debug: Final = log.facility("debug/eventer")
_time: Final = log.facility("debug/time")

prepare: "Callable[[], object] | None" = None
"""Called first on every thread that is started; set by :func:`prepare_threads`."""

_here = threading.local()
_starting = threading.Lock()


class LoopThread:
    """One thread of a pool.  Created by the pool; its methods may be called from any thread unless they say otherwise.

    Attributes: ``pool``, ``index`` (0-based in the pool), ``number`` (0-based over all pools), ``name``
    (``e:POOL/INDEX``), ``tid`` (OS thread id once started), ``hub`` and ``loop`` (gevent's; on this thread only).
    """

    hub: Hub
    loop: Any
    tid: int
    slow: log.LogStream  # callbacks by their time

    def __init__(self, pool: "Pool", index: int, number: int) -> None:
        self.pool = pool
        self.index = index
        self.number = number
        self.name = f"e:{pool.name}/{index}"
        self.events: set[Any] = set()  # the places of events; holds what watchers alone would not keep alive
        self.this_event: Any = None  # whose callback runs now
        self.now = 0.0  # when that began, epoch seconds
        self.acos: set[Any] = set()
        self.has_acos = False  # or had
        self.back: BackQueue | None = None  # made when a job first reports here
        self._inbox: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._overdue: deque[Callable[[], object]] = deque()  # due in a turn that had taken its time
        self._running_soon = False
        self._turn = -1  # in which something was due last
        self._turn_ends = 0.0
        self._recurrent = 0
        self._pace: Any = None  # a watcher that keeps the loop turning
        self._gate = threading.Lock()  # so that nothing slips into the inbox of a loop that has stopped
        self._woken = False
        self._accepting = False
        self.others: list[Callable[[int], list[Row]]] = []
        """Those who wait on this loop for more than events show, by a function: the rows of what they wait for, either
        descriptors (a mask of ACTIVITY) or timers (TIMER), with the keys that those of events have."""
        self._on_stop: list[Callable[[], object]] = []
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._done: Any = None
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def __repr__(self) -> str:
        return f"<LoopThread {self.name}>"

    @property
    def ident(self) -> int:
        """What the threading library knows the thread by, as debuggers do; 0 before it was started."""
        return self._thread.ident or 0

    def start(self) -> None:
        """Start the thread and wait until its loop takes work.

        Raises :exc:`EventerError` when it could not."""
        start_thread(self._thread)
        self._started.wait()
        if self._failure is not None:
            raise EventerError(f"{self.name} did not start: {self._failure}") from self._failure

    @property
    def started(self) -> bool:
        """Whether the thread was ever started."""
        return self._started.is_set()

    def post(self, function: Callable[..., object], *args: Any) -> bool:
        """Have ``function(*args)`` run on this loop soon, after everything posted before it.

        Returns False, and does nothing, once the thread has stopped.
        """
        with self._gate:
            if not self._accepting:
                return False
            self._inbox.append((function, args))
            if not self._woken:
                self._woken = True
                self._wakeup.send()
        return True

    def due(self, function: Callable[[], object]) -> None:
        """Call *function*, whose time has come: now, or in one of the next turns, behind those that were due before it,
        when they have used up what there is for them in this one.  On this thread."""
        turn, now = self.loop.iteration, time.perf_counter()
        if turn != self._turn:
            self._turn, self._turn_ends = turn, now + _settings.current.turn_budget
        if self._overdue or now >= self._turn_ends:
            self._overdue.append(function)
            if len(self._overdue) == 1:
                self.post(self._catch_up)
        else:
            function()

    def hurry(self, more: int) -> None:
        """There are so many recurrent events *more* here: as long as there are any the loop turns of its own accord.

        On this thread only."""
        self._recurrent += more
        if self._recurrent and self._pace is None:
            interval = _settings.current.recurrent_interval
            self._pace = self.loop.timer(interval, interval) if interval else self.loop.idle()
            self._pace.start(_nothing)
        elif not self._recurrent and self._pace is not None:
            self._pace.stop()
            self._pace.close()
            self._pace = None

    def soon(self, function: Callable[..., object], *args: Any) -> None:
        """Have ``function(*args)`` run when this loop turns next, guarded.  On this thread only.

        What is asked for by such a function itself comes after everybody else: gevent would run it at once, again and
        again, before it looks at a descriptor."""
        if self._running_soon:
            self.post(function, *args)
        else:
            self.loop.run_callback(self._run_soon, function, args)

    def _run_soon(self, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._running_soon = True
        try:
            self.guarded(function, *args)
        finally:
            self._running_soon = False

    def watch(self, fd: int, events: int, function: Callable[[], object]) -> Any:
        """Have *function* called, guarded, whenever descriptor *fd* is ready: for reading (1), writing (2) or both (3).

        On this thread only.  Returns a gevent watcher, for the caller to hold, to stop and to close.
        Raises OSError or ValueError for what is no such descriptor."""
        watcher = self.loop.io(fd, events)
        watcher.start(self.guarded, function)
        return watcher

    def after(self, delay: float, function: Callable[..., object], *args: Any) -> Any:
        """Have ``function(*args)`` called once, guarded, in *delay* seconds.  On this thread only.

        Returns a gevent watcher, as :meth:`watch` does."""
        watcher = self.loop.timer(max(0.0, delay))
        watcher.start(self.guarded, function, *args, update=True)
        return watcher

    def is_on_hub(self) -> bool:
        """Whether the caller is on this thread's hub, as callbacks are, and in no aco or other greenlet."""
        return gevent.getcurrent() is self.hub

    def on_stop(self, function: Callable[[], object]) -> None:
        """Have *function* called on this thread when it stops, last registered first."""
        self._on_stop.append(function)

    def stop(self) -> None:
        """Ask the thread to finish: what was posted before still runs, then :meth:`on_stop`, then the loop ends."""
        self.post(self._finish)

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to *timeout* seconds for the thread to end; True when it has."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def guarded(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call ``function(*args)``; log what it raises, and return None then."""
        if self.slow.writes:
            return self._timed(function, args)
        try:
            return function(*args)
        except Exception:
            self.failed(name_for_callback(function))
            return None

    def failed(self, name: str) -> None:
        """Log the exception being handled: callback *name* raised it."""
        _errors.log(f"callback {name} failed on {self.name}\n{traceback.format_exc()}")

    def took(self, name: str, seconds: float) -> None:
        """Log that callback *name* took so long, if that counts as slow."""
        if _settings.current.slow_callback(seconds):
            self.slow.log(f"callback {name} took {seconds * 1e3:.3f} ms\n")

    def _timed(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        began = time.perf_counter()
        try:
            return function(*args)
        except Exception:
            self.failed(name_for_callback(function))
            return None
        finally:
            self.took(name_for_callback(function), time.perf_counter() - began)

    def _run(self) -> None:
        try:
            _here.thread = self
            self.tid = threading.get_native_id()
            self.slow = log.stream_find(f"debug/eventer/callbacks/loop/{self.pool.name}")
            self.hub = gevent.get_hub()
            self.loop = self.hub.loop
            self._wakeup = self.loop.async_()
            self._wakeup.start(self._drain)
            self._done = Waiter(self.hub)
            self._accepting = True
        except BaseException as failure:
            self._failure = failure
            return
        finally:
            self._started.set()
        if _debug.enabled:
            _debug.log(f"{self.name} runs as thread {self.tid}\n")
        if _time.enabled:
            _time.log(f"{self.name} (thread {self.tid}) may run on processors {_processors()}\n")
        try:
            self._done.get()  # the hub runs until _finish
        finally:
            self._wakeup.stop()
            self._wakeup.close()
            self.hub.destroy(destroy_loop=True)

    def _drain(self) -> None:
        self._woken = False  # before the inbox is read: what is posted from now on wakes the loop again
        inbox = self._inbox
        end = time.perf_counter() + _settings.current.turn_budget
        for _ in range(len(inbox)):
            function, args = inbox.popleft()
            self.guarded(function, *args)
            if time.perf_counter() >= end:
                break
        with self._gate:
            if inbox and not self._woken:
                self._woken = True
                self._wakeup.send()

    def _catch_up(self) -> None:
        overdue = self._overdue
        end = time.perf_counter() + _settings.current.turn_budget
        while overdue:
            self.guarded(overdue.popleft())
            if time.perf_counter() >= end:
                break
        if overdue:
            self.post(self._catch_up)

    def _finish(self) -> None:
        with self._gate:
            self._accepting = False
        while self._inbox:
            function, args = self._inbox.popleft()
            self.guarded(function, *args)
        while self._on_stop:
            self.guarded(self._on_stop.pop())
        if _debug.enabled:
            _debug.log(f"{self.name} stops and lets go of {len(self.events)} events\n")
        for place in list(self.events):
            place.close()
        self.events.clear()
        self._done.switch(None)


def _nothing() -> None:
    """That the loop turned is all that was wanted."""


def _processors() -> str:
    """Those that the system lets this thread run on."""
    if not hasattr(os, "sched_getaffinity"):
        return "of the system's choice"
    return ",".join(map(str, sorted(os.sched_getaffinity(0))))


def start_thread(thread: threading.Thread) -> None:
    """Start *thread* with the stack that all of ours get.  Raises RuntimeError when the system has no more."""
    if prepare is not None:
        thread.run = _prepared(prepare, thread.run)  # type: ignore[method-assign]
    with _starting:
        usual = threading.stack_size(STACK_SIZE)
        try:
            thread.start()
        finally:
            threading.stack_size(usual)
    if sys.platform == "linux":
        try:
            Path(f"/proc/self/task/{thread.native_id}/comm").write_bytes(thread.name.encode()[:KERNEL_NAME])
        except OSError:
            pass  # it has ended already


def prepare_threads(function: Callable[[], object] | None) -> None:
    """Have *function* called first on every thread of loops and job queues that starts from now on; None: no more."""
    global prepare
    prepare = function


def _prepared(first: Callable[[], object], run: Callable[[], None]) -> Callable[[], None]:
    def both() -> None:
        first()
        run()

    return both


def current() -> LoopThread:
    """The loop thread this is called on.

    Raises :exc:`NotOnLoop` elsewhere."""
    thread: LoopThread | None = getattr(_here, "thread", None)
    if thread is None:
        raise NotOnLoop("this belongs on an event loop thread")
    return thread


def current_or_none() -> LoopThread | None:
    """The loop thread this is called on, or None elsewhere."""
    return getattr(_here, "thread", None)


def is_loop_thread() -> bool:
    """Whether the caller is on a loop thread.  Manual: ``eventer_is_loop``."""
    return getattr(_here, "thread", None) is not None


def join_all(threads: list[LoopThread], timeout: float) -> None:
    """Wait for *threads* to end within *timeout* seconds altogether.

    Raises :exc:`EventerError` naming those that did not."""
    deadline = time.monotonic() + timeout
    stuck = [t.name for t in threads if t.started and not t.join(max(0.0, deadline - time.monotonic()))]
    if stuck:
        raise EventerError(f"loop threads still busy after {timeout:g} s: {', '.join(stuck)}")
