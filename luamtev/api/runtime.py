"""Making Lua states anew while the process runs: what a state tells of itself, and who can replace one.

A module that has states registers what replaces them.  The new state loads its modules first; only when that went well
does the old one become defunct, end what it has begun, and close.  Manual: ``mtev.runtime_reload``,
``mtev.runtime_defunct``.
"""

import os
from collections.abc import Callable
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from runtime import hooks
from runtime.stamps import Stamp, stamp

if TYPE_CHECKING:
    from luamtev.port import Port

RELOADING = hooks.declare("lua_reload")
"""``(module, why)`` on the thread of a state that is about to be replaced: the name of the module that has it, and the
file that changed, ``mtev.runtime_reload`` or ``bump.json``.  ABORT leaves the state as it is."""

TIMEOUT = 10.0
"""Seconds that the functions of a defunct state have to return."""

ON_REQUEST = "mtev.runtime_reload"


class Reloadable(Protocol):
    """A module with Lua states."""

    def files(self) -> dict[str, Stamp | None]:
        """The files that its states have loaded, or looked for in vain, as they were then.  From any thread."""

    def replace(self, why: str) -> object:
        """Make its states anew.  From any thread."""


class _Life:
    """What is known of one state."""

    def __init__(self) -> None:
        self.files: dict[str, Stamp | None] = {}
        self.loaded: Callable[[str | None], object] = lambda _failure: None
        self.retired: Callable[[], object] = lambda: None


_lives: "WeakKeyDictionary[Port, _Life]" = WeakKeyDictionary()
_makers: list[Callable[[], Reloadable]] = []
_asked = count(1)


def register(make: Callable[[], Reloadable]) -> None:
    """Have what *make* gives, once somebody asks, replace the states of a module."""
    _makers.append(cache(make))


def modules() -> list[Reloadable]:
    """Those registered."""
    return [make() for make in _makers]


def replace_all(why: str) -> int:
    """Have the states of all modules be made anew; returns how many times that was asked for by now.  From any
    thread."""
    for each in modules():
        each.replace(why)
    return next(_asked)


def files_of(state: "Port") -> dict[str, Stamp | None]:
    """The files that *state* has loaded, as they were then."""
    return dict(_lives[state].files)


def load(state: "Port", modules: list[str], function: str, done: Callable[[str | None], object]) -> None:
    """Have *state* require *modules*, and look for *function* in the last of them unless that is empty.

    *done* is called below Lua, with what failed or None."""
    _lives[state].loaded = done
    state.enter("load", function.encode(), *map(os.fsencode, modules))


def retire(state: "Port", done: Callable[[], object]) -> None:
    """Have *state* be defunct, and call the functions that wait for that; *done* is called once when they are done, or
    after :data:`TIMEOUT`, on the state's thread and outside Lua."""
    ended = False

    def end() -> None:
        nonlocal ended
        if not ended:
            ended = True
            done()

    _lives[state].retired = lambda: state.thread.soon(end)
    state.thread.after(TIMEOUT, end)
    state.enter("retire")


def functions(state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/runtime.lua`` builds on."""
    life = _lives[state] = _Life()

    def loaded(failure: bytes | None = None) -> None:
        life.loaded(None if failure is None else failure.decode("utf-8", "replace"))

    def reload() -> None:
        replace_all(ON_REQUEST)

    def note(path: bytes) -> None:
        name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - links stay as they are
        life.files.setdefault(name, stamp(name))

    return {
        "runtime_reload": reload,
        "runtime_loaded": loaded,
        "runtime_retired": lambda: life.retired(),
        "runtime_note": note,
    }
