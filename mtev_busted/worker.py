"""A process that runs spec files, as the one that forked it sees it: what it is doing, what it tells and until when.

What it writes is text of specs and, between that, events (:mod:`mtev_busted.events`).
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from math import inf
from typing import IO

from mtev_busted.jobs import Job
from mtev_busted.plan import Plan

GRACE = 2.0
"""Seconds a test may be silent beyond twice its limit before its worker counts as hung."""

START = 60.0
"""Seconds that helpers and all else before the first file may take where the time of files is limited."""

HUNG = "timeout: the file did not go on, its process was killed"
WHOLE = "whole"
INTERRUPTED = "interrupted, and the process that ran this file was killed"

PATIENCE = 10.0
"""Seconds that it has to end what runs when the run is interrupted."""

EXIT_FAILURE = 2
CHUNK = 65536

Runner = Callable[[Plan], int]
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)


def fork(runner: Runner, plan: Plan, prepare: Callable[[], None], unwanted: Collection[int] = ()) -> int:
    """Have a child *prepare* itself and run *plan*, without the descriptors *unwanted*; its number."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a run tells that itself
            stream.flush()
    pid = os.fork()
    if pid:
        return pid
    status = EXIT_FAILURE
    try:
        wakes = signal.set_wakeup_fd(-1)
        if wakes >= 0:
            os.close(wakes)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        prepare()
        for each in unwanted:
            with contextlib.suppress(OSError):
                os.close(each)
        status = runner(plan)
    finally:
        os._exit(status)


@contextlib.contextmanager
def noted(note: Callable[[int], None]) -> Iterator[int]:
    """While the block runs, *note* is called with the number of INT and TERM.  Gives a descriptor that has something to
    read once these, or CHLD, have come."""

    def came(number: int, _frame: object) -> None:
        if number != signal.SIGCHLD:
            note(number)

    read, write = os.pipe()
    for each in (read, write):
        os.set_blocking(each, False)
    before = {each: signal.signal(each, came) for each in _SIGNALS}
    wakeup_before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    try:
        yield read
    finally:
        signal.set_wakeup_fd(wakeup_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(read)
        os.close(write)


@dataclass(eq=False)
class Child:
    """A child that runs files, one at a time, and tells of it."""

    pid: int
    job: Job | None = None
    rest: list[bytes] = field(default_factory=list)  # of what it wrote, an event that is not whole
    heard: float = field(default_factory=time.monotonic)
    has_started: bool = False  # its first file, or has told that it cannot
    limit: float = 0.0  # seconds that what runs now may take, 0: no limit
    began: float = 0.0
    last: tuple[float, str] = (inf, "")  # when it has to be gone, and why
    verdict: str = ""  # why it was killed, or that it has come to its end

    def begin(self, job: Job | None) -> None:
        """It does *job* from now on, or nothing."""
        self.job, self.began, self.limit = job, time.monotonic(), 0.0

    def deadline(self, file_timeout: float | None) -> tuple[float, str]:
        """When it counts as hung, and why."""
        ends = [self.last]
        if self.job and self.limit:
            ends.append((self.heard + 2 * self.limit + GRACE, HUNG))
        if self.job and file_timeout:
            ends.append((self.began + file_timeout + (0 if self.has_started else START), HUNG))
        return min(ends)

    def wait_longer(self, seconds: float) -> None:
        """It could not go on for *seconds*, which do not count as hanging."""
        self.began += seconds
        if self.heard:
            self.heard += seconds

    def end(self, number: int) -> None:
        """Send it a signal, as long as nobody has waited for it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def interrupt(self, number: int) -> None:
        """Have it end what runs, and begin nothing more."""
        self.end(number)
        self.last = time.monotonic() + PATIENCE, INTERRUPTED

    def kill_hung(self, now: float, file_timeout: float | None) -> None:
        """Kill it if it counts as hung.  *now*: when it was last asked whether something has come from it."""
        deadline, why = self.deadline(file_timeout)
        if deadline <= now and not self.verdict:
            self.verdict = why
            self.end(signal.SIGKILL)

    def heard_of(self, chunk: bytes, mark: bytes) -> Iterator[tuple[bool, bytes]]:
        """What it wrote, in order: events for us (True, the event), and (False, what is to be reported)."""
        self.heard = time.monotonic()
        if len(b"".join(self.rest[:2])) >= len(mark) and b"\n" not in chunk:
            self.rest.append(chunk)  # of a long one
            return
        data = b"".join((*self.rest, chunk))
        if not self.has_started and mark in data:
            self.has_started, self.began = True, self.heard
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


@dataclass(eq=False, kw_only=True)
class Worker(Child):
    """One that is told what to do, and writes into pipes."""

    commands: IO[bytes]
    out: int
    err: int
    next: Job | None = None  # what it was told to do after its job
    open: set[int] = field(default_factory=set)  # of out and err

    def tell(self, job: Job) -> None:
        """Have it do *job*, now or after what it does."""
        if self.job is None:
            self.begin(job)
        else:
            self.next = job
        with contextlib.suppress(BrokenPipeError):  # it is dead, which is seen soon
            self.commands.write(job.command)


def _beginning(mark: bytes, data: bytes) -> int:
    """How much of *mark* is at the end of *data*, which may go on."""
    return next((n for n in range(min(len(mark) - 1, len(data)), 0, -1) if data.endswith(mark[:n])), 0)


def how_it_ended(status: int, did: str = "ran this file") -> str:
    """What the wait status *status* says of a process that *did* something."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"the process that {did} was ended by signal {number} ({signal.strsignal(number)})"
    return f"the process that {did} ended with status {os.waitstatus_to_exitcode(status)}"


NEVER_BEGAN = "was to run files, before the first of them,"
"""What a process did that died so early, in a helper or in what ``-e`` runs: so will the next."""
