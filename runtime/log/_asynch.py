"""Writing behind the caller's back: a thread for each typed stream.  Manual: ``mtev_log_go_asynch``.

Lines of one stream keep their order.  The queue is bounded: what comes while it is full is counted as not written.
"""

import threading
from collections import deque

from ._base import tell
from ._types import LogType

MOST: int = 100_000
"""Lines that may wait for one stream."""

BATCH = 1000  # lines handed over at once


class Writer:
    """The thread of one :class:`LogType` and what waits for it."""

    def __init__(self, ctx: LogType) -> None:
        self._ctx = ctx
        self._queue: deque[tuple[int, bytes]] = deque()
        self._wake = threading.Condition()
        self._full = False
        self._idle = True
        self._sleeping = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"log/{ctx.name}", daemon=True)
        self._thread.start()

    def put(self, when: int, line: bytes) -> None:
        """Queue one formatted line."""
        if len(self._queue) >= MOST:
            self._ctx.write_errors += 1
            if not self._full:
                self._full = True
                tell(f"log '{self._ctx.name}': {MOST} lines wait to be written; lines are lost until some are\n")
            return
        self._full = False
        self._queue.append((when, line))
        if self._sleeping:
            with self._wake:
                self._wake.notify_all()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything queued so far is written, or *timeout* seconds; returns whether it is."""
        if threading.current_thread() is self._thread:
            return False
        with self._wake:
            self._wake.notify_all()
            return self._wake.wait_for(lambda: self._idle and not self._queue, timeout)

    def stop(self, timeout: float | None = None) -> None:
        """Write everything, and end."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        while self._queue:  # what came while it ended
            self._ctx.write_safely(*self._queue.popleft())

    def _run(self) -> None:
        queue = self._queue
        while True:
            with self._wake:
                self._sleeping = True
                while not queue and not self._stopping:
                    self._idle = True
                    self._wake.notify_all()
                    self._wake.wait(1.0)  # a line may come between the look at the queue and the wait
                self._sleeping = self._idle = False
                if not queue:
                    self._idle = True
                    self._wake.notify_all()
                    return
            while queue:
                lines = [queue.popleft() for _ in range(min(len(queue), BATCH))]
                try:
                    self._ctx.write_all(lines)
                except Exception as failure:
                    self._ctx.failed(len(lines), failure)
