"""Names of callbacks, for people who look at a running system.  Manual: Operations, The Eventer System."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._event import Event

Describer = Callable[["Event"], str]

_names: dict[Callable[..., Any], str] = {}
_functions: dict[str, Callable[..., Any]] = {}
_describers: dict[Callable[..., Any], Describer] = {}


def name_callback(name: str, function: Callable[..., Any], describer: Describer | None = None) -> None:
    """Give *function* the *name* that operators see.

    *describer*, called with an event, returns what they see of that one instead.  Naming again replaces the older name
    of the function, and the older function of the name.  Manual: ``eventer_name_callback_ext``."""
    forgotten = _functions.pop(name, None)
    if forgotten is not None:
        _names.pop(forgotten, None)
        _describers.pop(forgotten, None)
    replaced = _names.get(function)
    if replaced is not None:
        _functions.pop(replaced, None)
    _names[function] = name
    _functions[name] = function
    if describer is not None:
        _describers[function] = describer
    else:
        _describers.pop(function, None)


def name_for_callback(function: Callable[..., Any], event: "Event | None" = None) -> str:
    """The name given to *function*, else its Python name with its module.

    Of *event*, what the describer says; one that fails is passed over.  Manual: ``eventer_name_for_callback``."""
    if event is not None and function in _describers:
        try:
            return _describers[function](event)
        except Exception as failure:
            return f"{_names[function]} (not described: {failure!r})"
    name = _names.get(function)
    if name is None:
        module = getattr(function, "__module__", None)
        qualified = getattr(function, "__qualname__", None) or repr(function)
        name = f"{module}.{qualified}" if module else qualified
    return name


def callback_for_name(name: str) -> Callable[..., Any] | None:
    """The function that was given *name*, or None."""
    return _functions.get(name)
