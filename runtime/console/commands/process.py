"""``shutdown``, ``restart``, ``crash`` and ``hang``: what ends the process, or stands in its way.  Manual: Console.

``crash`` and ``hang`` are for those who want to see that the watchdog does its work.
"""

import ctypes
import time
import traceback
from collections.abc import Callable

from runtime import eventer, lifecycle
from runtime.console._console import Console
from runtime.console._grammar import Registry

RESTART, SHUTDOWN = 1, 2
"""Exit statuses: the watchdog starts the server again after the first, and not after the second."""


def install(registry: Registry) -> None:
    """Enter them."""
    registry.add("shutdown", _ending(SHUTDOWN), about="end the process; the watchdog does not start it again")
    registry.add("restart", _ending(RESTART), about="end the process; the watchdog starts it again")
    registry.add("crash", crash, about="crash [THREAD]: crash the process, on loop thread THREAD")
    registry.add("hang", hang, about="hang [THREAD | POOL THREAD]: block a loop thread for ever")


def _ending(status: int) -> Callable[[Console, list[str]], None]:
    def end(console: Console, _words: list[str]) -> None:
        console.later(lambda: None)  # nothing more is understood
        # Behind what the console has still to send.
        console.home.post(lambda: console.home.post(lifecycle.terminate, status))

    return end


def crash(console: Console, words: list[str]) -> None:
    """``crash [THREAD]``."""
    console.print("".join(traceback.format_stack()[-6:]))
    thread = console.home
    if words:
        found = _thread(console, "default", words[0])
        if found is None:
            return
        thread = found
        console.print(f"crash: {words[0]}\n")
    console.home.post(thread.post, _segfault)


def hang(console: Console, words: list[str]) -> None:
    """``hang [THREAD | POOL THREAD]``."""
    thread = console.home
    if words:
        pool = words[0] if len(words) > 1 else "default"
        found = _thread(console, pool, words[-1])
        if found is None:
            return
        thread = found
        console.print(f"hang: {'/'.join(words[:2])}\n")
    else:
        console.print("hanging myself\n")
    console.home.post(thread.post, _hang)


def _thread(console: Console, name: str, number: str) -> eventer.LoopThread | None:
    pool = eventer.pool(name)
    if pool is None:
        console.print("no such event pool\n")
    elif not number.isdecimal():
        console.print(f"'{number}' is no number of a thread\n")
    else:
        return pool.threads[int(number) % pool.concurrency]
    return None


def _segfault() -> None:
    ctypes.string_at(0)


def _hang() -> None:
    while True:
        time.sleep(3600)
