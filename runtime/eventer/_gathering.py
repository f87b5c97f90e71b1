"""Answers that several threads give to one question."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Gathering(Generic[K, V]):
    """Calls *done* once, with the answers by who gave them: when *expected* are there, or at :meth:`end`."""

    def __init__(self, expected: int, done: Callable[[dict[K, V]], object]) -> None:
        self._expected = expected
        self._done = done
        self._found: dict[K, V] = {}
        self._over = False
        self._lock = threading.Lock()

    def put(self, key: K, value: V) -> None:
        """The answer of *key*, from any thread; one that comes too late is passed over."""
        with self._lock:
            if not self._over:
                self._found[key] = value
            last = len(self._found) == self._expected
        if last:
            self.end()

    def end(self) -> None:
        """Wait for no more answers; may be called again."""
        with self._lock:
            ended, self._over = self._over, True
        if not ended:
            self._done(self._found)
