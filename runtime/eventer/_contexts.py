"""Contexts: what travels with events without their callbacks knowing.  Manual: ``eventer_register_context``.

A kind of context is registered once and gets an index.  Its operations, each optional, are told when an event is made,
copied, and about to run or done running.  While no kind is registered this costs one test an event.
"""

from typing import Any

from . import _event
from ._event import Event


class ContextOps:
    """What a kind of context does; derive and override.  The methods run on whichever thread has the event."""

    def init(self, event: Event) -> None:
        """*event* was made."""

    def copy(self, event: Event, source: Event) -> None:
        """*event* was made as a copy of *source*."""

    def prepare(self, event: Event, mask: int, now: float) -> None:
        """The callback of *event* is about to run."""

    def cleanup(self, event: Event, mask: int) -> None:
        """It ran."""

    def returned(self, event: Event, mask: int, following: int | None) -> None:
        """It ran, after :meth:`cleanup`, and returned *following*; None for one that failed, too."""


_kinds: tuple[ContextOps, ...] = ()
_names: list[str] = []


def register_context(name: str, ops: ContextOps) -> int:
    """Register a kind of context; returns its index.  Raises ValueError when the name is taken."""
    global _kinds
    if name in _names:
        raise ValueError(f"there is a context named '{name}' already")
    _names.append(name)
    _kinds = (*_kinds, ops)
    _event.made, _event.running, _event.copied = _made, _running, _copied
    return len(_names) - 1


def set_context(event: Event, index: int, data: object) -> Any:
    """Attach *data* to *event* as its context *index*; returns what was there before, or None."""
    _check(index)
    if event.contexts is None:
        event.contexts = {}
    before = event.contexts.get(index)
    event.contexts[index] = data
    return before


def get_context(event: Event, index: int) -> Any:
    """What :func:`set_context` attached, or None.  Raises IndexError for an index that nobody was given."""
    _check(index)
    return event.contexts.get(index) if event.contexts is not None else None


def _copied(event: Event, source: Event) -> None:
    for ops in _kinds:
        ops.copy(event, source)


def _check(index: int) -> None:
    if not 0 <= index < len(_kinds):
        raise IndexError(f"{index} is no context's index")


def _made(event: Event) -> None:
    for ops in _kinds:
        ops.init(event)


def _running(event: Event, mask: int, now: float) -> int | None:
    kinds = _kinds
    for ops in kinds:
        ops.prepare(event, mask, now)
    following = None
    try:
        following = event.callback(event, mask, event.closure, now)
        return following
    finally:
        for ops in reversed(kinds):
            ops.cleanup(event, mask)
            ops.returned(event, mask, following)
