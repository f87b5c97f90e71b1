"""The job queues there are, by name.  Manual: ``eventer_jobq_create`` and the like; Eventer, ``jobq_NAME``."""

import threading
from typing import Final

from runtime import log

from . import _pools, _settings
from ._backq import BackQueue, back_queue
from ._config import SAFETIES
from ._errors import EventerError
from ._jobq import JobQueue
from ._thread import LoopThread, current

_debug: Final = log.facility("debug/eventer")

_registering = threading.RLock()
_queues: dict[str, JobQueue] = {}
_backqs: dict[str, BackQueue] = {}


def jobq_create(
    name: str,
    concurrency: int = 1,
    *,
    least: int = 0,
    most: int = 0,
    floor: int = 0,
    max_backlog: int = 0,
    lifo: bool | None = None,
    safety: str = "gc",
) -> JobQueue:
    """The queue *name*, made as the other arguments say when there is none yet.

    Args: *concurrency*, threads wanted when there is work, brought within *least* and *most* (0 for no bound);
    *floor*, threads kept without work; *max_backlog*, jobs (0 for no limit); *lifo* None for the configured order.
    Raises :exc:`EventerError` for an empty name and for figures that contradict each other.
    Manual: ``eventer_jobq_create``, ``eventer_jobq_create_ms``."""
    with _registering:
        found = _queues.get(name)
        if found is not None:
            return found
        if not name or name in _backqs:
            raise EventerError(f"'{name}' is a back queue" if name else "a job queue needs a name")
        if safety not in SAFETIES:
            raise EventerError(f"job queue {name}: '{safety}' is no memory safety: expected none, cs or gc")
        created = JobQueue(name, 1, _settings.current.lifo if lifo is None else lifo, safety)
        created.set_min_max(least, most)
        created.set_concurrency(concurrency)
        created.set_max_backlog(max_backlog)
        created.set_floor(floor)
        _queues[name] = created
        if _debug.enabled:
            _debug.log(f"job queue {name}: concurrency {concurrency}\n")
        return created


def jobq_create_backq(name: str, owner: LoopThread | None = None) -> BackQueue:
    """The back queue *name*, made for the loop thread *owner*, or this one, when there is none yet.

    Raises :exc:`EventerError` for an empty name or that of a job queue, :exc:`NotOnLoop` without an owner."""
    with _registering:
        found = _backqs.get(name)
        if found is None:
            if not name or name in _queues:
                raise EventerError(f"'{name}' is a job queue" if name else "a back queue needs a name")
            found = _backqs[name] = BackQueue(name, owner or current())
        return found


def jobq_retrieve(name: str = _settings.DEFAULT_QUEUE) -> JobQueue | None:
    """The queue called *name*, or None.  The default one is made when it is first asked for."""
    found = _queues.get(name)
    if found is None and name == _settings.DEFAULT_QUEUE:
        return jobq_create(name, _settings.current.default_queue_threads)
    return found


def default_queue() -> JobQueue:
    """The queue of jobs that name none."""
    return _queues.get(_settings.DEFAULT_QUEUE) or jobq_create(
        _settings.DEFAULT_QUEUE, _settings.current.default_queue_threads
    )


def jobq_destroy(queue: JobQueue) -> None:
    """Forget *queue*; it takes no more jobs, does those it has, and its threads end."""
    with _registering:
        if _queues.get(queue.name) is queue:
            del _queues[queue.name]
    queue.stop()


def jobqs() -> list[JobQueue]:
    """All job queues, the default one among them."""
    default_queue()
    return list(_queues.values())


def jobq_figures() -> dict[str, dict[str, int | float]]:
    """The figures of every job queue and back queue by name, as ``/eventer/jobq.json`` shows them."""
    backs = [back_queue(thread) for pool in _pools.pools() for thread in pool.threads]
    every: list[JobQueue | BackQueue] = [*jobqs(), *backs, *list(_backqs.values())]
    return {each.name: each.figures() for each in every}


def configure() -> None:
    """Make the queues that the settings name, or change those there are to them."""
    for name, wanted in _settings.current.jobqs.items():
        queue = jobq_create(name, safety=wanted.safety)
        queue.set_min_max(wanted.least, wanted.most)
        queue.set_concurrency(wanted.concurrency)
        queue.set_max_backlog(wanted.backlog)
        queue.set_lifo(_settings.current.lifo if wanted.lifo is None else wanted.lifo)


def _stop_all() -> None:
    with _registering:
        stopping = list(_queues.values())
        _queues.clear()
        _backqs.clear()
    for queue in stopping:
        queue.stop(drop=True)


_pools.before_stop(_stop_all)
