"""The setting ``debugging``: what is done to events is told, and what callbacks do wrong.  Manual: Eventer, debugging.

Slow, and so nowhere near the hot path unless asked for: then it takes the places that ``_event`` keeps for others.
"""

import os
import traceback
from typing import Final

from runtime import log

from . import _event
from ._callbacks import name_for_callback
from ._event import ACTIVITY, RECURRENT, TIMER, Event

_errors: Final = log.facility("error/eventer")
_debug: Final = log.facility("debug/eventer")

_within = _event.running


def use(on: bool) -> None:
    """Tell what happens to events from now on, or no more."""
    global _within
    if on == (_event.told is not None):
        return
    if on:
        _within = _event.running
        _event.told, _event.running = _told, _running
    else:
        _event.told = None
        if _event.running is _running:
            _event.running = _within


def _told(what: str, event: Event) -> None:
    if _debug.enabled:
        owner = "nobody" if event.owner is None else event.owner.name
        _debug.log(f"{event!r} {what}, of {owner}\n")


def _running(event: Event, mask: int, now: float) -> int | None:
    name = name_for_callback(event.callback, event)
    run = _within or _plain
    try:
        following = run(event, mask, now)
    except Exception:
        _debug.log(f"callback {name} with {mask:#04x} failed: {traceback.format_exc(limit=0)}")
        raise
    if _debug.enabled:
        _debug.log(f"callback {name} with {mask:#04x} returned {following!r}\n")
    _check(event, name, following)
    return following


def _plain(event: Event, mask: int, now: float) -> int | None:
    return event.callback(event, mask, event.closure, now)


def _check(event: Event, name: str, following: object) -> None:
    """Say what a callback did that only works by luck."""
    if following is not None and not isinstance(following, int):
        _errors.log(f"callback {name} returned {following!r}, which is no mask\n")
    elif event.mask & TIMER and following:
        _errors.log(f"callback {name} of a timer returned {following:#x}, which means nothing\n")
    elif event.mask & RECURRENT and following not in (None, 0, RECURRENT):
        _errors.log(f"callback {name} of a recurrent event returned {following:#x}, expected RECURRENT or 0\n")
    elif event.mask & ACTIVITY and following and event.active:
        try:
            os.fstat(event.fd)
        except OSError:
            _errors.log(f"callback {name} closed descriptor {event.fd}, whose event goes on\n")
