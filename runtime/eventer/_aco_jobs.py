"""Jobs from an aco: it waits for their end, or has a gate tell it when several are done.

Manual: The Eventer (ACO), the ``eventer_aco_run_asynch`` and ``eventer_aco_simple_asynch`` families.
"""

from collections.abc import Callable
from typing import Any

from ._aco import Aco, current_aco
from ._asynch import AsynchEvent, Outcome, add_asynch_dep, enter, simple_asynch, try_add_asynch_dep
from ._backq import back_queue
from ._errors import EventerError
from ._jobq import JobQueue


class Gate:
    """Counts jobs under way; for the loop thread it was made on."""

    def __init__(self) -> None:
        self._under_way = 0
        self._waiting: list[tuple[Aco, int]] = []

    def raise_one(self) -> None:
        """A job begins."""
        self._under_way += 1

    def lower(self) -> None:
        """A job ended; the last one opens the gate."""
        self._under_way -= 1
        if not self._under_way:
            waiting, self._waiting = self._waiting, []
            for aco, ticket in waiting:
                aco.call(ticket)

    def wait(self, timeout: float | None = None) -> None:
        """Wait in this aco until no job is under way.

        Raises TimeoutError (ETIME) after *timeout* seconds.  Manual: ``eventer_aco_gate_wait``."""
        if self._under_way:
            aco = current_aco()
            self._waiting.append((aco, aco.draw()))
            aco.suspend(timeout)


def aco_gate() -> Gate:
    """A gate for jobs that this aco starts.  Manual: ``eventer_aco_gate``."""
    return Gate()


def aco_run_asynch(
    event: AsynchEvent,
    queue: JobQueue | None = None,
    subqueue: int = 0,
    *,
    gate: Gate | None = None,
    limited: bool = True,
) -> bool:
    """Put the asynchronous *event* into *queue* and wait until it reported here; with *gate* have that wait instead.

    Returns False, at once, when *limited* and the backlog of the queue is at its limit.  Raises :exc:`EventerError` as
    :func:`add_asynch`.  Manual: ``eventer_aco_run_asynch``, ``eventer_aco_try_run_asynch_queue_subqueue``."""
    aco = current_aco()
    if not isinstance(event, AsynchEvent):
        raise EventerError(f"{event!r} is not asynchronous")
    event.owner = aco.thread
    ticket = 0 if gate is not None else aco.draw()
    event.done = gate.lower if gate is not None else lambda: aco.resume(ticket)
    entered = False
    try:
        if limited:
            entered = try_add_asynch_dep(queue, event, subqueue)
        else:
            add_asynch_dep(queue, event, subqueue)
            entered = True
    finally:
        if not entered:
            event.done = None
    if not entered:
        return False
    if gate is not None:
        gate.raise_one()
    else:
        aco.suspend()
    return True


def aco_simple_asynch(
    function: Callable[..., Any],
    *args: Any,
    queue: JobQueue | None = None,
    subqueue: int = 0,
    deadline: float = 0.0,
) -> Any:
    """The result of ``function(*args)``, which runs on a thread of *queue* while this aco waits.

    Raises what it raises; TimeoutError when *deadline* (epoch seconds) passed before its turn came.
    Manual: ``eventer_aco_simple_asynch``."""
    aco = current_aco()
    ticket = aco.draw()
    simple_asynch(
        function,
        *args,
        back=lambda outcome: aco.resume(ticket, outcome),
        queue=queue,
        subqueue=subqueue,
        deadline=deadline,
    )
    outcome: Outcome = aco.suspend()
    return outcome.result()


def aco_simple_asynch_gated(
    gate: Gate,
    function: Callable[..., Any],
    *args: Any,
    queue: JobQueue | None = None,
    subqueue: int = 0,
    deadline: float = 0.0,
) -> Outcome:
    """Start ``function(*args)`` on a thread of *queue*; its outcome is complete once *gate* opened.

    Manual: ``eventer_aco_simple_asynch_gated``."""
    here = current_aco().thread
    job = Outcome(function, args, lambda _outcome: gate.lower(), here.back or back_queue(here), subqueue, deadline)
    enter(queue, job, limited=False)
    gate.raise_one()
    return job
