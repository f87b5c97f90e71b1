"""The real program as a process, with ports that nobody listens on."""

import contextlib
import fcntl
import os
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from waiting import TIMEOUT, listens, until

_dice: Final = random.SystemRandom()
_taken: Final = os.open(
    Path(tempfile.gettempdir(), f"luamtev-ports-{os.getuid()}"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
)
"""A file whose byte N is locked by the process of tests that was given port N, until its end."""
_given: Final[set[int]] = set()


def free_port() -> int:
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Some, of TCP and UDP alike, that no system gives to those who ask for any, and no other test is given: they stay
    free."""
    found: list[int] = []
    while len(found) < count:
        port = _dice.randrange(10_000, 32_000)
        if port not in _given:
            with contextlib.suppress(OSError), socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
                fcntl.lockf(_taken, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
                _given.add(port)
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
                found.append(port)
    return found


def general(directory: Path) -> str:
    """The element of a configuration that runs ``main.lua`` of *directory*."""
    return f"""<generic image="lua_mtev" name="lua_general">
      <config><directory>{directory}/?.lua;{{package.path}}</directory><lua_module>main</lua_module>
        <lua_function>main</lua_function></config>
    </generic>"""


def web_module(directory: Path, keys: str) -> str:
    """The element that finds web handlers in *directory*, with more of its *keys*."""
    return f"""<generic image="lua_mtev" name="lua_web">
      <config><directory>{directory}/?.lua;{{package.path}}</directory>{keys}</config>
    </generic>"""


class Launched:
    """The real program as a process in its *directory*, once :meth:`launch` has been called."""

    directory: Path
    process: "subprocess.Popen[bytes] | None" = None

    def launch(self, configuration: str, options: Sequence[str] = (), lua: str = "main.lua") -> None:
        """Run *configuration* and *lua*; what the program writes goes behind what ``errors`` has."""
        with (self.directory / "errors").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "luamtev", *options, "-c", configuration, *([lua] if lua else [])],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )

    def errors(self) -> str:
        """What it wrote."""
        return (self.directory / "errors").read_text()

    def lives(self) -> bool:
        """True, or the test fails with what it wrote: for who waits for what a program brings about."""
        assert self.process is not None and self.process.poll() is None, self.errors()
        return True

    def await_port(self, port: int) -> None:
        """Wait until somebody listens on *port*."""
        until(lambda: self.lives() and listens(port), self.errors)

    def await_text(self, text: str, count: int = 1) -> str:
        """Wait until it wrote *text* so many times; returns the first line that has it."""
        until(lambda: self.lives() and self.errors().count(text) >= count, lambda: f"no {text!r} in {self.errors()}")
        return next(line for line in self.errors().splitlines() if text in line)

    def stop(self) -> int:
        """Ask it to end, as an operator does; its status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(TIMEOUT)

    def kill(self) -> None:
        """No process is left of it."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
