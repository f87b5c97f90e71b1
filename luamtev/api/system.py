"""The process, its threads and its files, as Lua sees them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luamtev.state import State


def functions(state: "State") -> dict[str, Callable[..., Any]]:
    """What ``mtev/system.lua`` and ``init.lua`` build on."""
    thread = state.thread

    def thread_self() -> tuple[int, int, str]:
        return thread.tid, thread.index, thread.name

    return {"thread_self": thread_self, "exit": state.exit_process}
