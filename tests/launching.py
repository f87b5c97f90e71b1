"""The real program as a process, with ports that nobody listens on."""

import contextlib
import random
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_dice: Final = random.SystemRandom()


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    return free_ports(1, kind)[0]


def free_ports(count: int, kind: int = socket.SOCK_STREAM) -> list[int]:
    """Some that differ, and that no system gives to those who do not ask for one: they stay free."""
    found: dict[int, socket.socket] = {}
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = _dice.randrange(10_000, 32_000)
            if port not in found:
                found[port] = held.enter_context(socket.socket(socket.AF_INET, kind))
                try:
                    found[port].bind(("127.0.0.1", port))
                except OSError:
                    del found[port]
        return list(found)


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
