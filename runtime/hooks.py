"""Named hook points: places in the stack where other code is called when it asked to be.  Manual: Arbitrary Hooks.

A point is declared by the code that invokes it and found by name by the code that instruments it.  An invocation that
nobody registered for costs one loop over an empty tuple; a caller that would have to build its arguments asks
:meth:`Hook.exists` first.  What the arguments mean is agreed between the two sides, in the declaring module.
"""

import re
from collections.abc import Callable
from threading import Lock
from typing import Any

CONTINUE, DONE, ABORT = 0, 1, 2
"""What a callback returns: go on with the chain, end it, or end it and refuse what was about to happen."""

Callback = Callable[..., int]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_points: "dict[str, Hook]" = {}
_lock = Lock()


class Hook:
    """One hook point.  Made by :func:`declare`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._chain: tuple[tuple[str, Callback], ...] = ()
        self.changed: Callable[[], None] | None = None
        """Called when somebody registered or left, for a declaring module that prepares for both."""

    def __repr__(self) -> str:
        return f"<Hook {self.name} of {len(self._chain)}>"

    def register(self, callback_name: str, fn: Callback) -> None:
        """Append *fn* to the chain, known as *callback_name*; it returns CONTINUE, DONE or ABORT.

        A closure is whatever *fn* closes over.  Raises ValueError when the name is registered already.
        Manual: Hook Usage."""
        with _lock:
            if any(name == callback_name for name, _ in self._chain):
                raise ValueError(f"hook {self.name} has a callback '{callback_name}' already")
            self._chain = (*self._chain, (callback_name, fn))
        if self.changed is not None:
            self.changed()

    def unregister(self, callback_name: str) -> bool:
        """Take *callback_name* out of the chain; False when it is not in it.

        An invocation under way still runs the chain that it began with."""
        with _lock:
            remaining = tuple(each for each in self._chain if each[0] != callback_name)
            removed = len(remaining) != len(self._chain)
            self._chain = remaining
        if removed and self.changed is not None:
            self.changed()
        return removed

    def exists(self) -> bool:
        """Whether anybody is registered."""
        return bool(self._chain)

    @property
    def names(self) -> tuple[str, ...]:
        """Who is registered, in order."""
        return tuple(name for name, _ in self._chain)

    def invoke(self, *args: Any) -> int:
        """Call the chain with *args* in order of registration; the first result that is not CONTINUE ends it.

        Returns that result, or CONTINUE.  What a callback raises is raised here, and ends the chain.
        Raises TypeError, naming the callback, when one returns anything else.  Manual: Hook Usage."""
        for name, fn in self._chain:
            result = fn(*args)
            if result != CONTINUE:
                if result not in (DONE, ABORT):
                    raise TypeError(f"callback '{name}' of hook {self.name} returned {result!r}, not a hook result")
                return result
        return CONTINUE


def declare(name: str) -> Hook:
    """The hook point *name*, made when there is none yet.

    Raises ValueError for a name that is not an identifier.  Manual: Hook Declaration."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"a hook needs an identifier for a name, not {name!r}")
    with _lock:
        return _points.setdefault(name, Hook(name))


def find(name: str) -> Hook | None:
    """The hook point *name*, or None when nobody declared it."""
    return _points.get(name)
