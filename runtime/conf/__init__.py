"""The configuration: an XML tree with includes and inheritance, asked by XPath.

Manual: libmtev Application Configuration.  A configuration is loaded once and made the current one, where every part of
the stack finds it; tests and tools may hold as many others as they like.
"""

from ._conf import Conf, load, loads
from ._errors import ConfError
from ._fixup import VALUE_FIXUP, Value
from ._load import Include
from ._secrets import hide, masked
from ._tree import Section
from ._values import parse_boolean, parse_duration, parse_float, parse_integer

__all__ = [
    "VALUE_FIXUP",
    "Conf",
    "ConfError",
    "Include",
    "Section",
    "Value",
    "current",
    "current_or_none",
    "hide",
    "load",
    "loads",
    "masked",
    "parse_boolean",
    "parse_duration",
    "parse_float",
    "parse_integer",
    "set_current",
]

_current: Conf | None = None


def set_current(configuration: Conf | None) -> None:
    """Make *configuration* the one that :func:`current` returns; None leaves none."""
    global _current
    _current = configuration


def current_or_none() -> Conf | None:
    """The current configuration, None when there is none."""
    return _current


def current() -> Conf:
    """The current configuration.  Raises :exc:`ConfError` when there is none."""
    if _current is None:
        raise ConfError("no configuration is loaded")
    return _current
