"""A job: one piece of work for a queue, the dependents that it waits for, and the way back to a loop.

Its life: :meth:`Job.work` on a thread of the queue; when that and every dependent is done, :meth:`Job.report` on the
loop thread of its back queue; then whatever depends on it goes on.
"""

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._backq import BackQueue

of_thread = threading.local()  # .job, which the thread is doing
_families = threading.Lock()  # one for all: held for one addition


class Job:
    """One piece of work; what it is, the classes derived from it know.

    Attributes: ``subqueue``, which competes fairly with the others; ``deadline`` (epoch seconds, 0 for none) by which
    it must have begun; ``timed_out``, True when it had not; ``back``, where it reports, or None for nowhere."""

    __slots__ = ("_open", "_parent", "back", "deadline", "subqueue", "timed_out", "waiting_since")

    def __init__(self, back: "BackQueue | None" = None, subqueue: int = 0, deadline: float = 0.0) -> None:
        self.back = back
        self.subqueue = subqueue
        self.deadline = deadline
        self.timed_out = False
        self.waiting_since = 0.0  # of the monotonic clock
        self._parent: Job | None = None
        self._open = 1  # the job itself, and each dependent that has not completed

    def work(self) -> None:
        """Do it, on a thread of the queue; when :attr:`timed_out`, only clean up."""

    def report(self) -> None:
        """Tell of it, on the loop thread of the back queue."""

    def name(self) -> str:
        """What operators call it."""
        return type(self).__name__

    def depend(self, parent: "Job") -> None:
        """Have *parent* report after this one; called before this one is put in a queue, while *parent* works."""
        with _families:
            parent._open += 1
        self._parent = parent

    @property
    def dependent(self) -> bool:
        """Whether another job waits for this one."""
        return self._parent is not None

    def release(self) -> None:
        """The work, or that of one dependent, is done; after the last of them the job reports."""
        if self._open == 1:  # no dependents, and none can come now
            last = True
        else:
            with _families:
                self._open -= 1
                last = not self._open
        if last and (self.back is None or not self.back.enqueue(self)):
            self.completed()

    def completed(self) -> None:
        """The job has reported, or has nobody to report to: what it depends on may go on."""
        parent, self._parent = self._parent, None
        if parent is not None:
            parent.release()


def jobq_inflight() -> Job | None:
    """The job that this thread is doing, or None.  Manual: ``eventer_jobq_inflight``."""
    job: Job | None = getattr(of_thread, "job", None)
    return job
