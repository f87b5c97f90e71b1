"""The process, its threads and the system, as Lua sees them."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from runtime import late

if TYPE_CHECKING:
    from luamtev.port import Port


def functions(state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/system.lua`` and ``init.lua`` build on."""
    thread = state.thread

    def thread_self() -> tuple[int, int, str]:
        return thread.tid, thread.index, thread.name

    watchdog = late.imported("runtime.watchdog")

    return {
        "watchdog_heartbeat": lambda: None if watchdog is None else watchdog.child_heartbeat(),
        "watchdog_timeout": lambda: None if watchdog is None else watchdog.timeout(),
        "thread_self": thread_self,
        "uname": lambda: tuple(os.uname()),
        "exit": state.exit_process,
    }
