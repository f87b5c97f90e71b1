"""Names of callbacks, for people who look at a running system.  Manual: Operations, The Eventer System."""

from collections.abc import Callable
from typing import Any

_names: dict[Callable[..., Any], str] = {}
_functions: dict[str, Callable[..., Any]] = {}


def name_callback(name: str, function: Callable[..., Any]) -> None:
    """Give *function* the *name* that operators see.

    Naming again replaces the older name of the function, and the older function of the name.
    """
    forgotten = _functions.pop(name, None)
    if forgotten is not None:
        _names.pop(forgotten, None)
    replaced = _names.get(function)
    if replaced is not None:
        _functions.pop(replaced, None)
    _names[function] = name
    _functions[name] = function


def name_for_callback(function: Callable[..., Any]) -> str:
    """The name given to *function*, else its Python name with its module."""
    name = _names.get(function)
    if name is None:
        module = getattr(function, "__module__", None)
        qualified = getattr(function, "__qualname__", None) or repr(function)
        name = f"{module}.{qualified}" if module else qualified
    return name


def callback_for_name(name: str) -> Callable[..., Any] | None:
    """The function that was given *name*, or None."""
    return _functions.get(name)
