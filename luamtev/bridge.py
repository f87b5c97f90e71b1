"""The border between Python and LuaJIT: the only file that imports lupa.

What crosses, and how:

- Bytes, numbers, booleans, None and fresh tables of those cross.  Objects do not: lupa may hand Lua another live object
  in their place once Lua's collector has run.  A Python object is known to Lua by a number from :class:`Handles`.
- Python functions cross once, at creation (:meth:`Border.pin`), and live as long as the state.
- An exception never crosses.  A pinned function that raises returns a mark and a message; the Lua side raises it there.
- Nothing switches greenlets below a Lua frame: Lua is entered on the hub only, where gevent refuses to switch.

Every Lua string is ``bytes`` here.
"""

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import greenlet

from runtime import log

_flags = sys.getdlopenflags()
sys.setdlopenflags(_flags | os.RTLD_NOW | os.RTLD_GLOBAL)  # C modules look for the lua_* symbols in the process
try:
    import lupa.luajit21 as _luajit
finally:
    sys.setdlopenflags(_flags)

LIBRARY = _luajit.__file__
"""The shared library with Lua's own API."""

LuaCrash = _luajit.LuaError  # an error that reached Python: only a broken kernel lets one through

T = TypeVar("T")

RAISED = b"\0raised"
"""First of two results of a pinned function that failed; the second is the message to raise in Lua."""

_PLAIN = frozenset((bytes, int, float, bool, type(None)))


class LuaError(Exception):
    """Raised in a pinned function to raise its message, as it is, in the Lua code that called."""


class NotOnHub(RuntimeError):
    """Lua may be entered on the hub of the thread that owns the state, and nowhere else."""


class Handles(Generic[T]):
    """The objects Lua knows by number.  Numbers are never used twice, so an old one is only ever unknown."""

    def __init__(self) -> None:
        self._objects: dict[int, T] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._objects)

    def __getitem__(self, handle: int) -> T:
        """The object behind *handle*; raises :exc:`LuaError` when it was let go."""
        try:
            return self._objects[handle]
        except KeyError:
            raise LuaError(f"invalid handle {handle}") from None

    def add(self, value: T) -> int:
        """Hold *value*; returns its handle."""
        self._last += 1
        self._objects[self._last] = value
        return self._last

    def pop(self, handle: int) -> T | None:
        """Let go of *handle*; returns its object, or None when it was let go before."""
        return self._objects.pop(handle, None)


class Border:
    """One LuaJIT state as Python sees it.  Belongs to the thread that made it."""

    def __init__(self) -> None:
        self._lua = _luajit.LuaRuntime(
            encoding=None,
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_no_attributes,
        )
        self._load = self._lua.execute(
            b"""
            python, package.loaded.python = nil, nil
            return function(source, name) return assert(loadstring(source, name)) end
            """
        )
        self._hub = greenlet.getcurrent()

    def load(self, source: bytes, name: str) -> Any:
        """Compile a chunk; *name* is what tracebacks call it.  Returns the Lua function."""
        return self._load(source, b"@" + name.encode())

    def table(self, value: Mapping[Any, Any] | list[Any] | tuple[Any, ...]) -> Any:
        """A fresh Lua table of a mapping or sequence, inner ones too.  Text becomes UTF-8 bytes.

        Raises :exc:`TypeError` for a value that cannot cross."""
        if isinstance(value, Mapping):
            return self._lua.table_from({self.plain(k): self.plain(v) for k, v in value.items()})
        return self._lua.table_from([self.plain(each) for each in value])

    def plain(self, value: Any) -> Any:
        """*value* as it may cross.  Raises :exc:`TypeError` when it may not."""
        if type(value) in _PLAIN:
            return value
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        if isinstance(value, (Mapping, list, tuple)):
            return self.table(value)
        raise TypeError(f"a {type(value).__name__} cannot cross into Lua")

    def pin(self, functions: Mapping[str, Callable[..., Any]]) -> Any:
        """A Lua table of *functions* by name, guarded, for the life of the state."""
        return self._lua.table_from({name.encode(): self._guard(each) for name, each in functions.items()})

    def _guard(self, function: Callable[..., Any]) -> Callable[..., Any]:
        plain = self.plain

        def crossing(*args: Any) -> Any:
            try:
                result = function(*args)
                if type(result) in _PLAIN:
                    return result
                if type(result) is tuple:
                    return tuple(map(plain, result))
                return plain(result)
            except LuaError as mistake:
                return RAISED, str(mistake).encode("utf-8", "surrogateescape")
            except BaseException as failure:  # whatever it is, it must not reach Lua as an object
                log.stream_find("debug/lua").log(f"{function!r} failed below Lua\n{traceback.format_exc()}")
                return RAISED, f"{type(failure).__name__}: {failure}".encode("utf-8", "surrogateescape")

        return crossing

    def is_on_hub(self) -> bool:
        """Whether the caller may enter Lua here."""
        return greenlet.getcurrent() is self._hub

    def check_hub(self) -> None:
        """Raise :exc:`NotOnHub` unless the caller may enter Lua here."""
        if greenlet.getcurrent() is not self._hub:
            raise NotOnHub("Lua is entered on the hub of its loop thread only")

    def close(self) -> None:
        """Close the state once nothing refers to it: lupa does so when its last reference goes."""
        del self._load, self._lua


def ask(source: bytes, *args: bytes) -> Any:
    """What *source* returns of *args* in a state of its own, which is gone then."""
    border = Border()
    try:
        return border.load(source, "question")(*args)
    finally:
        border.close()


def _no_attributes(_target: object, name: object, _setting: bool) -> object:
    raise AttributeError(f"Lua sees no Python: {name!r}")
