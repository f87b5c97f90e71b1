"""Logs as Lua sees them.  Streams are known to Lua by their slot, see :attr:`runtime.log.LogStream.slot`."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from runtime import lifecycle, log

if TYPE_CHECKING:
    from luamtev.port import Port


_LOOK: Final = 0.2  # seconds between looks at whether the process is to end


class _Waiter:
    """A coroutine that waits for room.  Part of :class:`luamtev.port.Pending`."""

    def cancel(self) -> None:
        pass  # it is woken in vain


def functions(state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/log.lua`` builds on."""
    streams: dict[int, log.LogStream] = {}

    def log_find(name: bytes) -> int:
        stream = log.stream_find(name.decode("utf-8", "surrogateescape"))
        streams[stream.slot] = stream
        return stream.slot

    def log_write(slot: int, message: bytes) -> bool:
        stream = streams[slot]
        stream.log(message)
        return stream.is_full

    def log_write_from(slot: int, message: bytes, file: bytes, line: int) -> bool:
        stream = streams[slot]
        stream.log(message, file=file.decode("utf-8", "replace"), line=line)
        return stream.is_full

    def log_await_room(slot: int, ticket: int) -> bool:
        waits = streams[slot].await_room(lambda: state.ticket_done(int(ticket)))
        if waits:
            state.tickets[int(ticket)] = _Waiter()  # what is done is told at this thread's next turn, not before
        return waits

    def log_wait_for_room(slot: int) -> None:
        room = threading.Event()
        if not lifecycle.is_stopping() and streams[slot].await_room(room.set):
            while not (room.wait(_LOOK) or lifecycle.is_stopping()):
                pass

    def log_enable(slot: int, on: bool) -> None:
        stream = streams[slot]
        flags = stream.get_flags()
        stream.set_flags(flags | log.ENABLED if on else flags & ~log.ENABLED)

    return {
        "log_enabled_address": log.enabled_address,
        "log_direct_address": log.direct_address,
        "log_find": log_find,
        "log_write": log_write,
        "log_write_from": log_write_from,
        "log_await_room": log_await_room,
        "log_wait_for_room": log_wait_for_room,
        "log_enable": log_enable,
    }
