"""What the format attribute may name.  Manual: Logging, Generic Attributes, format.

A formatter is called with the flags gathered on the way and the :class:`Line`; it returns the bytes to write.
"""

from collections.abc import Callable
from typing import Final

from ._flatbuffer import as_flatbuffer
from ._json import as_json
from ._line import Line
from ._plain import as_plain

Formatter = Callable[[int, Line], bytes]

FORMATS: Final[dict[str, Formatter]] = {"plain": as_plain, "json": as_json, "flatbuffer": as_flatbuffer}
