"""What every thread of the process is doing, for operators: the signal USR2, and the end of a server that hangs.

Whoever runs something that the interpreter does not see - Lua - registers a reporter for it.
"""

import sys
import threading
import traceback
from collections.abc import Callable

_reporters: list[Callable[[], str]] = []


def register(reporter: Callable[[], str]) -> None:
    """Have *reporter* asked, whenever somebody wants to know, from a thread of its own choosing: it returns lines.

    It may not wait for the threads it tells of."""
    if reporter not in _reporters:
        _reporters.append(reporter)


def report() -> str:
    """The stacks of all threads by name, and what the reporters say; lines of text."""
    threads = {each.ident: each for each in threading.enumerate()}
    parts = []
    for ident, frame in sys._current_frames().items():
        thread = threads.get(ident)
        name = f"{thread.name} ({thread.native_id})" if thread is not None else f"{ident:#x}"
        parts.append(f"thread {name}, most recent call last:\n{''.join(traceback.format_stack(frame))}")
    for reporter in _reporters:
        try:
            parts.append(reporter())
        except Exception as failure:
            parts.append(f"{reporter.__module__}: {failure!r}\n")
    return "".join(parts)
