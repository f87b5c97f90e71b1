"""What specs print: in the order of all else that is written to standard output, and at once."""

import os
import select
from collections.abc import Mapping
from typing import Final

from runtime.log import LogType

TYPE: Final = "spec_output"


class SpecOutput(LogType):
    """The log type of `stdout` where specs run.

    Other logs keep what a pipe does not take at once, so that nobody waits for who reads it.  Here events, and what
    specs write by other ways, would overtake that, and it would be lost with a process that dies."""

    asynch = False

    def __init__(self, name: str, path: str | None, fd: int | None, config: Mapping[str, str]) -> None:
        super().__init__(name, path, fd, config)
        assert fd is not None
        self._fd = fd

    def open(self) -> None:
        pass

    def write(self, when: int, line: bytes) -> None:
        while line:
            try:
                line = line[os.write(self._fd, line) :]
            except BlockingIOError:  # whoever shares it made it so
                select.select([], [self._fd], [])
            except OSError:
                self.write_errors += 1
                return

    def direct(self) -> int:
        return self._fd

    def close(self) -> None:
        pass
