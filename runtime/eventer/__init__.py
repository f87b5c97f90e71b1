"""The eventer: pools of loop threads, the events that run on them, job queues and aco.  Manual: The Eventer.

An event is a callback, a closure and a mask that says what it waits for; what the callback returns is the next mask.
A pool is a named set of loop threads, and every loop thread is a native thread with a gevent hub of its own.
Callbacks run on the hub: they may not block, and gevent raises when one tries.  Work that blocks goes to a job queue.

What a start does not need is imported when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

from ._callbacks import callback_for_name, name_callback, name_for_callback
from ._errors import EventerError, NotOnLoop
from ._event import (
    ASYNCH,
    ASYNCH_CLEANUP,
    ASYNCH_WORK,
    EXCEPTION,
    READ,
    RECURRENT,
    TIMER,
    WRITE,
    Callback,
    Event,
)
from ._events import (
    add,
    add_at,
    add_in,
    add_timer_next_opportunity,
    alloc_copy,
    alloc_fd,
    alloc_recurrent,
    alloc_timer,
    callback_time,
    remove,
    set_owner,
    this_event,
    trigger,
    update,
    update_whence,
    wakeup,
)
from ._pools import (
    Pool,
    choose_owner,
    choose_owner_pool,
    get_pool_for_event,
    init,
    loop_concurrency,
    pool,
    pool_create,
    pools,
    setrlimit,
    settings,
    start,
    stop,
)
from ._thread import LoopThread, current, is_loop_thread, prepare_threads

if TYPE_CHECKING:
    from ._aco import Aco, aco_arg, aco_sleep, aco_start, in_aco
    from ._aco_io import AcoEvent, aco_accept, aco_callback, aco_close, aco_read, aco_write, set_eventer_aco
    from ._aco_jobs import Gate, aco_gate, aco_run_asynch, aco_simple_asynch, aco_simple_asynch_gated
    from ._asynch import (
        AsynchEvent,
        Outcome,
        add_asynch,
        add_asynch_dep,
        alloc_asynch,
        alloc_asynch_timeout,
        simple_asynch,
        try_add_asynch,
        try_add_asynch_dep,
    )
    from ._backq import BackQueue
    from ._contexts import ContextOps, get_context, register_context, set_context
    from ._gathering import Gathering
    from ._inspect import (
        addresses,
        allocations,
        find_fd,
        foreach_fdevent,
        foreach_timedevent,
        remove_fd,
        sockets,
        timers,
    )
    from ._job import Job
    from ._job import inflight as jobq_inflight
    from ._jobq import JobQueue
    from ._opset import Opset, TlsOpset, accept, close, read, run_in_thread, write
    from ._queues import (
        jobq_create,
        jobq_create_backq,
        jobq_destroy,
        jobq_figures,
        jobq_retrieve,
        jobqs,
    )
    from ._slices import Slice, in_slices

_LAZY = {
    "Aco": "_aco",
    "AcoEvent": "_aco_io",
    "AsynchEvent": "_asynch",
    "BackQueue": "_backq",
    "ContextOps": "_contexts",
    "Gate": "_aco_jobs",
    "Gathering": "_gathering",
    "Job": "_job",
    "JobQueue": "_jobq",
    "Opset": "_opset",
    "Outcome": "_asynch",
    "Row": "_inspect",
    "Slice": "_slices",
    "TlsOpset": "_opset",
    "Pulse": "_pulse",
    "accept": "_opset",
    "aco_accept": "_aco_io",
    "aco_arg": "_aco",
    "aco_callback": "_aco_io",
    "aco_close": "_aco_io",
    "aco_gate": "_aco_jobs",
    "aco_read": "_aco_io",
    "aco_run_asynch": "_aco_jobs",
    "aco_simple_asynch": "_aco_jobs",
    "aco_simple_asynch_gated": "_aco_jobs",
    "aco_sleep": "_aco",
    "aco_start": "_aco",
    "aco_write": "_aco_io",
    "add_asynch": "_asynch",
    "add_asynch_dep": "_asynch",
    "after_posted": "_pulse",
    "alloc_asynch": "_asynch",
    "alloc_asynch_timeout": "_asynch",
    "addresses": "_inspect",
    "allocations": "_inspect",
    "close": "_opset",
    "find_fd": "_inspect",
    "foreach_fdevent": "_inspect",
    "foreach_timedevent": "_inspect",
    "get_context": "_contexts",
    "in_aco": "_aco",
    "in_slices": "_slices",
    "jobq_create": "_queues",
    "jobq_create_backq": "_queues",
    "jobq_destroy": "_queues",
    "jobq_figures": "_queues",
    "jobq_inflight": "_job",
    "jobq_retrieve": "_queues",
    "jobqs": "_queues",
    "read": "_opset",
    "register_context": "_contexts",
    "remove_fd": "_inspect",
    "run_in_thread": "_opset",
    "set_context": "_contexts",
    "set_eventer_aco": "_aco_io",
    "simple_asynch": "_asynch",
    "sockets": "_inspect",
    "timers": "_inspect",
    "try_add_asynch": "_asynch",
    "try_add_asynch_dep": "_asynch",
    "write": "_opset",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f".{module}", __name__), "inflight" if name == "jobq_inflight" else name)
    globals()[name] = found
    return found


__all__ = [
    "ASYNCH",
    "ASYNCH_CLEANUP",
    "ASYNCH_WORK",
    "EXCEPTION",
    "READ",
    "RECURRENT",
    "TIMER",
    "WRITE",
    "Aco",
    "AcoEvent",
    "AsynchEvent",
    "BackQueue",
    "Callback",
    "ContextOps",
    "Event",
    "EventerError",
    "Gate",
    "Gathering",
    "Job",
    "JobQueue",
    "LoopThread",
    "NotOnLoop",
    "Opset",
    "Outcome",
    "Pool",
    "Row",
    "Slice",
    "TlsOpset",
    "accept",
    "aco_accept",
    "aco_arg",
    "aco_callback",
    "aco_close",
    "aco_gate",
    "aco_read",
    "aco_run_asynch",
    "aco_simple_asynch",
    "aco_simple_asynch_gated",
    "aco_sleep",
    "aco_start",
    "aco_write",
    "add",
    "add_asynch",
    "add_asynch_dep",
    "add_at",
    "add_in",
    "add_timer_next_opportunity",
    "addresses",
    "alloc_asynch",
    "alloc_asynch_timeout",
    "alloc_copy",
    "alloc_fd",
    "alloc_recurrent",
    "alloc_timer",
    "allocations",
    "callback_for_name",
    "callback_time",
    "choose_owner",
    "choose_owner_pool",
    "close",
    "current",
    "find_fd",
    "foreach_fdevent",
    "foreach_timedevent",
    "get_context",
    "get_pool_for_event",
    "in_aco",
    "in_slices",
    "init",
    "is_loop_thread",
    "jobq_create",
    "jobq_create_backq",
    "jobq_destroy",
    "jobq_figures",
    "jobq_inflight",
    "jobq_retrieve",
    "jobqs",
    "loop_concurrency",
    "name_callback",
    "name_for_callback",
    "pool",
    "pool_create",
    "pools",
    "prepare_threads",
    "read",
    "register_context",
    "remove",
    "remove_fd",
    "run_in_thread",
    "set_context",
    "set_eventer_aco",
    "set_owner",
    "setrlimit",
    "settings",
    "simple_asynch",
    "sockets",
    "start",
    "stop",
    "this_event",
    "timers",
    "trigger",
    "try_add_asynch",
    "try_add_asynch_dep",
    "update",
    "update_whence",
    "wakeup",
    "write",
]
