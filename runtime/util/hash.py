"""Hash tables.  Manual: mtev_hash_init.

A table is a dict that also answers the manual's ways to put something in: to store fails where the key is, to replace
gives up what was there, to set hands it back."""

from collections.abc import Callable
from typing import TypeVar

import xxhash

K = TypeVar("K")
V = TypeVar("V")


def hash_of(key: bytes, initval: int = 0) -> int:
    """32 bits: the lower half of XXH64 seeded with *initval*.  Manual: mtev_hash__hash."""
    return xxhash.xxh64_intdigest(key, initval) & 0xFFFFFFFF


class Hash(dict[K, V]):
    """A dict: iteration, get, len and clear are its own.  Manual: mtev_hash_adv, _get, _size, _delete_all."""

    def store(self, key: K, value: V) -> bool:
        """Whether *value* was put in: not where the key is.  Manual: mtev_hash_store."""
        if key in self:
            return False
        self[key] = value
        return True

    def replace(self, key: K, value: V, datafree: Callable[[V], object] | None = None) -> bool:
        """Put *value* in; what was there is given to *datafree*.  Whether something was.  Manual:
        mtev_hash_replace."""
        was_there, old = self.set(key, value)
        if was_there and datafree is not None:
            datafree(old)  # type: ignore[arg-type]
        return was_there

    def set(self, key: K, value: V) -> tuple[bool, V | None]:
        """Put *value* in; whether something was there, and what.  Manual: mtev_hash_set."""
        was_there, old = key in self, self.get(key)
        self[key] = value
        return was_there, old

    def delete(self, key: K, datafree: Callable[[V], object] | None = None) -> bool:
        """Whether the key was there; its value is given to *datafree*.  Manual: mtev_hash_delete."""
        if key not in self:
            return False
        value = self.pop(key)
        if datafree is not None:
            datafree(value)
        return True

    def merge_as_dict(self, source: "dict[K, V]") -> None:
        """All of *source* into this table: its values win.  Manual: mtev_hash_merge_as_dict."""
        self.update(source)
