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


def launch(
    directory: Path, configuration: str, mode: str = "ab", options: Sequence[str] = ()
) -> "subprocess.Popen[bytes]":
    """The program with ``main.lua``, in *directory*; what it writes goes to ``errors``, opened in *mode*."""
    with (directory / "errors").open(mode) as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "luamtev", *options, "-c", configuration, "main.lua"],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
        )
