"""Logs as Lua sees them.  Streams are known to Lua by their slot, see :attr:`runtime.log.LogStream.slot`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from runtime import log

if TYPE_CHECKING:
    from luamtev.port import Port


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/log.lua`` builds on."""
    streams: dict[int, log.LogStream] = {}

    def log_find(name: bytes) -> int:
        stream = log.stream_find(name.decode("utf-8", "surrogateescape"))
        streams[stream.slot] = stream
        return stream.slot

    def log_write(slot: int, message: bytes) -> None:
        streams[slot].log(message)

    def log_write_from(slot: int, message: bytes, file: bytes, line: int) -> None:
        streams[slot].log(message, file=file.decode("utf-8", "replace"), line=line)

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
        "log_enable": log_enable,
    }
