"""What the collector of Python's garbage does, told in ``debug/memory``.  Manual: Built-in logging facilities.

The collector may come at any moment, in the middle of a log call too: what it did is noted there, and logged later.
"""

import gc
import time
from collections import deque
from typing import Any, Final

from runtime import log

_debug: Final = log.facility("debug/memory")
_noted: "deque[tuple[int, float, dict[str, Any]]]" = deque(maxlen=1000)
_began = 0.0


def watch() -> None:
    """Note what is collected from now on, while ``debug/memory`` writes."""
    if _note not in gc.callbacks:
        gc.callbacks.append(_note)


def tell() -> None:
    """Log what was noted since the last call."""
    while _noted:
        when, seconds, told = _noted.popleft()
        counts = f"{told['collected']} objects reclaimed, {told['uncollectable']} cannot be"
        _debug.log(f"generation {told['generation']}: {counts}, in {seconds * 1e3:.3f} ms\n", when=when)


def _note(phase: str, told: dict[str, Any]) -> None:
    global _began
    if not _debug.enabled:
        return
    if phase == "start":
        _began = time.perf_counter()
    elif _began:
        _noted.append((time.time_ns(), time.perf_counter() - _began, told))
        _began = 0.0
