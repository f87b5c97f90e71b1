"""Descriptors watched by the hub, for platforms where a Lua state has no epoll of its own."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luamtev.port import Port


class Watch:
    """One wait for readiness; ends itself when the descriptor is ready."""

    def __init__(self, state: "Port", fd: int, mask: int, ticket: int) -> None:
        self.state = state
        self.mask = mask
        self.ticket = ticket
        self.watcher: Any = state.thread.watch(fd, mask, self.ready)

    def ready(self) -> None:
        """The hub saw the descriptor ready."""
        self.cancel()
        self.state.ticket_done(self.ticket, self.mask)

    def cancel(self) -> None:
        """Stop watching."""
        self.watcher.stop()
        self.watcher.close()


def functions(state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``reactor_hub.lua`` builds on."""

    def watch(fd: int, mask: int, ticket: int) -> str | None:
        try:
            state.tickets[ticket] = Watch(state, int(fd), int(mask), ticket)
        except (OSError, ValueError) as refused:
            return str(refused)
        return None

    def unwatch(ticket: int) -> None:
        found = state.tickets.pop(ticket, None)
        if found is not None:
            found.cancel()

    return {"watch": watch, "unwatch": unwatch}
