"""Who owns a key: a ring of points, :data:`POINTS` for each node.  Manual: ``mtev_cluster_filter_owners``,
``mtev_cht``.

Every member computes the ring by itself, from the nodes' ids alone, and has to get the same one: the hashes, their
seeds and the way in which equal points are moved apart are part of the protocol."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

import xxhash

POINTS = 32
"""Points of a node."""
KEY_SEED = 20021010
MOST_OWNERS = 256
"""Owners of a key that can be asked for."""

_MASK = 0xFFFFFFFF


class Ring:
    """The points of some nodes, given by their ids; a node is known here by its place among them."""

    def __init__(self, ids: Iterable[str]) -> None:
        points = sorted(
            (xxhash.xxh64_intdigest(each.lower().encode(), seed) & _MASK, index)
            for index, each in enumerate(ids)
            for seed in range(POINTS)
        )
        hashes = _apart([point for point, _ in points])
        self._hashes = hashes
        self._nodes = [index for _, index in points]
        self._size = len({index for _, index in points})

    def owners(self, key: bytes, count: int = 1) -> list[int]:
        """The places of the *count* nodes that own *key*, the first owner first.

        Asked for more than there are, the first comes once more at the end, as everywhere in a mixed cluster.
        Raises ValueError for a count outside 1 to 256."""
        if not 1 <= count <= MOST_OWNERS:
            raise ValueError(f"a key has 1 to {MOST_OWNERS} owners, not {count}")
        found: list[int] = []
        for node in self._walk(key):
            found.append(node)
            if len(found) == count:
                return found
        return found + found[:1]

    def shares(self) -> list[float]:
        """The part of all keys that each node is first owner of; they sum up to 1."""
        total = [0] * self._size
        for place, node in enumerate(self._nodes):
            following = self._hashes[place + 1] if place + 1 < len(self._hashes) else self._hashes[0] + _MASK + 1
            total[node] += following - self._hashes[place]
        return [each / (_MASK + 1) for each in total]

    def _walk(self, key: bytes) -> Iterator[int]:
        """The nodes met from the point of *key* on, each once."""
        seen: set[int] = set()
        start = bisect_right(self._hashes, xxhash.xxh64_intdigest(key, KEY_SEED) & _MASK) - 1
        for step in range(len(self._nodes)):
            node = self._nodes[(start + step) % len(self._nodes)]
            if node not in seen:
                seen.add(node)
                yield node
            if len(seen) == self._size:
                return


def _apart(hashes: list[int]) -> list[int]:
    """*hashes*, sorted, with equal ones moved: the last stays, those before step down; from 0 on the later step
    up."""
    for place in range(len(hashes) - 2, -1, -1):
        if hashes[place] >= hashes[place + 1]:
            hashes[place] = hashes[place + 1] - 1
    if hashes and hashes[0] < 0:
        floor = 0
        for place, each in enumerate(hashes):
            hashes[place] = max(each, floor)
            floor = hashes[place] + 1
    return hashes
