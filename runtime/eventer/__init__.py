"""The eventer: pools of loop threads, the events that run on them, job queues and aco.  Manual: The Eventer.

An event is a callback, a closure and a mask that says what it waits for; what the callback returns is the next mask.
A pool is a named set of loop threads, and every loop thread is a native thread with a gevent hub of its own.
Callbacks run on the hub: they may not block, and gevent raises when one tries.  Work that blocks goes to a job queue.

What a start does not need is imported when it is first asked for.
"""

from typing import TYPE_CHECKING

from runtime import late

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

_LATE = {
    "_aco": ("Aco", "aco_arg", "aco_sleep", "aco_start", "in_aco"),
    "_aco_io": ("AcoEvent", "aco_accept", "aco_callback", "aco_close", "aco_read", "aco_write", "set_eventer_aco"),
    "_aco_jobs": ("Gate", "aco_gate", "aco_run_asynch", "aco_simple_asynch", "aco_simple_asynch_gated"),
    "_asynch": (
        "AsynchEvent",
        "Outcome",
        "add_asynch",
        "add_asynch_dep",
        "alloc_asynch",
        "alloc_asynch_timeout",
        "simple_asynch",
        "try_add_asynch",
        "try_add_asynch_dep",
    ),
    "_backq": ("BackQueue",),
    "_contexts": ("ContextOps", "get_context", "register_context", "set_context"),
    "_gathering": ("Gathering",),
    "_inspect": (
        "Row",
        "addresses",
        "allocations",
        "find_fd",
        "foreach_fdevent",
        "foreach_timedevent",
        "remove_fd",
        "sockets",
        "timers",
    ),
    "_job": ("Job", "jobq_inflight"),
    "_jobq": ("JobQueue",),
    "_opset": ("Opset", "TlsOpset", "accept", "close", "read", "run_in_thread", "write"),
    "_pulse": ("Pulse", "after_posted"),
    "_queues": ("jobq_create", "jobq_create_backq", "jobq_destroy", "jobq_figures", "jobq_retrieve", "jobqs"),
    "_slices": ("Slice", "in_slices"),
    "_told": ("told_accept", "told_close", "told_read", "told_send"),
}

if TYPE_CHECKING:
    from ._aco import *
    from ._aco_io import *
    from ._aco_jobs import *
    from ._asynch import *
    from ._backq import *
    from ._contexts import *
    from ._gathering import *
    from ._inspect import *
    from ._job import *
    from ._jobq import *
    from ._opset import *
    from ._pulse import *
    from ._queues import *
    from ._slices import *
    from ._told import *
else:
    __getattr__ = late.names(__name__, _LATE)

__all__ = [
    "ASYNCH",
    "ASYNCH_CLEANUP",
    "ASYNCH_WORK",
    "EXCEPTION",
    "READ",
    "RECURRENT",
    "TIMER",
    "WRITE",
    "Callback",
    "Event",
    "EventerError",
    "LoopThread",
    "NotOnLoop",
    "Pool",
    "add",
    "add_at",
    "add_in",
    "add_timer_next_opportunity",
    "alloc_copy",
    "alloc_fd",
    "alloc_recurrent",
    "alloc_timer",
    "callback_for_name",
    "callback_time",
    "choose_owner",
    "choose_owner_pool",
    "current",
    "get_pool_for_event",
    "init",
    "is_loop_thread",
    "loop_concurrency",
    "name_callback",
    "name_for_callback",
    "pool",
    "pool_create",
    "pools",
    "prepare_threads",
    "remove",
    "set_owner",
    "setrlimit",
    "settings",
    "start",
    "stop",
    "this_event",
    "trigger",
    "update",
    "update_whence",
    "wakeup",
    *late.listed(_LATE),
]
