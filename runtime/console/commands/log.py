"""``log`` and ``no log``: look at log streams, change flags, have this console be one.  Manual: Console, log."""

from collections.abc import Callable
from typing import Any

from runtime import log
from runtime.console._console import Console
from runtime.console._grammar import Registry
from runtime.console._json import spaced
from runtime.console._outlet import Outlet
from runtime.log import LogStream

TO_USAGE = "log <logname> thing to log\n"
CONNECT_USAGE = "log connect <logname> [<outlet|-> [filter...]]\n"
FLAGS = {
    "enable": log.ENABLED,
    "facility": log.FACILITY,
    "debug": log.DEBUG,
    "timestamps": log.TIMESTAMPS,
}


def install(registry: Registry) -> None:
    """Enter them."""
    registry.add("log to", to, complete=names, about="log to NAME TEXT: log TEXT")
    registry.add("log details", details, complete=names, about="log details NAME: what the stream is, in JSON")
    registry.add(
        "log connect", connect, complete=names, about="log connect NAME [OUTLET|- [FILTER]]: show NAME here, or there"
    )
    registry.add("log disconnect", disconnect, complete=names, about="log disconnect NAME [OUTLET]: no more of that")
    for name, flag in FLAGS.items():
        registry.add(f"log {name}", _flag(flag, True), complete=names, about=f"log {name} NAME: set the flag")
        registry.add(f"no log {name}", _flag(flag, False), complete=names, about=f"no log {name} NAME: clear the flag")


def names(_console: Console, _words: list[str]) -> list[str]:
    """The names of all streams, but for consoles that are gone."""
    return [each.name for each in log.streams() if not isinstance(each.ctx, Outlet) or each.ctx.in_use]


def find(name: str) -> LogStream | None:
    """The stream *name*; none is made."""
    return log.stream_find(name) if name and log.stream_exists(name) else None


def to(console: Console, words: list[str]) -> None:
    """``log to NAME WORD…``."""
    stream = find(words[0]) if words else None
    if stream is None or len(words) < 2:
        console.print(TO_USAGE)
        return
    stream.log(" ".join(words[1:]) + "\n")
    console.print("logged.\n")


def details(console: Console, words: list[str]) -> None:
    """``log details NAME``."""
    stream = find(words[0]) if words else None
    console.print(TO_USAGE if stream is None else spaced(describe(stream)) + "\n")


def describe(stream: LogStream) -> dict[str, Any]:
    """The document of ``log details``."""
    found: dict[str, Any] = {"name": stream.name}
    if stream.path is not None:
        found |= {"type": stream.type, "path": stream.path}
    found |= {
        "enabled": bool(stream.flags & log.ENABLED),
        "enabled_below": stream.enabled,
        "debugging": bool(stream.flags & log.DEBUG),
        "timestamps": bool(stream.flags & log.TIMESTAMPS),
        "facility": bool(stream.flags & log.FACILITY),
        "stats": stream.stats,
    }
    if stream.ctx is not None and stream.ctx.config:
        found["config"] = dict(stream.ctx.config)
    if stream.outlets:
        found["outlets"] = [_outlet(each) for each in reversed(stream.outlets)]
    return found


def _outlet(stream: LogStream) -> dict[str, Any]:
    found: dict[str, Any] = {"name": stream.name}
    if stream.outlets:
        found["outlets"] = [_outlet(each) for each in reversed(stream.outlets)]
    return found


def connect(console: Console, words: list[str]) -> None:
    """``log connect NAME [OUTLET|- [FILTER…]]``."""
    pair = _pair(console, words)
    if pair is None:
        return
    stream, outlet = pair
    try:
        wanted = log.Filter(" ".join(words[2:])) if len(words) > 2 else None
        stream.add_outlet(outlet, wanted)
    except log.LogError as mistake:
        if len(words) > 2:
            console.print("failed to attach, bad filter?\n")
        console.print(f"{mistake}\n")


def disconnect(console: Console, words: list[str]) -> None:
    """``log disconnect NAME [OUTLET]``."""
    pair = _pair(console, words)
    if pair is not None:
        pair[0].remove_outlet(pair[1])


def _pair(console: Console, words: list[str]) -> tuple[LogStream, LogStream] | None:
    """The stream and the outlet that *words* name."""
    if not words:
        console.print(CONNECT_USAGE)
        return None
    found: list[LogStream] = []
    for name in words[:2]:
        stream = console.stream if name == "-" and found else find(name)
        if stream is None:
            console.print(f"{name} log stream does not exist\n")
            return None
        found.append(stream)
    return found[0], found[1] if len(found) > 1 else console.stream


def _flag(flag: int, on: bool) -> Callable[[Console, list[str]], None]:
    def change(console: Console, words: list[str]) -> None:
        stream = find(words[0]) if words else None
        if stream is None:
            console.print("no such log\n")
        else:
            stream.set_flags(stream.flags | flag if on else stream.flags & ~flag)

    return change
