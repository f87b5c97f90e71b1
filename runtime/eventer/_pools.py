"""Pools: named sets of loop threads, from the ``<eventer>`` element of the configuration.  Manual: Eventer."""

import atexit
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from runtime import log

from . import _settings
from ._errors import EventerError
from ._thread import LoopThread, current, is_loop_thread, join_all

if TYPE_CHECKING:
    from runtime.conf import Conf

    from ._event import Event

_errors: Final = log.facility("error/eventer")
_debug: Final = log.facility("debug/eventer")

DEFAULT = "default"

FILES = 1048576
"""Descriptors wanted when the configuration does not say."""

_pools: "dict[str, Pool]" = {}
_before_stop: list[Callable[[], None]] = []
_started_by = 0  # the process whose loops run


class Pool:
    """A named set of loop threads.

    Attributes: ``name``, ``threads``, ``timeout`` (the watchdog's limit in seconds, 0 for the global one)."""

    def __init__(self, name: str, concurrency: int, timeout: float, first: int) -> None:
        self.name = name
        self.timeout = timeout
        self.threads = [LoopThread(self, index, first + index) for index in range(concurrency)]

    def __repr__(self) -> str:
        return f"<Pool {self.name} of {len(self.threads)}>"

    @property
    def concurrency(self) -> int:
        """How many loop threads the pool has."""
        return len(self.threads)


def init(conf: "Conf | None" = None) -> None:
    """Put ``<eventer><config>`` of *conf* in force: its pools, its job queues, and its other keys.

    Without a configuration, or with a concurrency of 0, the default pool gets a thread for each processor.
    ``EVENTER_DEBUGGING=1`` in the environment enables the log stream ``debug/eventer``.
    Complains (:meth:`runtime.conf.Conf.complain`) of a value it cannot use; raises :exc:`EventerError` when pools exist
    already."""
    if _pools:
        raise EventerError("the eventer is initialised already")
    if os.environ.get("EVENTER_DEBUGGING") == "1":
        _have_debugging_seen()
    wanted = _settings.Settings() if conf is None else _wanted(conf)
    _use(wanted)
    setrlimit()
    concurrency = wanted.concurrency or _processors()
    loops = {DEFAULT: (concurrency, 0.0)} | wanted.loops
    for name, (threads, timeout) in loops.items():
        pool_create(name, threads or concurrency, timeout)
    if wanted.jobqs:
        from . import _queues

        _queues.configure()


def _wanted(conf: "Conf") -> _settings.Settings:
    """What *conf* says; complains of what cannot be used."""
    root = conf.root_name
    sections = conf.get_sections(f"/{root}/eventer|/{root}/include/eventer")
    keys: dict[str, str] = {}
    for section in sections:
        keys.update(conf.get_hash(section, "config"))
        implementation = conf.get_string("@implementation", section)
        if implementation:
            from ._config import check_implementation

            try:
                check_implementation(implementation)
            except EventerError as mistake:
                conf.complain(conf.error(str(mistake), section))
    if not keys:
        return _settings.Settings()
    from ._config import meaningless, parse

    if keys.get("default_ca_chain"):
        keys["default_ca_chain"] = conf.found(keys["default_ca_chain"])
    before = conf.complaints
    wanted = parse(keys, lambda mistake: conf.complain(conf.complaint(str(mistake), sections[-1])))
    for each in meaningless(keys, wanted) if conf.complaints == before else ():
        log.notice.log(f"{each}\n")
    return wanted


def _have_debugging_seen() -> None:
    """Enable ``debug/eventer``, on standard error unless it leads somewhere that is enabled."""
    _debug.set_flags(_debug.get_flags() | log.ENABLED)
    if not _debug.enabled:
        _debug.add_outlet(log.stderr)


def _use(wanted: _settings.Settings) -> None:
    _settings.use(wanted)
    if wanted.debugging or "runtime.eventer._debugging" in sys.modules:
        from . import _debugging

        _debugging.use(wanted.debugging)


