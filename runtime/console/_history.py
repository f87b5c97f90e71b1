"""The lines that were entered on a console, to be had back.  Kept in memory, and in a file if there is one."""

import os
from pathlib import Path

SIZE = 500
"""Lines kept."""

_NOT_KEPT = {"", "exit"}


class History:
    """The lines, oldest first, and how far the user has gone back."""

    def __init__(self, file: str | None = None) -> None:
        self._file = None if file is None else Path(file)
        self._lines: list[str] = []
        self._at = 0
        self._typed = ""
        self.failure = ""  # why the file could not be read or written last
        if self._file is not None:
            try:
                text = self._file.read_text("utf-8", "surrogateescape")
                self._lines = [each for each in text.split("\n") if each][-SIZE:]
            except FileNotFoundError:
                pass
            except OSError as failure:
                self.failure = str(failure)
        self.begin()

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: str) -> None:
        """Keep *line*, and write the file; an empty line and ``exit`` are not kept."""
        line = line.rstrip()
        if line not in _NOT_KEPT:
            self._lines.append(line)
            del self._lines[:-SIZE]
        self.begin()
        if self._file is None:
            return
        fresh = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as out:
                out.write("".join(f"{each}\n" for each in self._lines).encode("utf-8", "surrogateescape"))
            fresh.replace(self._file)
            self.failure = ""
        except OSError as failure:
            self.failure = str(failure)

    def begin(self) -> None:
        """A new line is typed."""
        self._at = len(self._lines)
        self._typed = ""

    def older(self, typed: str) -> str | None:
        """The line before, None when there is none; *typed* is what newest() leads back to."""
        if not self._at:
            return None
        if self._at == len(self._lines):
            self._typed = typed
        self._at -= 1
        return self._lines[self._at]

    def newer(self) -> str | None:
        """The line after, at last what was typed; None behind that."""
        if self._at == len(self._lines):
            return None
        self._at += 1
        return self._typed if self._at == len(self._lines) else self._lines[self._at]

    def older_like(self, beginning: str, shown: str) -> str | None:
        """The nearest line before that begins so and is not *shown*; None when there is none."""
        return self._like(range(self._at - 1, -1, -1), beginning, shown)

    def newer_like(self, beginning: str, shown: str) -> str | None:
        """The nearest line after, likewise."""
        return self._like(range(self._at + 1, len(self._lines)), beginning, shown)

    def _like(self, where: range, beginning: str, shown: str) -> str | None:
        for at in where:
            line = self._lines[at]
            if line.startswith(beginning) and line != shown:
                self._at = at
                return line
        return None
