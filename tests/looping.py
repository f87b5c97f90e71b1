"""Calls on a loop thread."""

from collections.abc import Callable
from queue import Queue
from typing import Any

from waiting import TIMEOUT

from runtime import eventer


def on(thread: eventer.LoopThread, function: Callable[..., Any], *args: Any, timeout: float = TIMEOUT) -> Any:
    """Call *function* on *thread*, below a callback; returns its result, or raises its exception here."""
    results: Queue[tuple[Any, BaseException | None]] = Queue()

    def run() -> None:
        try:
            results.put((function(*args), None))
        except BaseException as failure:
            results.put((None, failure))

    assert thread.post(run)
    result, failure = results.get(timeout=timeout)
    if failure is not None:
        raise failure
    return result
