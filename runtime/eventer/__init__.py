"""The eventer: pools of loop threads, and the events that run on them.  Manual: The Eventer.

An event is a callback, a closure and a mask that says what it waits for; what the callback returns is the next mask.
A pool is a named set of loop threads, and every loop thread is a native thread with a gevent hub of its own.
Callbacks run on the hub: they may not block, and gevent raises when one tries.
"""

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
    add,
    add_at,
    add_in,
    add_timer_next_opportunity,
    alloc_fd,
    alloc_recurrent,
    alloc_timer,
    remove,
    set_owner,
    trigger,
    update,
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
    start,
    stop,
)
from ._thread import LoopThread, current, is_loop_thread

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
    "alloc_fd",
    "alloc_recurrent",
    "alloc_timer",
    "callback_for_name",
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
    "remove",
    "set_owner",
    "start",
    "stop",
    "trigger",
    "update",
]
