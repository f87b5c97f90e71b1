"""What the engine counts, in memory that Lua writes and whoever asks reads: requests, and latencies by mount.

Memory of a state outlives it, so that no count ever goes back.
"""

import ctypes
import mmap
from collections.abc import Iterator
from typing import Final

from runtime import stats
from runtime.http import Mountpoint
from runtime.stats import Reading

REASONS: Final = ("method", "target", "version", "head", "coding", "upgrade", "size", "torn", "route", "watched")
"""Why a connection is handed over to the Python side, as ``http1/ledger.lua`` numbers them from 1."""

_EXACT, _POWERS, _PER_POWER = 1000, 6, 90  # as in http1/ledger.lua
_CELLS = 1 + _EXACT + _POWERS * _PER_POWER
_CLASSES = 6  # of status, behind the cells

_all: "list[Counts]" = []


class Cells:
    """Numbers that Lua changes: doubles, each of which is read whole."""

    def __init__(self, size: int) -> None:
        self._memory = mmap.mmap(-1, size * 8, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.values = memoryview(self._memory).cast("d")

    @property
    def address(self) -> int:
        """Where they lie."""
        return ctypes.addressof(ctypes.c_char.from_buffer(self._memory))


class Counts:
    """The counts of one state: requests taken, those handed over by reason, and latencies by slot."""

    def __init__(self) -> None:
        self.requests = Cells(1 + len(REASONS))
        self.routes: list[Mountpoint] = []
        self._latencies: list[Cells] = []
        self._slots: dict[Mountpoint, int] = {}
        _all.append(self)

    def slot_of(self, route: Mountpoint) -> int:
        """The slot where latencies of *route* are counted."""
        slot = self._slots.get(route)
        if slot is None:
            slot = self._slots[route] = len(self.routes)
            cells = Cells(_CELLS + _CLASSES)
            self.routes.append(route)
            self._latencies.append(cells)
            route.latency.join(lambda: _buckets(cells))
        return slot

    def latency_address(self, slot: float) -> int:
        """Where the cells of *slot* lie."""
        return self._latencies[int(slot)].address

    def answers(self) -> Iterator[Reading]:
        """Answers by route and class of status."""
        for route, cells in zip(self.routes, self._latencies, strict=False):
            for status_class in range(1, _CLASSES):
                count = int(cells.values[_CELLS + status_class])
                if count:
                    yield Reading("http_requests", (("class", f"{status_class}xx"), ("route", route.name)), count)


def _buckets(cells: Cells) -> tuple[dict[int, int], float]:
    values = cells.values
    found: dict[int, int] = {}
    for at in range(1, _CELLS):
        if values[at]:
            bucket = _bucket(at - 1)
            found[bucket] = found.get(bucket, 0) + int(values[at])
    return found, values[0]


def _bucket(cell: int) -> int:
    """The bucket of latencies in *cell*: so many microseconds exactly, or more by their first two digits."""
    if cell == 0:
        return stats.ZERO
    if cell < 10:
        return stats.bucket(-6, cell * 10)
    if cell < 100:
        return stats.bucket(-5, cell)
    if cell < _EXACT:
        return stats.bucket(-4, cell // 10)
    power, digits = divmod(cell - _EXACT, _PER_POWER)
    return stats.bucket(power - 3, digits + 10)


def readings() -> Iterator[Reading]:
    """``http_engine_taken``, and ``http_engine_handed_over`` by reason, of all states."""
    cells = [each.requests.values for each in _all]
    yield Reading("http_engine_taken", (), sum(int(each[0]) for each in cells))
    for slot, reason in enumerate(REASONS, 1):
        yield Reading("http_engine_handed_over", (("reason", reason),), sum(int(each[slot]) for each in cells))
    for counts in _all:
        yield from counts.answers()


stats.source(readings)
