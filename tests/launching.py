"""The real program as a process, with ports that nobody listens on."""

import contextlib
import socket
import subprocess
import sys
from pathlib import Path


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    return free_ports(1, kind)[0]


def free_ports(count: int, kind: int = socket.SOCK_STREAM) -> list[int]:
    """Some that differ."""
    with contextlib.ExitStack() as held:
        made = [held.enter_context(socket.socket(socket.AF_INET, kind)) for _ in range(count)]
        for each in made:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in made]


def launch(directory: Path, configuration: str, mode: str = "ab") -> "subprocess.Popen[bytes]":
    """The program with ``main.lua``, in *directory*; what it writes goes to ``errors``, opened in *mode*."""
    with (directory / "errors").open(mode) as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "luamtev", "-c", configuration, "main.lua"],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
        )
