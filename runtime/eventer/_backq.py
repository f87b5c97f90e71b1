"""Back queues: where jobs whose work is done wait for their loop thread.  Manual: ``eventer_jobq_create_backq``.

Every loop thread has one, ``default_back_queue/N`` with the number of the thread, made when it is first needed.
"""

import threading
from collections import deque
from time import monotonic

from ._job import Job
from ._slices import Slice
from ._thread import LoopThread

_making = threading.Lock()


class BackQueue:
    """A queue of jobs that report on the loop thread *owner*, in the order they come."""

    def __init__(self, name: str, owner: LoopThread) -> None:
        self.name = name
        self.owner = owner
        self._waiting: deque[Job] = deque()
        self._scheduled = False
        self._begun = self._reporting = self._batches = 0
        self._wait = self._run = 0.0

    def __repr__(self) -> str:
        return f"<BackQueue {self.name}>"

    def enqueue(self, job: Job) -> bool:
        """Have *job* report; False when the loop has stopped.  From any thread."""
        job.waiting_since = monotonic()
        self._waiting.append(job)
        if self._scheduled:
            return True  # the loop has yet to look, and will see it
        self._scheduled = True
        return self.owner.post(self._drain)

    def _drain(self) -> None:
        self._scheduled = False  # before the queue is read: what comes from now on has the loop look again
        waiting, owner = self._waiting, self.owner
        if not waiting:
            return
        mine = Slice()
        batch, began = 0, monotonic()
        waited = began - waiting[0].waiting_since
        self._reporting = 1
        for _ in range(len(waiting)):
            job = waiting.popleft()
            batch += 1
            self._begun += 1
            try:
                job.report()
            except Exception:
                owner.failed(job.name())
            if job.dependent:
                job.completed()
            if mine.is_over():
                break
        self._reporting = 0
        self._batches += 1
        weight = max(0.1, 1.0 / self._batches)
        self._wait += (waited - self._wait) * weight
        self._run += ((monotonic() - began) / batch - self._run) * weight
        if waiting and not self._scheduled:
            self._scheduled = True
            owner.post(self._drain)

    def figures(self) -> dict[str, int | float]:
        """The same figures as those of a job queue; it has no threads of its own."""
        return {
            "concurrency": 0,
            "desired_concurrency": 0,
            "min_concurrency": 0,
            "max_concurrency": 0,
            "threads": 0,
            "total_jobs": self._begun + len(self._waiting),
            "backlog": len(self._waiting),
            "inflight": self._reporting,
            "timeouts": 0,
            "avg_wait_ms": round(self._wait * 1e3, 6),
            "avg_run_ms": round(self._run * 1e3, 6),
        }


def back_queue(thread: LoopThread) -> BackQueue:
    """The back queue that *thread* always has."""
    found: BackQueue | None = thread.back
    if found is None:
        with _making:
            found = thread.back
            if found is None:
                found = thread.back = BackQueue(f"default_back_queue/{thread.number}", thread)
    return found
