"""A fast random replacement hash: a cache of fixed size in which a key has one place, and takes it from another with a
certain probability.  Manual: mtev_frrh_alloc."""

import random
from typing import Generic, TypeVar

import xxhash

V = TypeVar("V")

UINT_MAX = 0xFFFFFFFF


class Frrh(Generic[V]):
    """*size* places; *prob*, of :data:`UINT_MAX`, is how probable it is that a new key replaces an old one.

    Raises ValueError for less than one place."""

    def __init__(self, size: int, prob: int) -> None:
        if size < 1:
            raise ValueError(f"a hash has at least one place, not {size}")
        self._places: list[tuple[bytes, V] | None] = [None] * size
        self._accesses = self._hits = 0
        self.adjust_prob(prob)

    def adjust_prob(self, prob: int) -> None:
        """Raises ValueError for a probability outside 0 to :data:`UINT_MAX`.  Manual: mtev_frrh_adjust_prob."""
        if not 0 <= prob <= UINT_MAX:
            raise ValueError(f"a probability is 0 to {UINT_MAX}, not {prob}")
        self._prob = prob

    def set(self, key: bytes, data: V) -> bool:
        """Whether *data* is kept under *key* now: where another key has its place, that is a matter of luck.  Manual:
        mtev_frrh_set."""
        place = self._place(key)
        known = self._places[place]
        if known is not None and known[0] != key and random.randint(1, UINT_MAX) > self._prob:
            return False
        self._places[place] = (key, data)
        return True

    def get(self, key: bytes) -> V | None:
        """What was kept under *key*, None when it is not there (any more).  Manual: mtev_frrh_get."""
        self._accesses += 1
        known = self._places[self._place(key)]
        if known is None or known[0] != key:
            return None
        self._hits += 1
        return known[1]

    def stats(self) -> tuple[int, int]:
        """How often something was asked for, and was there.  Manual: mtev_frrh_stats."""
        return self._accesses, self._hits

    def _place(self, key: bytes) -> int:
        return xxhash.xxh64_intdigest(key) % len(self._places)
