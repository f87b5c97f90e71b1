"""What goes wrong in the configuration."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lxml import etree


class ConfError(Exception):
    """A configuration that cannot be used, in one line: ``file:line: message``.

    Attributes: ``message``; ``file``, as the user named it, and ``line``, from 1, or None where there is none."""

    def __init__(self, message: str, file: str | Path | None = None, line: int | None = None) -> None:
        self.message = message
        self.file = None if file is None else str(file)
        self.line = line
        super().__init__(message, self.file, line)

    def __str__(self) -> str:
        where = [str(part) for part in (self.file, self.line if self.file else None) if part]
        return " ".join(": ".join([*([":".join(where)] if where else []), self.message]).splitlines())


def line_of(element: "etree._Element") -> int | None:
    """The line that *element* stands on in its file; None for one made in memory."""
    line: Any = element.sourceline
    return int(line) if line else None
