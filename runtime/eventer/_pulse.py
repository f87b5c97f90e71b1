"""Whether loop threads still turn, asked from outside."""

import threading
import time
from collections.abc import Callable

from ._pools import pools
from ._thread import LoopThread


class Pulse:
    """Asks the loop threads that run now, again and again, to answer.  For one thread, which is none of them."""

    def __init__(self) -> None:
        self._asked: dict[LoopThread, float] = {}
        self._threads = [thread for pool in pools() for thread in pool.threads if thread.started]

    def silent(self, timeout: float) -> list[LoopThread]:
        """The threads that have been asked for *timeout* seconds without an answer; asks all others anew.

        A thread that stops answers no more, and is silent when it does not end within that time."""
        now = time.monotonic()
        found = []
        for thread in self._threads:
            since = self._asked.get(thread)
            if since is None:
                self._asked[thread] = now
                thread.post(self._asked.pop, thread, None)
            elif now - since >= timeout and not thread.join(0):
                found.append(thread)
        return found


def after_posted(function: Callable[[], object]) -> None:
    """Have *function* called, on a loop thread, once every loop has done what was posted to it before this."""
    threads = [thread for pool in pools() for thread in pool.threads]
    missing = len(threads)
    lock = threading.Lock()

    def answer() -> None:
        nonlocal missing
        with lock:
            missing -= 1
            over = missing == 0
        if over:
            function()

    for thread in threads:
        thread.post(answer)
