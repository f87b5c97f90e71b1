"""A ring of consistent hashes over named nodes.  The C API's ``mtev_cht``, as :mod:`runtime.cluster` uses it: the same
keys go to the same nodes."""

from collections.abc import Sequence

from runtime.cluster import Ring


class Cht:
    """Nodes by name, none at first."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._ring: Ring | None = None

    def set_nodes(self, names: Sequence[str]) -> int:
        """The nodes from now on; how many they are.  Raises ValueError for a name that comes twice.  C:
        mtev_cht_set_nodes."""
        if len(set(names)) != len(names):
            raise ValueError("a node is named twice")
        self._names = list(names)
        self._ring = Ring(names) if names else None
        return len(names)

    def owned(self) -> dict[str, float]:
        """The part of all keys that each node is first owner of."""
        return dict(zip(self._names, self._ring.shares(), strict=True)) if self._ring else {}

    def lookup(self, key: bytes) -> str | None:
        """The owner of *key*, None when there are no nodes.  C: mtev_cht_lookup, mtev_cht_vlookup."""
        found = self.lookup_n(key, 1)
        return found[0] if found else None

    def lookup_n(self, key: bytes, count: int) -> list[str]:
        """At most *count* owners of *key*, the first first, each once.  Raises ValueError for a count below 1.  C:
        mtev_cht_lookup_n, mtev_cht_vlookup_n."""
        if count < 1:
            raise ValueError(f"a key has at least one owner, not {count}")
        if self._ring is None:
            return []
        return [self._names[each] for each in self._ring.owners(key, min(count, len(self._names)))]
