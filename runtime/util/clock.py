"""Clocks.  Manual: mtev_now_ms, mtev_get_nanos, mtev_perftimer."""

import time


def now_ms() -> int:
    """Milliseconds since 1970.  Manual: mtev_now_ms."""
    return time.time_ns() // 1_000_000


def now_us() -> int:
    """Microseconds since 1970.  Manual: mtev_now_us."""
    return time.time_ns() // 1_000


def get_nanos() -> int:
    """Nanoseconds since some moment in the past, never fewer than before.  Manual: mtev_get_nanos,
    mtev_sys_gethrtime."""
    return time.monotonic_ns()


class Perftimer:
    """Runs from when it is made.  C: mtev_perftimer_start."""

    def __init__(self) -> None:
        self._start = get_nanos()

    def elapsed(self) -> int:
        """Nanoseconds.  C: mtev_perftimer_elapsed."""
        return get_nanos() - self._start
