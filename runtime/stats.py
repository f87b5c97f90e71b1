"""Counters and latency histograms of the stack, by name and tags, to be read by operators.  Manual: Operations.

A histogram has buckets of two significant decimal digits, as those of libcircllhist: a value of 0.00123 s is counted
with all of 1.2e-3 up to 1.3e-3.  Adding costs a lock that nobody else wants and a look into a dictionary.
"""

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

Number = int | float
Others = Callable[[], tuple[dict[int, int], float]]
Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Reading:
    """A metric as it is now: ``value`` is a number, or counts by the lower bound of their bucket.

    ``is_level`` says of a number that it goes up and down; others are counts, which only grow."""

    name: str
    tags: Tags
    value: "Number | dict[float, int]"
    total: float = 0.0  # of a histogram: the sum of its values
    is_level: bool = False


class Counter:
    """Counts up.  From any thread."""

    def __init__(self) -> None:
        self._value: Number = 0
        self._lock = threading.Lock()

    def add(self, amount: Number = 1) -> None:
        """Count *amount* more."""
        with self._lock:
            self._value += amount

    @property
    def value(self) -> Number:
        """The count."""
        return self._value

    def reset(self) -> None:
        """Begin at 0 again."""
        with self._lock:
            self._value = 0


class Histogram:
    """Counts values by bucket.  From any thread."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._total = 0.0
        self._lock = threading.Lock()
        self._others: list[tuple[Others, dict[int, int], float]] = []  # with what they had at the last reset

    def join(self, others: "Others") -> None:
        """Count in what *others* say whenever somebody looks: counts by :func:`bucket`, never less, and their sum."""
        with self._lock:
            self._others.append((others, {}, 0.0))

    def _all(self) -> tuple[dict[int, int], float]:
        counts, total = dict(self._counts), self._total
        for others, before, sum_before in self._others:
            more, added = others()
            for index, count in more.items():
                if count > before.get(index, 0):
                    counts[index] = counts.get(index, 0) + count - before.get(index, 0)
            total += added - sum_before
        return counts, total

    def add(self, value: float) -> None:
        """Count *value*, such as seconds; what is not above 0, or too far from 1, counts as 0."""
        self.add_all((value,))

    def add_all(self, values: Iterable[float]) -> None:
        """Count each of *values*."""
        with self._lock:
            counts = self._counts
            for value in values:
                if not _LEAST < value < _MOST:
                    value, index = 0.0, ZERO
                elif 1e-5 <= value < 0.1:  # latencies: whole microseconds tell the bucket, and are soon all known
                    micros = int(value * 1e6 + 1e-9)
                    index = _of_micros.get(micros) or _of_micros.setdefault(micros, _index(micros * 1e-6))
                else:
                    index = _index(value)
                counts[index] = counts.get(index, 0) + 1
                self._total += value

    def buckets(self) -> dict[float, int]:
        """Counts by the lower bound of their bucket, in order."""
        with self._lock:
            counts = sorted(self._all()[0].items())
        return {_bound(index): count for index, count in counts}

    @property
    def total(self) -> float:
        """The sum of all values."""
        with self._lock:
            return self._all()[1]

    def reset(self) -> None:
        """Forget all values."""
        with self._lock:
            self._counts = {}
            self._total = 0.0
            self._others = [(others, *others()) for others, _, _ in self._others]


ZERO = -(10**6)
"""The bucket of what counts as 0."""
_LEAST, _MOST = 1e-128, 1e127
_of_micros: dict[int, int] = {}

_counters: dict[tuple[str, Tags], Counter] = {}
_histograms: dict[tuple[str, Tags], Histogram] = {}
_sources: list[Callable[[], Iterator[Reading]]] = []
_lock = threading.Lock()


def counter(name: str, tags: Mapping[str, str] | None = None) -> Counter:
    """The counter *name* with *tags*, made at first use."""
    key = (name, tuple(sorted((tags or {}).items())))
    with _lock:
        return _counters.setdefault(key, Counter())


def histogram(name: str, tags: Mapping[str, str] | None = None) -> Histogram:
    """The histogram *name* with *tags*, made at first use; its values are seconds unless the tag ``units`` says."""
    key = (name, tuple(sorted((tags or {}).items())))
    with _lock:
        return _histograms.setdefault(key, Histogram())


def source(readings: Callable[[], Iterator[Reading]]) -> None:
    """Have *readings* asked for what is counted elsewhere, each time somebody looks."""
    _sources.append(readings)


def read() -> list[Reading]:
    """Everything counted, by name."""
    with _lock:
        counters, histograms = list(_counters.items()), list(_histograms.items())
    found = [Reading(name, tags, each.value) for (name, tags), each in counters]
    found += [Reading(name, tags, each.buckets(), each.total) for (name, tags), each in histograms]
    for readings in list(_sources):
        found += readings()
    merged: dict[tuple[str, Tags], Reading] = {}
    for each in found:
        known = merged.get((each.name, each.tags))
        if known is not None and not isinstance(known.value, dict) and not isinstance(each.value, dict):
            each = replace(each, value=known.value + each.value)  # counted in two places
        merged[each.name, each.tags] = each
    return [merged[key] for key in sorted(merged)]


def reset() -> None:
    """Set counters and histograms back; what is counted elsewhere stays."""
    with _lock:
        everything: list[Counter | Histogram] = [*_counters.values(), *_histograms.values()]
    for each in everything:
        each.reset()


def _index(value: float) -> int:
    """The bucket of a *value* above 0."""
    exponent = math.floor(math.log10(value))
    digits = int(value * 10.0 ** (1 - exponent) + 1e-9)
    return exponent * 100 + digits if digits < 100 else (exponent + 1) * 100 + 10  # rounded up


def bucket(exponent: int, digits: int) -> int:
    """The bucket of values from *digits* (10 to 99) tenths of the *exponent*'s power of ten on: -3 and 12, 0.0012."""
    return exponent * 100 + digits


def _bound(index: int) -> float:
    if index == ZERO:
        return 0.0
    exponent, mantissa = divmod(index, 100)
    return float(f"{mantissa}e{exponent - 1}")