def settings() -> _settings.Settings:
    """What the configuration asked for, to be read only."""
    return _settings.current


def setrlimit() -> int:
    """Raise the limit of open descriptors towards ``rlim_nofiles``; returns the limit in force.

    Without that key the hard limit is left as it is.  Manual: ``eventer_impl_setrlimit``."""
    import resource

    asked = _settings.current.rlim_nofiles
    wanted = asked or FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    if soft != endless and soft < wanted:
        attempts = [wanted] if hard == endless else [min(wanted, hard)]
        if asked and hard != endless and hard < wanted:
            attempts.insert(0, wanted)
        for attempt in attempts:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (attempt, hard if hard == endless else max(hard, attempt)))
                return attempt
            except (OSError, ValueError):
                pass  # not allowed: the next lower
    return soft


def pool_create(name: str, concurrency: int, timeout: float = 0.0) -> Pool:
    """Make a pool of *concurrency* threads; they start with :func:`start`.

    Raises :exc:`EventerError` when the name is taken or empty, or the concurrency is not positive."""
    if not name or name in _pools:
        raise EventerError(f"there is a loop named '{name}' already" if name else "a loop needs a name")
    if concurrency < 1:
        raise EventerError(f"loop '{name}' needs at least one thread, not {concurrency}")
    _pools[name] = created = Pool(name, concurrency, timeout, sum(each.concurrency for each in _pools.values()))
    if _debug.enabled:
        _debug.log(f"loop {name}: {concurrency} threads\n")
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
    """Start the loop threads of every pool; returns when all of them take work.

    A process that ends while they run stops them, as :func:`stop` does, before the interpreter goes."""
    global _started_by
    if not _started_by:
        atexit.register(_stop_at_exit)
    _started_by = os.getpid()
    for each in pools():
        for thread in each.threads:
            thread.start()


def stop(timeout: float = 10.0) -> None:
    """Stop every loop thread: work posted before still runs, events are removed, the threads end.

    Job queues take no more jobs and drop those that wait; jobs that run are not waited for.
    Raises :exc:`EventerError` naming the threads that did not end within *timeout* seconds."""
    for before in _before_stop:
        before()
    threads = [thread for each in pools() for thread in each.threads]
    _pools.clear()
    for thread in threads:
        thread.stop()
    try:
        join_all(threads, timeout)
    finally:
        _use(_settings.Settings())  # the last thing: loops ask them to their end


def _stop_at_exit() -> None:
    """No loop may call into an interpreter that is being taken down; a fork has none of its parent's threads."""
    if _started_by != os.getpid() or not _pools:
        return
    try:
        stop()
    except EventerError as stuck:
        _errors.log(f"{stuck}\n")


def before_stop(function: Callable[[], None]) -> None:
    """Have *function* called whenever :func:`stop` begins."""
    _before_stop.append(function)


def choose_owner(number: int) -> LoopThread:
    """Thread *number* of the default pool, counted round.  Manual: ``eventer_choose_owner``.

    Raises :exc:`EventerError` before the eventer is initialised."""
    default = _pools.get(DEFAULT)
    if default is None:
        raise EventerError("the eventer is not initialised")
    return choose_owner_pool(default, number)


def choose_owner_pool(pool: Pool, number: int | None = None) -> LoopThread:
    """Thread *number* of *pool*, counted round; without a number, a random one."""
    if number is None:
        from random import randrange  # here: slow to import

        number = randrange(pool.concurrency)
    return pool.threads[number % pool.concurrency]


def get_pool_for_event(event: "Event") -> Pool:
    """The pool of the thread that owns *event*, or would if it were added here."""
    if event.owner is not None:
        return event.owner.pool
    return current().pool if is_loop_thread() else choose_owner(0).pool


def _processors() -> int:
    """How many processors this process may run on: a container may have fewer than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
