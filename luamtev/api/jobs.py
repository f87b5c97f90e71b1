"""Work that blocks, which a coroutine waits for: done in a job queue by name, so that operators see it.

The queues are there from their first job on, as ``<eventer><config>`` sets them with ``jobq_NAME``, else with the
concurrency given here.  Manual: Eventer, Asynchronous Events.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from runtime import eventer, log

if TYPE_CHECKING:
    from luamtev.port import Port

Answer = tuple[bytes | float | bool | None, ...]

CONCURRENCY = {"resolver": 8, "keys": 2, "files": 4}
"""The queues, and how many of their jobs run at the same time."""


class Work(eventer.Job):
    """One call, whose answer goes to the coroutine that parked on a ticket."""

    __slots__ = ("_function", "_state", "_ticket", "_wanted")

    def __init__(self, state: "Port", ticket: int, function: Callable[[], Answer]) -> None:
        super().__init__()
        self._state = state
        self._ticket = ticket
        self._function = function
        self._wanted = True

    def cancel(self) -> None:
        """Nobody waits any longer: if it still waits for its turn it is not begun."""
        self._wanted = False

    def work(self) -> None:
        """Call, and hand the answer over; a failure that the call did not expect is told as ``nil, message``."""
        if not self._wanted:
            return
        try:
            answer = self._function()
        except Exception as failure:  # whatever it is, the coroutine must not wait for ever
            log.facility("error/lua").log(f"{self.name()} failed: {failure!r}\n")
            answer = None, f"{self.name()}: {failure}".encode("utf-8", "replace")
        self._state.ticket_done(self._ticket, *answer)

    def name(self) -> str:
        """The name of the function called."""
        return getattr(self._function, "__name__", "work")


def begin(state: "Port", ticket: int, queue: str, function: Callable[[], Answer]) -> None:
    """Have ``function()`` called in the job queue *queue*, and its answer delivered to *ticket*.

    Raises :exc:`runtime.eventer.EventerError` when the queue has no thread."""
    work = Work(state, ticket, function)
    state.tickets[ticket] = work
    try:
        eventer.jobq_create(queue, CONCURRENCY[queue]).enqueue(work)
    except eventer.EventerError:
        del state.tickets[ticket]
        raise
