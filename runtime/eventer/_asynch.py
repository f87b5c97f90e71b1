"""Asynchronous events: a callback that works on a thread of a job queue and then reports on its loop thread.

An event goes through ASYNCH_WORK and ASYNCH_CLEANUP on one thread of the queue, then ASYNCH on its owner.  One whose
deadline passed before its turn came skips ASYNCH_WORK, and its ``timed_out`` says so.  A dependent event reports before
the one it was added from.  Manual: The Eventer, Asynchronous Events.
"""

import time
from collections.abc import Callable
from typing import Any

from ._backq import BackQueue, back_queue
from ._callbacks import name_for_callback
from ._errors import EventerError
from ._event import ASYNCH, ASYNCH_CLEANUP, ASYNCH_WORK, Callback, Event
from ._job import Job, jobq_inflight
from ._jobq import JobQueue
from ._pools import choose_owner
from ._queues import default_queue
from ._thread import LoopThread, current_or_none


class AsynchEvent(Event):
    """An event for a job queue.  ``whence`` is its deadline in epoch seconds, 0 for none; ``timed_out``, whether that
    passed before its turn came."""

    __slots__ = ("done", "job", "timed_out")

    def __init__(self, callback: Callback, closure: object, deadline: float = 0.0) -> None:
        super().__init__(callback, closure, ASYNCH, whence=deadline)
        self.job: Job | None = None
        self.timed_out = False
        self.done: Callable[[], object] | None = None  # called once after it reported

    def __repr__(self) -> str:
        return f"<Event asynch callback={name_for_callback(self.callback, self)}>"


class EventJob(Job):
    """The job of an asynchronous event."""

    __slots__ = ("event",)

    def __init__(self, event: AsynchEvent, subqueue: int) -> None:
        assert event.owner is not None
        super().__init__(back_queue(event.owner), subqueue, event.whence)
        self.event = event

    def work(self) -> None:
        """WORK unless it is too late, then CLEANUP even after a failure."""
        event = self.event
        event.timed_out = self.timed_out
        try:
            if not self.timed_out:
                event.callback(event, ASYNCH_WORK, event.closure, time.time())
        finally:
            event.callback(event, ASYNCH_CLEANUP, event.closure, time.time())

    def report(self) -> None:
        """The event is done with, and may be added again from here."""
        event = self.event
        event.job = None
        done, event.done = event.done, None
        assert self.back is not None
        event.call(self.back.owner, ASYNCH)
        if done is not None:
            done()

    def name(self) -> str:
        """The callback's."""
        return name_for_callback(self.event.callback, self.event)


class Outcome(Job):
    """A function call in a job queue, and what became of it.

    Attributes: ``value``, or ``error``, what it raised, or that its deadline passed before its turn came."""

    __slots__ = ("args", "error", "function", "reported", "value")

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        reported: "Callable[[Outcome], object] | None",
        back: BackQueue | None,
        subqueue: int = 0,
        deadline: float = 0.0,
    ) -> None:
        super().__init__(back, subqueue, deadline)
        self.function = function
        self.args = args
        self.reported = reported
        self.value: Any = None
        self.error: BaseException | None = None

    def result(self) -> Any:
        """The value.  Raises what the function raised, TimeoutError when its deadline passed before its turn came."""
        if self.error is not None:
            raise self.error
        return self.value

    def work(self) -> None:
        """Call the function.  With nobody to tell of a failure it is logged."""
        if self.timed_out:
            self.error = TimeoutError(f"{self.name()}: its deadline passed before its turn came")
            return
        try:
            self.value = self.function(*self.args)
        except Exception as failure:
            if self.reported is None:
                raise
            self.error = failure

    def report(self) -> None:
        """Hand over the outcome."""
        if self.reported is not None:
            self.reported(self)

    def name(self) -> str:
        """The function's."""
        return name_for_callback(self.function)


def alloc_asynch(callback: Callback, closure: object) -> AsynchEvent:
    """An asynchronous event.  Manual: ``eventer_alloc_asynch``."""
    return AsynchEvent(callback, closure)


def alloc_asynch_timeout(callback: Callback, closure: object, deadline: float) -> AsynchEvent:
    """An asynchronous event that must begin by *deadline*, epoch seconds.

    Manual: ``eventer_alloc_asynch_timeout``."""
    return AsynchEvent(callback, closure, deadline)


def add_asynch(queue: JobQueue | None, event: Event, subqueue: int = 0) -> None:
    """Put *event* into *queue* (None for the default one), whatever its backlog.

    Subqueues compete fairly.  Raises :exc:`EventerError` for another kind of event, one that is under way, and a queue
    that has stopped.  Manual: ``eventer_add_asynch``, ``eventer_add_asynch_subqueue``."""
    _add(queue, event, subqueue, limited=False, dependent=False)


def try_add_asynch(queue: JobQueue | None, event: Event, subqueue: int = 0) -> bool:
    """The same unless the backlog is at its limit: then False, and the callback never runs."""
    return _add(queue, event, subqueue, limited=True, dependent=False)


def add_asynch_dep(queue: JobQueue | None, event: Event, subqueue: int = 0) -> None:
    """The same for a dependent of the job that this thread is doing, which reports after it.

    Elsewhere the event depends on nothing.  Manual: ``eventer_add_asynch_dep``."""
    _add(queue, event, subqueue, limited=False, dependent=True)


def try_add_asynch_dep(queue: JobQueue | None, event: Event, subqueue: int = 0) -> bool:
    """Dependent, and unless the backlog is at its limit."""
    return _add(queue, event, subqueue, limited=True, dependent=True)


def simple_asynch(
    function: Callable[..., Any],
    *args: Any,
    back: Callable[[Outcome], object] | None = None,
    queue: JobQueue | None = None,
    subqueue: int = 0,
    deadline: float = 0.0,
    limited: bool = False,
) -> bool:
    """Have ``function(*args)`` run on a thread of *queue*, then ``back(outcome)`` on this loop thread.

    Args: *deadline*, epoch seconds by which it must begin, 0 for none; *limited*, whether the backlog limit holds.
    Returns False when it does and is reached.  Called elsewhere, *back* runs on the first thread of the default pool.
    Raises :exc:`EventerError` when the queue has stopped."""
    reports_to = None
    if back is not None:
        here = current_or_none() or choose_owner(0)
        reports_to = here.back or back_queue(here)
    return enter(queue, Outcome(function, args, back, reports_to, subqueue, deadline), limited)


def enter(queue: JobQueue | None, job: Job, limited: bool) -> bool:
    """Put *job* into *queue*, or the default one; False when *limited* and the backlog is at its limit."""
    chosen = queue or default_queue()
    if limited:
        return chosen.try_enqueue(job)
    chosen.enqueue(job)
    return True


def _add(queue: JobQueue | None, event: Event, subqueue: int, *, limited: bool, dependent: bool) -> bool:
    if not isinstance(event, AsynchEvent):
        raise EventerError(f"{event!r} is not asynchronous")
    if event.job is not None:
        raise EventerError(f"{event!r} was added already")
    event.owner = _owner(event.owner)
    event.timed_out = False
    event.job = job = EventJob(event, subqueue)
    parent = jobq_inflight() if dependent else None
    if parent is not None:
        job.depend(parent)
    entered = False
    try:
        entered = enter(queue, job, limited)
    finally:
        if not entered:
            event.job = None
            job.completed()
    return entered


def _owner(wanted: LoopThread | None) -> LoopThread:
    return wanted or current_or_none() or choose_owner(0)
