"""The console of the process's own terminal, or of what is piped into it: ``luamtev -i``.

On a terminal it edits lines; otherwise it reads lines until the end, without prompt and echo.  A thread reads, since
files and some terminals cannot be waited for on a loop; the console itself belongs to the first loop thread.
"""

import os
import select
import shutil
import threading

from runtime import eventer, lifecycle

from ._console import Console
from ._registry import top
from ._terminal import Terminal

NAME = "console/[0:1]"
READ_SIZE = 1 << 16


def start_on_terminal() -> None:
    """Begin to read descriptor 0."""
    owner = eventer.choose_owner(0)
    on_terminal = os.isatty(0) and os.isatty(1)
    owner.post(_Typed(owner).start if on_terminal else _Piped(owner).start)


class _Typed:
    """A person at a terminal."""

    def __init__(self, owner: eventer.LoopThread) -> None:
        self._owner = owner
        self._taken = threading.Semaphore(0)

    def start(self) -> None:
        import termios

        attributes = termios.tcgetattr(0)
        lifecycle.on_exit(lambda: termios.tcsetattr(0, termios.TCSANOW, attributes))
        raw = list(attributes)
        raw[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR)
        raw[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
        raw[6] = list(attributes[6])
        raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
        termios.tcsetattr(0, termios.TCSANOW, raw)
        terminal = self._terminal = Terminal(top(), NAME, _write)
        terminal.editor.smart = os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")
        terminal.console.columns = shutil.get_terminal_size().columns
        terminal.console.ended = lambda: termios.tcsetattr(0, termios.TCSANOW, attributes)
        terminal.start("")
        threading.Thread(target=self._read, name="console/stdin", daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(0, READ_SIZE)
            except OSError:
                data = b""
            if not self._owner.post(self._came, data) or not data:
                return
            self._taken.acquire()

    def _came(self, data: bytes) -> None:
        try:
            self._terminal.console.columns = shutil.get_terminal_size().columns
            if data:
                self._terminal.receive(data)
            else:
                self._terminal.console.close()
        finally:
            self._taken.release()


class _Piped:
    """Lines from a pipe or a file."""

    def __init__(self, owner: eventer.LoopThread) -> None:
        self._owner = owner
        self._taken = threading.Semaphore(0)

    def start(self) -> None:
        console = self._console = Console(top(), NAME, lambda text: _write(text.encode("utf-8", "surrogateescape")))
        console.idle = console.ended = self._taken.release
        threading.Thread(target=self._read, name="console/stdin", daemon=True).start()

    def _read(self) -> None:
        try:
            with open(0, "rb", closefd=False) as lines:
                for line in lines:
                    text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
                    if not self._owner.post(self._console.enter, text):
                        return
                    self._taken.acquire()
                    if not self._console.is_open:
                        return
        except OSError:
            pass
        self._owner.post(self._console.close)


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(1, view) :]
        except BlockingIOError:
            select.select([], [1], [])  # somebody else made it non-blocking
        except OSError:
            return
