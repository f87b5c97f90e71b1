"""Waiting for what is about to be."""

import time
from collections.abc import Callable


def until(holds: Callable[[], object], seconds: float = 30) -> None:
    """Return once *holds* does; it fails after so many *seconds*."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
