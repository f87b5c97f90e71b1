"""A hash table on disk, of any size.  Manual: mtev_huge_hash_create.

It is an LMDB environment, which grows as it has to.  Growing ends open readers; so values are copied out, and an
iteration holds its reader no longer than it takes to read some of what follows the last key."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import lmdb

_START: Final = 1 << 20  # bytes of map
_AT_ONCE: Final = 256  # entries an iteration reads


class HugeHash:
    """The table at *path*, a directory, made where there is none.  Any thread may call; a process opens a table once.

    Raises :exc:`lmdb.Error` for what is none, and OSError where the directory cannot be made.  Keys have 1 to 511
    bytes."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        Path(path).mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._environment = lmdb.open(os.fspath(path), map_size=_START, max_dbs=0, sync=False)
        self._most = self._environment.max_key_size()

    def store(self, key: bytes, data: bytes) -> bool:
        """Whether copies were put in: not where the key is.  Manual: mtev_huge_hash_store."""
        return self._put(key, data, overwrite=False)

    def replace(self, key: bytes, data: bytes) -> bool:
        """Put copies in, in place of what was there.  Manual: mtev_huge_hash_replace."""
        return self._put(key, data, overwrite=True)

    def retrieve(self, key: bytes) -> bytes | None:
        """What is stored under *key*, None where nothing is.  Manual: mtev_huge_hash_retrieve."""
        self._check(key)
        with self._lock, self._environment.begin() as reader:
            found: bytes | None = reader.get(key)
            return found

    def delete(self, key: bytes) -> bool:
        """Whether the key was there; it is gone.  Manual: mtev_huge_hash_delete."""
        self._check(key)
        while True:
            try:
                with self._lock, self._environment.begin(write=True) as writer:
                    return bool(writer.delete(key))
            except lmdb.MapFullError:  # a deletion copies pages
                self._grow()

    def size(self) -> int:
        """How many entries there are.  Manual: mtev_huge_hash_size."""
        with self._lock:
            return int(self._environment.stat()["entries"])

    __len__ = size

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values in the order of the keys; what is stored meanwhile comes or does not.  Manual:
        mtev_huge_hash_adv."""
        after: bytes | None = None
        while some := self._some(after):
            yield from some
            after = some[-1][0]

    def close(self) -> None:
        """Write everything to the disk and be done.  Manual: mtev_huge_hash_close."""
        with self._lock:
            self._environment.sync(True)
            self._environment.close()

    def _some(self, after: bytes | None) -> list[tuple[bytes, bytes]]:
        with self._lock, self._environment.begin() as reader, reader.cursor() as cursor:
            if after is None:
                there = cursor.first()
            else:
                there = cursor.set_range(after) and (cursor.key() != after or cursor.next())
            found: list[tuple[bytes, bytes]] = []
            while there and len(found) < _AT_ONCE:
                found.append(cursor.item())
                there = cursor.next()
            return found

    def _put(self, key: bytes, data: bytes, overwrite: bool) -> bool:
        self._check(key)
        while True:
            try:
                with self._lock, self._environment.begin(write=True) as writer:
                    return bool(writer.put(key, data, overwrite=overwrite))
            except lmdb.MapFullError:
                self._grow()

    def _grow(self) -> None:
        with self._lock:
            self._environment.set_mapsize(2 * self._environment.info()["map_size"])

    def _check(self, key: bytes) -> None:
        if not 0 < len(key) <= self._most:
            raise ValueError(f"a key has 1 to {self._most} bytes, not {len(key)}")
