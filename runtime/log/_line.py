"""A line on its way: what was logged, by whom, and the key/value pairs that came with it.  Manual: mtevEL."""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Union

from ._base import LogError

if TYPE_CHECKING:
    from uuid import UUID  # imported by whoever makes one

Value = Union[int, float, str, "UUID"]
"""What a pair carries."""

Pairs = tuple[tuple[str, Value], ...]

NO_PAIRS: Final[Pairs] = ()

FIELDS: Final = ("timestamp", "facility", "threadid", "threadname", "file", "line", "message")
"""What every line has besides its pairs."""


class Line:
    """One line.  *when* is in nanoseconds since the epoch, *facility* the name of the stream first logged to."""

    __slots__ = ("facility", "file", "line", "message", "pairs", "threadid", "threadname", "when")

    def __init__(self, when: int, facility: bytes, message: bytes, file: str, line: int, pairs: Pairs) -> None:
        self.when = when
        self.facility = facility
        self.message = message
        self.file = file
        self.line = line
        self.pairs = pairs
        self.threadid = threading.get_native_id()
        self.threadname = threading.current_thread().name

    def described(self) -> dict[str, object]:
        """What hooks in Lua get of it."""
        return {"facility": self.facility, "message": self.message, "whence": self.when / 1e9}

    def timestamp(self) -> str:
        """Seconds and microseconds since the epoch, ``sec.uuuuuu``."""
        return f"{self.when // 1_000_000_000}.{self.when % 1_000_000_000 // 1000:06d}"

    def field(self, name: str) -> Value | bytes | None:
        """The field or the pair *name*; None when there is none."""
        if name in FIELDS:
            value: Value | bytes = self.timestamp() if name == "timestamp" else getattr(self, name)
            return value
        for key, pair in self.pairs:
            if key == name:
                return pair
        return None


def as_pairs(pairs: Mapping[str, Value]) -> Pairs:
    """*pairs* as a line carries them.  Raises :exc:`LogError` naming a value of another type."""
    for key, value in pairs.items():
        if not isinstance(value, (int, float, str)) and type(value).__name__ != "UUID":
            raise LogError(f"log: the value of '{key}' is a {type(value).__name__}, not a number, text or UUID")
    return tuple(pairs.items())
