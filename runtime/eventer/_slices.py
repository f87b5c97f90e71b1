"""Work of unknown length on a loop, done in slices: a budget of time a turn, and then everybody else comes first.

The budget is ``turn_budget`` of ``<eventer><config>``.  A slice always gets something done: it ends after the piece of
work that used it up, so a piece should be as short as a callback.
"""

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import TypeVar

from . import _settings
from ._thread import LoopThread, current_or_none

T = TypeVar("T")


class Slice:
    """The time that one party may take in this turn of the loop, from now on."""

    __slots__ = ("_end",)

    def __init__(self, budget: float | None = None) -> None:
        """Args: *budget*, seconds; by default what the configuration says."""
        self._end = perf_counter() + (_settings.current.turn_budget if budget is None else budget)

    def is_over(self) -> bool:
        """Whether it is used up."""
        return perf_counter() >= self._end


def in_slices(items: Iterable[T], function: Callable[[T], object]) -> None:
    """Call ``function(item)`` for each of *items*, in order; on a loop thread in slices, the first of them at once.

    What *function* raises is logged with its name and stops nobody.  When the loop stops, what is left is done then."""
    thread = current_or_none()
    if thread is None:
        for item in items:
            function(item)
    else:
        _slice(thread, iter(items), function)


def _slice(thread: LoopThread, items: Iterator[T], function: Callable[[T], object]) -> None:
    mine = Slice()
    for item in items:
        thread.guarded(function, item)
        if mine.is_over() and thread.post(_slice, thread, items, function):
            return
