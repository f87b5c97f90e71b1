"""Who listens to trace points, for tests."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from waiting import until

from runtime import trace


@contextmanager
def heard(*names: str) -> Iterator[list[tuple[Any, ...]]]:
    """What is told at the points *names* meanwhile: the name, then the values."""
    told: list[tuple[Any, ...]] = []
    ends = [trace.subscribe(name, lambda *values, name=name: told.append((name, *values))) for name in names]
    try:
        yield told
    finally:
        for end in ends:
            end()


def wait_for(told: list[tuple[Any, ...]], wanted: Callable[[tuple[Any, ...]], bool]) -> tuple[Any, ...]:
    """The first that is *wanted*; waits for it."""
    (first, *_) = until(lambda: [each for each in list(told) if wanted(each)], lambda: told)
    return first


def tracer() -> str:
    """The path of bpftrace; skips the test where there is none, or the machine lets it load no probe."""
    path, why = _tracer()
    if why:
        pytest.skip(why)
    return path


@cache
def _tracer() -> tuple[str, str]:
    path = shutil.which("bpftrace")
    if path is None:
        return "", "bpftrace is not here"
    probe = f"uprobe:{os.path.realpath(sys.executable)}:Py_BytesMain {{ }} BEGIN {{ exit(); }}"
    tried = subprocess.run([path, "-e", probe], capture_output=True, text=True, timeout=120, check=False)
    if tried.returncode or "Attaching" not in tried.stdout:
        return path, f"this machine loads no probes: {tried.stdout} {tried.stderr}"
    return path, ""
