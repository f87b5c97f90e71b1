"""A process that runs spec files, as the one that forked it sees it: its pipes, what it is doing and until when.

What it writes is text of specs and, between that, events: a line behind a mark, which no spec can guess and print.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import IO

from mtev_busted.jobs import Job
from mtev_busted.plan import Plan

GRACE = 2.0
"""Seconds a test may be silent beyond twice its limit before its worker counts as hung."""

HUNG = "timeout: the file did not go on, its process was killed"

EXIT_FAILURE = 2
CHUNK = 65536

Runner = Callable[[Plan], int]
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)


def fork(runner: Runner, plan: Plan, unwanted: Collection[int], ends: tuple[int, int] | None = None) -> int:
    """Have a child run *plan*, without the descriptors *unwanted*; its number.

    What a terminal sends is for this process, not for it.  With *ends* it writes to these two, reads nothing, and leads
    a session, by which that which it has started is known."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a run tells that itself
            stream.flush()
    pid = os.fork()
    if pid:
        return pid
    status = EXIT_FAILURE
    try:
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        if ends is None:
            os.setpgid(0, 0)
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # it may write to a terminal nevertheless
        else:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for place, end in enumerate(ends, 1):
                os.dup2(end, place)
                os.close(end)
        for each in unwanted:
            with contextlib.suppress(OSError):
                os.close(each)
        status = runner(plan)
    finally:
        os._exit(status)


@dataclass(eq=False)
class Worker:
    """A child that runs files, one at a time."""

    pid: int
    commands: IO[bytes]
    out: int
    err: int
    job: Job | None = None
    next: Job | None = None  # what it was told to do after that
    rest: list[bytes] = field(default_factory=list)  # of what it wrote, an event that is not whole
    heard: float = field(default_factory=time.monotonic)
    limit: float = 0.0  # seconds that what runs now may take, 0: no limit
    began: float = 0.0
    last: tuple[float, str] = (inf, "")  # when it has to be gone, and why
    verdict: str = ""  # why it was killed, or that it has come to its end
    open: set[int] = field(default_factory=set)  # of out and err

    def tell(self, job: Job) -> None:
        """Have it do *job*, now or after what it does."""
        if self.job is None:
            self.begin(job)
        else:
            self.next = job
        with contextlib.suppress(BrokenPipeError):  # it is dead, which is seen soon
            self.commands.write(job.command)

    def begin(self, job: Job | None) -> None:
        """It does *job* from now on, or nothing."""
        self.job, self.began, self.limit = job, time.monotonic(), 0.0

    def deadline(self, file_timeout: float | None) -> tuple[float, str]:
        """When it counts as hung, and why."""
        ends = [self.last]
        if self.job and self.limit:
            ends.append((self.heard + 2 * self.limit + GRACE, HUNG))
        if self.job and file_timeout:
            ends.append((self.began + file_timeout, HUNG))
        return min(ends)

    def end(self, number: signal.Signals) -> None:
        """Send it a signal, as long as nobody has waited for it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill_left(self) -> None:
        """Kill what it has started and left; once it has ended."""
        for pid in session(self.pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def heard_of(self, chunk: bytes, mark: bytes) -> Iterator[tuple[bool, bytes]]:
        """What it wrote, in order: events for us (True, the event), and (False, what is to be reported)."""
        self.heard = time.monotonic()
        if len(b"".join(self.rest[:2])) >= len(mark) and b"\n" not in chunk:
            self.rest.append(chunk)  # of a long one
            return
        data = b"".join((*self.rest, chunk))
        whole = data.rfind(mark)
        if whole < 0 or data.find(b"\n", whole) >= 0:
            whole = len(data) - _beginning(mark, data)
        self.rest = [data[whole:]] if whole < len(data) else []
        for_us, at = mark + b"!", 0
        while (found := data.find(for_us, at, whole)) >= 0:
            if found > at:
                yield False, data[at:found]
            at = data.index(b"\n", found) + 1
            yield True, data[found + len(for_us) : at - 1]
        if at < whole:
            yield False, data[at:whole]


def _beginning(mark: bytes, data: bytes) -> int:
    """How much of *mark* is at the end of *data*, which may go on."""
    return next((n for n in range(min(len(mark) - 1, len(data)), 0, -1) if data.endswith(mark[:n])), 0)


def session(leader: int) -> list[int]:
    """The processes of the session that *leader* leads or led, as far as the system has them in ``/proc``."""
    found = []
    for each in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = each.read_bytes().rpartition(b")")[2].split()  # state, parent, group, session ...
            if int(fields[3]) == leader:
                found.append(int(each.parent.name))
    return found


def how_it_ended(status: int) -> str:
    """What the wait status *status* says of a worker."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"the process that ran this file was ended by signal {number} ({signal.strsignal(number)})"
    return f"the process that ran this file ended with status {os.waitstatus_to_exitcode(status)}"
