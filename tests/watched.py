"""Servers under the watchdog, as seen on the standard error that they share with their monitor."""

import re
import subprocess

import pytest


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


def started(process: "subprocess.Popen[str]") -> int:
    """The id of the next server that says it started."""
    return int(line(process, r"^started (\d+)")[1])
