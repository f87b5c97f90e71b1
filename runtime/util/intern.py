"""One copy of equal bytes, with a count of who holds it.  Manual: mtev_intern_pool.

Python frees what nobody refers to; a pool is for what is counted on purpose, and to tell how much there is."""

import threading
from dataclasses import dataclass
from typing import Final

MOST_BYTES: Final = (1 << 23) - 1
"""The most an item has."""


@dataclass(frozen=True, slots=True, eq=False)
class Interned:
    """Interned bytes: equal ones of one pool are the same object."""

    data: bytes
    pool: "Pool"


@dataclass(frozen=True, slots=True)
class Stats:
    """Manual: mtev_intern_pool_stats."""

    item_count: int
    allocated: int
    """Bytes of all items."""


class Pool:
    """Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: dict[bytes, tuple[Interned, int]] = {}
        self._size = 0

    def intern(self, data: bytes | str) -> Interned:
        """The one item of these bytes, or of this text in UTF-8, held once more.

        Raises ValueError for none, and more than :data:`MOST_BYTES`.  Manual: mtev_intern_pool, _pool_str."""
        data = data.encode() if isinstance(data, str) else bytes(data)
        if not 0 < len(data) <= MOST_BYTES:
            raise ValueError(f"1 to {MOST_BYTES} bytes can be interned, not {len(data)}")
        with self._lock:
            item, count = self._items.get(data) or (Interned(data, self), 0)
            self._items[data] = (item, count + 1)
            self._size += 0 if count else len(data)
            return item

    def copy(self, item: Interned) -> Interned:
        """*item*, held once more.  Raises ValueError for one of another pool, or released.  Manual:
        mtev_intern_copy."""
        with self._lock:
            self._items[item.data] = (item, self._count(item) + 1)
            return item

    def release(self, item: Interned) -> None:
        """*item* is held once less.  Raises ValueError for one of another pool, or released.  Manual:
        mtev_intern_release_pool."""
        with self._lock:
            count = self._count(item) - 1
            if count:
                self._items[item.data] = (item, count)
            else:
                del self._items[item.data]
                self._size -= len(item.data)

    def refcnt(self, item: Interned) -> int:
        """How often *item* is held.  Manual: mtev_intern_get_refcnt."""
        with self._lock:
            return self._count(item)

    def item_count(self) -> int:
        """How many different items there are.  Manual: mtev_intern_pool_item_count."""
        return len(self._items)

    def stats(self) -> Stats:
        """Manual: mtev_intern_pool_stats."""
        with self._lock:
            return Stats(len(self._items), self._size)

    def _count(self, item: Interned) -> int:
        known, count = self._items.get(item.data, (None, 0))
        if known is not item:
            raise ValueError("the item is of another pool, or released")
        return count


default: Final = Pool()
"""The pool where none is named.  Manual: MTEV_INTERN_DEFAULT_POOL."""


def intern(data: bytes | str) -> Interned:
    """:meth:`Pool.intern` of the default pool.  Manual: mtev_intern, mtev_intern_str."""
    return default.intern(data)


def copy(item: Interned) -> Interned:
    """*item*, held once more.  Manual: mtev_intern_copy."""
    return item.pool.copy(item)


def release(item: Interned) -> None:
    """*item*, of any pool, is held once less.  Manual: mtev_intern_release."""
    item.pool.release(item)


def refcnt(item: Interned) -> int:
    """How often *item* is held.  Manual: mtev_intern_get_refcnt."""
    return item.pool.refcnt(item)
