"""A run in one process, which has the terminal, standard input and all else as users gave it, while another looks on.

Besides what it prints it tells what happens, as workers do, but into a file without a name.  When it comes to its end,
so does the run.  When it dies, or hangs in C beyond a limit, what happened until then is known, and left to whoever
reports it and runs the other files (:mod:`mtev_busted.parallel`).

An event for this process is "." (a file is done), Z (all are), C (coverage), L (what runs now has that many seconds; 0:
what runs has no limit).
"""

import os
import select
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from mtev_busted import leftovers
from mtev_busted.events import event
from mtev_busted.jobs import Work
from mtev_busted.plan import Plan
from mtev_busted.worker import (
    CHUNK,
    EXIT_FAILURE,
    INTERRUPTED,
    NEVER_BEGAN,
    WHOLE,
    Child,
    Runner,
    fork,
    how_it_ended,
    noted,
)

EVERY = 0.25
"""Seconds between two looks at what was told."""

LATE = 1.0
"""Seconds without a look, after which all were kept from going on: by the terminal (^Z), or by a machine that slept."""


def is_debugged() -> bool:
    """Whether a debugger has this process, and is to have the one that runs specs."""
    try:
        return "\nTracerPid:\t0\n" not in Path("/proc/self/status").read_text()
    except OSError:
        return False


class Single:
    """One run of *plan*, whose work is *work*.  *runner* runs a plan in the process that calls it."""

    def __init__(self, plan: Plan, work: Work, runner: Runner) -> None:
        self.journal = _file_without_a_name()
        self.plan = replace(plan, journal=self.journal)
        self.work = work
        self.runner = runner
        self.waiting = iter(work.jobs)
        self.heard = 0  # bytes of the journal
        self.in_a_hurry = False

    def run(self) -> int | None:
        """Run every job; the exit status, or None when the process died: the work has what happened."""
        others = leftovers.children()  # of the shell that this program took the place of
        with noted(self._note) as signals:
            self.child = Child(fork(self.runner, self.plan, lambda: None, [signals]))
            self.child.begin(next(self.waiting, None))
            leftovers.adopt()
            ended, looked = 0, time.monotonic()
            while not ended:
                if select.select([signals], [], [], EVERY)[0]:
                    os.read(signals, CHUNK)
                    self._interrupt()
                now = time.monotonic()
                self._hear()
                ended, status = os.waitpid(self.child.pid, os.WNOHANG)
                if not ended:
                    if now - looked > LATE or leftovers.is_stopped(self.child.pid):
                        self.child.wait_longer(now - looked)
                    self.child.kill_hung(now, self.plan.file_timeout)
                looked = now
            self._hear()
            leftovers.end(lambda: leftovers.orphans(others))
        os.close(self.journal)
        if self.child.verdict != WHOLE:
            return self._died(status)
        return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else EXIT_FAILURE

    def _note(self, number: int) -> None:
        self.in_a_hurry = bool(self.work.interrupted)
        self.work.interrupted = self.work.interrupted or number

    def _interrupt(self) -> None:
        """Have the process end, which may have had the signal itself; at once, when it was asked for twice."""
        if self.in_a_hurry:
            self.child.verdict = self.child.verdict or INTERRUPTED
            self.child.end(signal.SIGKILL)
        elif self.work.interrupted:
            self.child.interrupt(self.work.interrupted)

    def _hear(self) -> None:
        """Take what was told since the last time."""
        while data := os.pread(self.journal, CHUNK, self.heard):
            self.heard += len(data)
            for control, part in self.child.heard_of(data, os.fsencode(self.plan.mark)):
                if control:
                    self._control(part)
                elif self.child.job:
                    self.child.job.events.append(part)

    def _control(self, told: bytes) -> None:
        match told[:1]:
            case b"." if self.child.job:
                self.child.job.done = True
                self.child.begin(next(self.waiting, None))
            case b"L":
                self.child.limit = float(told[1:])
            case b"C":
                self.work.counts.append(told[1:])
            case b"Z":
                self.child.verdict = WHOLE

    def _died(self, status: int) -> int | None:
        mark, has_started = os.fsencode(self.plan.mark), self.child.has_started
        message = self.child.verdict or how_it_ended(status, "ran this file" if has_started else NEVER_BEGAN)
        self.work.stopped = bool(self.work.interrupted) or self.plan.bail or not has_started
        if self.child.job and has_started:
            self.child.job.events.append(event(mark, "K", self.child.job.path, message))
            self.child.job.done = True
        elif self.work.jobs:
            self.work.jobs[-1].events.append(event(mark, "P", message))
        else:
            sys.stderr.write(f"mtev-busted: {message}\n")
            return EXIT_FAILURE
        return None


def _file_without_a_name() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("events of specs")
    from tempfile import TemporaryFile

    with TemporaryFile() as file:
        return os.dup(file.fileno())
