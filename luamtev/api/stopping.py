"""Coroutines that want to hear of the end of the process, and to end what they do first.  See `mtev.stopping`.

They are told before requests under way are waited for, and are themselves waited for after that.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from runtime import lifecycle, log

if TYPE_CHECKING:
    from luamtev.port import Port

TIMEOUT = 10.0
"""Seconds for which the process waits for coroutines that heard of its end."""

_changed = threading.Condition()
_waiting: "set[Wait]" = set()
_staying: "dict[Port, int]" = {}  # how many of its coroutines have waited, ever, and have not ended


class Wait:
    """One coroutine that waits to hear of it."""

    def __init__(self, state: "Port", ticket: int) -> None:
        self.state = state
        self.ticket = ticket

    def cancel(self) -> None:
        """It waits no longer."""
        with _changed:
            _waiting.discard(self)


def prepare() -> None:
    """Have the end of the process told and waited for; before listeners are opened, in whose midst that comes."""
    lifecycle.on_stop(wait)
    lifecycle.on_start(_tell_first)


def _tell_first() -> None:
    lifecycle.on_stop(tell)


def tell() -> None:
    """Wake those who wait."""
    with _changed:
        told = list(_waiting)
        _waiting.clear()
    for each in told:
        each.state.ticket_done(each.ticket, True)


def wait() -> None:
    """Return when all who ever waited have ended, or patience has."""
    with _changed:
        if not _changed.wait_for(lambda: not _staying, TIMEOUT):
            count = sum(_staying.values())
            log.error.log(f"[TERMINATE] {count} coroutines that heard of it go on; ending without them\n")


def functions(state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/stopping.lua`` builds on."""

    def stopping_wait(ticket: float) -> None:
        number = int(ticket)
        mine = state.tickets[number] = Wait(state, number)
        with _changed:
            if not lifecycle.is_stopping():
                _waiting.add(mine)
                return
        state.ticket_done(number, True)

    def stopping_stay() -> None:
        with _changed:
            known = _staying.get(state, 0)
            _staying[state] = known + 1
        if not known:
            state.on_close(forget)

    def stopping_leave() -> None:
        with _changed:
            if _staying.get(state, 0) > 1:
                _staying[state] -= 1
                return
        forget()

    def forget() -> None:
        with _changed:
            _staying.pop(state, None)
            _changed.notify_all()

    return {
        "stopping_asked": lifecycle.is_stopping,
        "stopping_wait": stopping_wait,
        "stopping_stay": stopping_stay,
        "stopping_leave": stopping_leave,
    }
