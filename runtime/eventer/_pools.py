"""Pools: named sets of loop threads, from the ``<eventer>`` element of the configuration.  Manual: Eventer."""

import os
import random
from typing import TYPE_CHECKING

from ._errors import EventerError
from ._thread import LoopThread, current, is_loop_thread, join_all

if TYPE_CHECKING:
    from runtime.conf import Conf

    from ._event import Event

DEFAULT = "default"

_pools: "dict[str, Pool]" = {}


class Pool:
    """A named set of loop threads.

    Attributes: ``name``, ``threads``, ``timeout`` (the watchdog's limit in seconds, 0 for the global one)."""

    def __init__(self, name: str, concurrency: int, timeout: float = 0.0) -> None:
        self.name = name
        self.timeout = timeout
        self.threads = [LoopThread(self, index) for index in range(concurrency)]

    def __repr__(self) -> str:
        return f"<Pool {self.name} of {len(self.threads)}>"

    @property
    def concurrency(self) -> int:
        """How many loop threads the pool has."""
        return len(self.threads)


def init(conf: "Conf | None" = None) -> None:
    """Create the pools that *conf* asks for: ``concurrency`` and each ``loop_NAME`` of ``<eventer><config>``.

    Without a configuration, or with a concurrency of 0, the default pool gets a thread for each processor.
    Raises :exc:`EventerError` for a value it cannot use, or when pools exist already."""
    if _pools:
        raise EventerError("the eventer is initialised already")
    keys: dict[str, str] = {}
    if conf is not None:
        root = conf.root_name
        for section in conf.get_sections(f"/{root}/eventer|/{root}/include/eventer"):
            keys.update(conf.get_hash(section, "config"))
    concurrency = _count(keys.get("concurrency", "0"), "concurrency") or os.cpu_count() or 1
    wanted = {DEFAULT: (concurrency, 0.0)}
    for key, value in keys.items():
        if key.startswith("loop_"):
            threads, _, timeout = value.partition(",")
            wanted[key.removeprefix("loop_")] = (_count(threads, key) or concurrency, _seconds(timeout or "0", key))
    for name, (threads_wanted, seconds) in wanted.items():
        pool_create(name, threads_wanted, seconds)


def pool_create(name: str, concurrency: int, timeout: float = 0.0) -> Pool:
    """Make a pool of *concurrency* threads; they start with :func:`start`.

    Raises :exc:`EventerError` when the name is taken or empty, or the concurrency is not positive."""
    if not name or name in _pools:
        raise EventerError(f"there is a loop named '{name}' already" if name else "a loop needs a name")
    if concurrency < 1:
        raise EventerError(f"loop '{name}' needs at least one thread, not {concurrency}")
    _pools[name] = created = Pool(name, concurrency, timeout)
    return created


def pool(name: str = DEFAULT) -> Pool | None:
    """The pool called *name*, or None."""
    return _pools.get(name)


def pools() -> list[Pool]:
    """All pools, the default one first."""
    return list(_pools.values())


def loop_concurrency(name: str = DEFAULT) -> int:
    """How many loop threads pool *name* has; 0 when there is none.  Manual: ``eventer_loop_concurrency``."""
    found = _pools.get(name)
    return found.concurrency if found else 0


def start() -> None:
    """Start the loop threads of every pool; returns when all of them take work."""
    for each in pools():
        for thread in each.threads:
            thread.start()


def stop(timeout: float = 10.0) -> None:
    """Stop every loop thread: work posted before still runs, events are removed, the threads end.

    Raises :exc:`EventerError` naming the threads that did not end within *timeout* seconds."""
    threads = [thread for each in pools() for thread in each.threads]
    _pools.clear()
    for thread in threads:
        thread.stop()
    join_all(threads, timeout)


def choose_owner(number: int) -> LoopThread:
    """Thread *number* of the default pool, counted round.  Manual: ``eventer_choose_owner``.

    Raises :exc:`EventerError` before the eventer is initialised."""
    default = _pools.get(DEFAULT)
    if default is None:
        raise EventerError("the eventer is not initialised")
    return choose_owner_pool(default, number)


def choose_owner_pool(pool: Pool, number: int | None = None) -> LoopThread:
    """Thread *number* of *pool*, counted round; without a number, a random one."""
    return pool.threads[(random.randrange(pool.concurrency) if number is None else number) % pool.concurrency]


def get_pool_for_event(event: "Event") -> Pool:
    """The pool of the thread that owns *event*, or would if it were added here."""
    if event.owner is not None:
        return event.owner.pool
    return current().pool if is_loop_thread() else choose_owner(0).pool


def _count(text: str, key: str) -> int:
    if not text.strip().isdecimal():
        raise EventerError(f"eventer {key}: '{text}' is no number of threads")
    return int(text)


def _seconds(text: str, key: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < float("inf"):
        raise EventerError(f"eventer {key}: '{text}' is no timeout in seconds")
    return seconds
