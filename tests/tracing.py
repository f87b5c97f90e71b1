"""Who listens to trace points, for tests."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from runtime import trace

PATIENCE = 20.0


@contextmanager
def heard(*names: str) -> Iterator[list[tuple[Any, ...]]]:
    """What is told at the points *names* meanwhile: the name, then the values."""
    told: list[tuple[Any, ...]] = []
    ends = [trace.subscribe(name, lambda *values, name=name: told.append((name, *values))) for name in names]
    try:
        yield told
    finally:
        for end in ends:
            end()


def wait_for(told: list[tuple[Any, ...]], wanted: Callable[[tuple[Any, ...]], bool]) -> tuple[Any, ...]:
    """The first that is *wanted*; waits for it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        for each in list(told):
            if wanted(each):
                return each
        assert time.monotonic() < deadline, told
        time.sleep(0.01)
