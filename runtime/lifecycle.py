"""What is to be done as the process starts, reads its configuration again, stops and ends.

A room registers here once it has something to do then, so nobody asks which rooms were ever entered.
"""

import os
from collections.abc import Callable
from typing import Any

_on_start: list[Callable[[], object]] = []
_on_reload: dict[str, list[Callable[[Any], object]]] = {}
_on_stop: list[Callable[[], object]] = []
_on_exit: list[Callable[[], object]] = []
_terminate: Callable[[int], object] = os._exit
_stopping = False
_ending = False


def set_terminate(function: Callable[[int], object]) -> None:
    """Have *function* be what ends the process for :func:`terminate`."""
    global _terminate
    _terminate = function


def terminate(status: int) -> None:
    """End the process with *status*, once everything logged is written.  From any thread, and any room."""
    _terminate(status)


def on_start(function: Callable[[], object]) -> None:
    """Have *function* called on the main thread once the loops run and the modules have begun, first registered first.

    What it raises ends the start.  Registering again changes nothing."""
    if function not in _on_start:
        _on_start.append(function)


def on_reload(top: str, function: Callable[[Any], object]) -> None:
    """Have *function* called with the configuration, on no loop thread, when that was read again and has changed in
    ``/ROOT/top``; it takes what stands there."""
    _on_reload.setdefault(top, []).append(function)


def on_stop(function: Callable[[], object]) -> None:
    """Have *function* called on the main thread when the process is told to end, last registered first.

    The loops still turn then, and it may wait.  Registering again changes nothing."""
    if function not in _on_stop:
        _on_stop.append(function)


def on_exit(function: Callable[[], object]) -> None:
    """Have *function* called right before the process ends, from any thread, whatever state the loops are in.

    It must not wait.  Registering again changes nothing."""
    if function not in _on_exit:
        _on_exit.append(function)


def start() -> None:
    """The loops run."""
    global _stopping
    _stopping = False
    for function in list(_on_start):
        function()


def reload(configuration: Any, top: str) -> bool:
    """*configuration* was read again, and has changed in ``/ROOT/top``; whether somebody took that."""
    for function in _on_reload.get(top, []):
        function(configuration)
    return top in _on_reload


def is_stopping() -> bool:
    """Whether the process was told to end, by a signal.  From any thread."""
    return _stopping


def stop(attempt: Callable[[Callable[[], object]], object]) -> None:
    """The process is to end; forgets what was registered for starts, reloads and stops.

    Each function is handed to *attempt*, which calls it and lets nothing out: one that fails is not to keep the others
    from theirs."""
    global _stopping
    _stopping = True
    _on_start.clear()
    _on_reload.clear()
    while _on_stop:
        attempt(_on_stop.pop())


def is_ending() -> bool:
    """Whether some thread is about to end the process.  From any thread."""
    return _ending


def exit_now(attempt: Callable[[Callable[[], object]], object]) -> None:
    """The process ends; *attempt* as of :func:`stop`."""
    global _ending
    _ending = True
    for function in list(_on_exit):
        attempt(function)
