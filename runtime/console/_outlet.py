"""Consoles as log streams: the type that prints lines to a console.  Manual: Console, log connect.

A line logged on the console's own loop thread is printed at once, one from elsewhere as soon as its loop gets to it.  A
console that cannot follow loses lines, and is told how many.
"""

import threading
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from runtime import eventer, log
from runtime.log import LogStream, LogType

if TYPE_CHECKING:
    from ._console import Console

MOST = 1000
"""Lines that wait for their console."""

TYPE = "mtev_console"


class Outlet(LogType):
    """The way from a stream to the console it belongs to, while there is one."""

    asynch = False

    def __init__(self, name: str, path: str | None, fd: int | None, config: Mapping[str, str] = {}) -> None:
        super().__init__(name, path, fd, config)
        self._console: Console | None = None
        self._lines: deque[bytes] = deque()
        self._lost = 0
        self._gate = threading.Lock()
        self._printing = False

    def open(self) -> None:
        """Nothing to do."""

    @property
    def in_use(self) -> bool:
        """Whether a console has the name."""
        return self._console is not None

    def bind(self, console: "Console") -> None:
        """Print to *console* from now on."""
        self._console = console

    def unbind(self, console: "Console") -> None:
        """Print nowhere, unless the name has gone to another console since."""
        if self._console is console:
            self._console = None
            with self._gate:
                self._lines.clear()

    def write(self, when: int, line: bytes) -> None:
        """Print *line*, now or soon."""
        console = self._console
        if console is None:
            return
        here = eventer.is_loop_thread() and eventer.current() is console.home
        with self._gate:
            if len(self._lines) >= MOST:
                self._lost += 1
                self.write_errors += 1
                return
            self._lines.append(line)
            first = len(self._lines) == 1
        if here and not self._printing:
            self._print()
        elif first or here:
            console.home.post(self._print)

    def _print(self) -> None:
        """On the console's loop thread."""
        if self._printing:
            return
        self._printing = True  # what printing logs itself must not print now
        try:
            with self._gate:
                lines, lost = list(self._lines), self._lost
                self._lines.clear()
                self._lost = 0
            console = self._console
            if console is None:
                return
            for at, line in enumerate(lines):
                if console.clogged():
                    self._lost += lost + len(lines) - at
                    self.write_errors += len(lines) - at
                    return
                console.log_line(line)
            if lost:
                console.log_line(b"(%d lines of logs lost: this console does not follow)\n" % lost)
        finally:
            self._printing = False

    def close(self) -> None:
        """The console is closed by its user."""

    def forked(self) -> None:
        self._gate = threading.Lock()
        self._console = None
        self._lines.clear()


def outlet(name: str, log_format: str) -> tuple[LogStream, Outlet]:
    """The stream *name* whose lines a console prints, and its way out; made, or the one that a console left."""
    stream = log.stream_find(name) if log.stream_exists(name) else None
    if stream is None or not isinstance(stream.ctx, Outlet):
        log.register_type(TYPE, Outlet)
        stream = log.new_stream(name, TYPE)
    stream.set_format(log_format)
    assert isinstance(stream.ctx, Outlet)
    return stream, stream.ctx
