"""A cache that, when it is full, gives up what was asked for least.  Manual: mtev_lfu_create.

Entries are in lists by how often they were asked for, so every operation takes the same time, however many there are
(Shah, Mitra, Matani: An O(1) algorithm for implementing the LFU cache eviction scheme)."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class _Entry(Generic[V]):
    __slots__ = ("count", "value")

    def __init__(self, value: V) -> None:
        self.value = value
        self.count = 1


class Lfu(Generic[K, V]):
    """At most *max_entries* values by key, -1 for any number; *free* is called with each value that is given up.

    Any thread may call.  Python counts who holds a value, so there are no tokens to give back: manual,
    mtev_lfu_release.  Raises ValueError for no entries."""

    def __init__(self, max_entries: int, free: Callable[[V], object] | None = None) -> None:
        if max_entries < 1 and max_entries != -1:
            raise ValueError(f"an LFU has at least one entry, or -1 for any number, not {max_entries}")
        self._most = max_entries
        self._free = free
        self._lock = threading.RLock()
        self._entries: dict[K, _Entry[V]] = {}
        self._by_count: dict[int, dict[K, None]] = {}  # in the order in which they came to be asked for so often
        self._least = 0

    def get(self, key: K, default: V | None = None) -> V | None:
        """The value of *key*, which counts, or *default*.  Manual: mtev_lfu_get."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return default
            self._forget_count(key, entry)
            entry.count += 1
            self._by_count.setdefault(entry.count, {})[key] = None
            if self._least not in self._by_count:
                self._least = entry.count
            return entry.value

    def put(self, key: K, value: V) -> None:
        """Keep *value* under *key*, counted from 1; one that was there, or the least asked for where the cache is
        full, is given up.  Manual: mtev_lfu_put."""
        with self._lock:
            gone = []
            known = self._entries.pop(key, None)
            if known is not None:
                self._forget_count(key, known)
                gone.append(known.value)
            elif len(self._entries) == self._most:
                least = next(iter(self._by_count[self._least_count()]))
                gone.append(self._take(least).value)
            self._entries[key] = _Entry(value)
            self._by_count.setdefault(1, {})[key] = None
            self._least = 1
        self._give_up(gone)

    def remove(self, key: K) -> V | None:
        """The value of *key*, taken out without being given up; None when there is none.  Manual: mtev_lfu_remove."""
        with self._lock:
            return self._take(key).value if key in self._entries else None

    def invalidate(self) -> None:
        """Give up everything.  Manual: mtev_lfu_invalidate."""
        with self._lock:
            gone = [entry.value for entry in self._entries.values()]
            self._entries.clear()
            self._by_count.clear()
        self._give_up(gone)

    @contextmanager
    def iterate(self) -> Iterator[Iterator[tuple[K, V]]]:
        """For a with statement: all keys and values, which do not count, while others wait.  Manual:
        mtev_lfu_iterate."""
        with self._lock:
            yield ((key, entry.value) for key, entry in self._entries.items())

    def size(self) -> int:
        """How many entries there are.  Manual: mtev_lfu_size."""
        return len(self._entries)

    __len__ = size

    def _least_count(self) -> int:
        if self._least not in self._by_count:
            self._least = min(self._by_count)
        return self._least

    def _take(self, key: K) -> _Entry[V]:
        entry = self._entries.pop(key)
        self._forget_count(key, entry)
        return entry

    def _forget_count(self, key: K, entry: _Entry[V]) -> None:
        keys = self._by_count[entry.count]
        del keys[key]
        if not keys:
            del self._by_count[entry.count]

    def _give_up(self, values: list[V]) -> None:
        if self._free is not None:
            for value in values:
                self._free(value)
