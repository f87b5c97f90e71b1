"""Programs that specs have started and that outlive them, and their end.

Whatever leads a session of its own has been told to stay, as services do that go into the background; all else ends
with the run.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path

GRACE = 1.0
"""Seconds that they have to end after TERM, and then after KILL, which those of another user are not told."""

PAUSE = 0.01
"""Seconds between two looks at whether they have."""

PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


def adopt() -> None:
    """Become the parent of what this process's children leave behind, where the system knows of that (Linux)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> list[int]:
    """The processes of which this one is the parent, without those that have ended, which are waited for."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return [pid for pid in _running() if _parent(pid) == os.getpid()]
    return []  # as is the case at both ends of most runs


def orphans(others: Collection[int]) -> list[int]:
    """The processes that were adopted, and belong to the session of this one; *others* were there before."""
    return [pid for pid in children() if pid not in others and _is_in(pid, [os.getsid(0)])]


def of_sessions(leaders: Collection[int]) -> list[int]:
    """The processes of the sessions that *leaders* lead or led."""
    return [pid for pid in _running() if _is_in(pid, leaders)]


def kill(pids: Iterable[int], number: signal.Signals = signal.SIGKILL) -> None:
    """Send them a signal, if they are still there."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def end(found: Callable[[], list[int]]) -> None:
    """End what *found* finds, by TERM, and after a while by KILL; so, too, what is found once its parent is gone."""
    began = time.monotonic()
    told: set[int] = set()
    while (pids := found()) and (waited := time.monotonic() - began) < 2 * GRACE:
        if waited < GRACE:
            kill(set(pids) - told, signal.SIGTERM)
            told.update(pids)
        else:
            kill(pids)
        time.sleep(PAUSE)


def _running() -> list[int]:
    if Path("/proc/self/stat").exists():
        return [int(each) for each in os.listdir("/proc") if each.isdecimal()]  # noqa: PTH208
    import subprocess

    listing = subprocess.run(["ps", "-A", "-o", "pid="], capture_output=True, check=False).stdout
    return [int(each) for each in listing.split()]


def _parent(pid: int) -> int:
    return int((_stat(pid) or [b"", b"0"])[1])


def is_stopped(pid: int) -> bool:
    """Whether a signal or a debugger keeps it from going on, where the system tells that (Linux)."""
    return _state(pid) in (b"T", b"t")


def _is_in(pid: int, sessions: Collection[int]) -> bool:
    with suppress(OSError):
        return os.getsid(pid) in sessions and _state(pid) != b"Z"  # which only waits for its parent to learn of its end
    return False


def _state(pid: int) -> bytes:
    """The letter of its state; nothing where there is none."""
    return next(iter(_stat(pid)), b"")


def _stat(pid: int) -> list[bytes]:
    """What proc(5) has in its stat behind the name."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return []
