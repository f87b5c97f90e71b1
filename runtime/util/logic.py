"""Expressions over names whose values are looked up.  The C API's ``mtev_logic``; the language is that of the filters
of logs.  Manual: Logging."""

from collections.abc import Callable
from typing import Final

from runtime.log import Filter

Lookup = Callable[[str], object]
"""The value of a name, text, bytes or a number; None where there is none."""


class _Values:
    def __init__(self, lookup: Lookup) -> None:
        self.field: Final = lookup


class Logic:
    """A compiled expression.  C: mtev_logic_parse."""

    def __init__(self, text: str) -> None:
        """Raises :exc:`runtime.log.LogError` with the position, counted from 1, of what cannot be understood."""
        self.text = text
        self._holds = Filter(text)

    def exec(self, lookup: Lookup) -> bool:
        """Whether the expression holds for what *lookup* says.  C: mtev_logic_exec."""
        return self._holds(_Values(lookup))
