"""Servers under the watchdog, as seen on the standard error that they share with their monitor."""

import os
import re
import subprocess
from pathlib import Path

import pytest


class Started:
    """Programs in a directory of the test's, which end with it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._processes: list[subprocess.Popen[str]] = []

    def run(self, *command: str, **environment: str) -> "subprocess.Popen[str]":
        """Start *command*, with *environment* beside that of the test but for what it has of the server's own."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith("MTEV_")}
        process = subprocess.Popen(
            command,
            cwd=self.directory,
            env=clean | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._processes.append(process)
        return process

    def close(self) -> None:
        for each in self._processes:
            if each.poll() is None:
                each.terminate()
            try:
                each.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                each.kill()
                each.communicate()


def line(process: "subprocess.Popen[str]", pattern: str) -> "re.Match[str]":
    """The next line of stderr that matches."""
    assert process.stderr is not None
    seen = []
    for text in process.stderr:
        seen.append(text)
        match = re.search(pattern, text)
        if match:
            return match
    pytest.fail(f"no line {pattern!r} in {''.join(seen)}")


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """The status of *process*, once it has ended, and what else it wrote; ``communicate`` would pass over what was read
    along with the line before."""
    assert process.stderr is not None
    rest = process.stderr.read()
    return process.wait(60), rest


def started(process: "subprocess.Popen[str]") -> int:
    """The id of the next server that says it started."""
    return int(line(process, r"^started (\d+)")[1])
