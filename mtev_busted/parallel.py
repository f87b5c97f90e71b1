"""Runs spec files in worker processes and reports them, in their order, as if they had run in one.

The process that forks everybody stays what it is, a mere multiplexer: workers run files and write events and whatever
specs print into a pipe each; the reporter, another child, gets them in the order of the files and makes the output.  A
worker that dies costs its file's remaining tests, which is one error.  Knows events by their first letter only.

An event is a line behind a mark, which no spec can guess and print.  After a ``!`` it is for this process: "." (a file
is done), Z (all are), P (a problem), C (coverage), L (what runs now has that many seconds; 0: what runs has no limit).
"""

import contextlib
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, NoReturn

from mtev_busted.plan import Plan

GRACE = 2.0
"""Seconds a test may be silent beyond twice its limit before its worker counts as hung."""

GATHER = 0.002
"""Seconds in which what workers write is left to come together: a test writes at once, for its process may die."""

SERIAL = b"#serial"
EXIT_FAILURE = 2

Runner = Callable[[Plan], int]


@dataclass
class Job:
    """A file in a run."""

    run: int
    seed: int
    path: str
    serial: bool
    events: list[bytes] = field(default_factory=list)
    done: bool = False


@dataclass(eq=False)
class Worker:
    """A child that runs files, one at a time."""

    pid: int
    commands: IO[bytes]
    out: int
    err: int
    job: Job | None = None
    rest: bytes = b""
    heard: float = 0.0
    limit: float = 0.0
    began: float = 0.0
    verdict: str = ""
    open_ends: int = 2


def _field(text: bytes) -> bytes:
    return text.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\x1f", b"\\s").replace(b"\0", b"\\z")


def _beginning(mark: bytes, data: bytes) -> int:
    """How much of *mark* is at the end of *data*, which may go on."""
    return next((n for n in range(min(len(mark) - 1, len(data)), 0, -1) if data.endswith(mark[:n])), 0)


def _is_serial(path: str) -> bool:
    try:
        return SERIAL in Path(path).read_bytes()
    except OSError:
        return False


def seeds(plan: Plan) -> Iterator[int]:
    """The seed of each run."""
    seed = plan.seed
    for _ in range(plan.runs):
        yield seed
        if not plan.seed_given:
            seed = seed * 48271 % 2147483647 + 1


def _jobs(plan: Plan, files: Callable[[int], Sequence[str]]) -> list[Job]:
    serial = {path: _is_serial(path) for path in plan.files}
    return [Job(run, seed, path, serial[path]) for run, seed in enumerate(seeds(plan), 1) for path in files(seed)]


class Parallel:
    """One run of a plan in *count* workers.  *runner* runs a plan in the process that calls it."""

    def __init__(self, plan: Plan, count: int, runner: Runner, files: Callable[[int], Sequence[str]]) -> None:
        self.mark = f"\x01{os.urandom(4).hex()}\x02".encode()
        self.done = self.mark + b"!"
        self.plan = replace(plan, mark=self.mark.decode())
        self.runner = runner
        self.jobs = _jobs(plan, files)
        self.waiting = [each for each in self.jobs if not each.serial]
        self.alone = [each for each in self.jobs if each.serial]
        self.count = max(1, min(count, len(plan.files)))
        self.workers: list[Worker] = []
        self.selector = selectors.DefaultSelector()
        self.reported = 0  # jobs that were reported whole
        self.run_open = 0  # the run whose beginning was reported
        self.stopped = False

    # Children ---------------------------------------------------------------------------------------------------------

    def _fork(self, plan: Plan, out: int | None, err: int | None, unwanted: Sequence[int]) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._child(plan, out, err, unwanted)
        return pid

    def _child(self, plan: Plan, out: int | None, err: int | None, unwanted: Sequence[int]) -> NoReturn:
        status = EXIT_FAILURE
        try:
            for each in unwanted:
                with contextlib.suppress(OSError):
                    os.close(each)
            if out is not None and err is not None:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(out, 1)
                os.dup2(err, 2)
                os.close(out)
                os.close(err)
            status = self.runner(plan)
        finally:
            os._exit(status)

    def _start_reporter(self) -> None:
        read, write = os.pipe()
        plan = replace(self.plan, role="reporter", commands=read)
        self.reporter = self._fork(plan, None, None, [write])
        os.close(read)
        self.report = os.fdopen(write, "wb", buffering=65536)

    def _start_worker(self) -> Worker:
        command_read, command_write = os.pipe()
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        plan = replace(self.plan, role="worker", commands=command_read, progress=False)
        others = [fd for each in self.workers for fd in (each.commands.fileno(), each.out, each.err)]
        unwanted = [command_write, out_read, err_read, self.report.fileno(), *others]
        self.report.flush()
        pid = self._fork(plan, out_write, err_write, unwanted)
        for each in (command_read, out_write, err_write):
            os.close(each)
        worker = Worker(pid, os.fdopen(command_write, "wb", buffering=0), out_read, err_read, heard=time.monotonic())
        self.selector.register(out_read, selectors.EVENT_READ, (worker, self._read_out))
        self.selector.register(err_read, selectors.EVENT_READ, (worker, self._read_err))
        self.workers.append(worker)
        return worker

    # Work -------------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Run every job; the exit status is the reporter's."""
        self._start_reporter()
        try:
            self._assign()
            while self.workers:
                for key, _ in self.selector.select(self._until_next_limit()):
                    worker, read = key.data
                    read(worker)
                time.sleep(GATHER)
                self._kill_hung()
                self._assign()
            self._tell_all()
        except KeyboardInterrupt:
            self._end_all()
        except BrokenPipeError:  # the reporter is gone
            self._end_all()
        with contextlib.suppress(BrokenPipeError):
            self.report.close()
        _, status = os.waitpid(self.reporter, 0)
        return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else EXIT_FAILURE

    def _next_job(self) -> Job | None:
        if self.stopped:
            return None
        if self.waiting:
            return self.waiting.pop(0)
        if self.alone and not any(each.job for each in self.workers):
            return self.alone.pop(0)
        return None

    def _assign(self) -> None:
        wanted = len(self.waiting) + len(self.alone) if not self.stopped else 0
        while len(self.workers) < min(self.count, wanted + sum(1 for each in self.workers if each.job)):
            self._start_worker()
        for worker in self.workers:
            if worker.job or worker.commands.closed:
                continue
            job = self._next_job()
            if job is None:
                if self.stopped or not (self.waiting or self.alone):
                    worker.commands.close()
                continue
            worker.job, worker.began, worker.limit = job, time.monotonic(), 0.0
            with contextlib.suppress(BrokenPipeError):
                worker.commands.write(b"%d %d %s\n" % (job.run, job.seed, os.fsencode(job.path)))

    def _read_out(self, worker: Worker) -> None:
        chunk = os.read(worker.out, 65536)
        if not chunk:
            self._add(worker, worker.rest)
            self._closed(worker, worker.out)
            return
        worker.heard = time.monotonic()
        data = worker.rest + chunk
        whole = data.rfind(self.mark)
        if whole < 0 or b"\n" in data[whole:]:
            whole = len(data) - _beginning(self.mark, data)
        worker.rest, data = data[whole:], data[:whole]
        self._note_limit(worker, data)
        if self.plan.bail and (self.mark + b"Xerror" in data or self.mark + b"Xfailure" in data):
            self.stopped = True
        while (at := data.find(self.done)) >= 0:
            end = data.index(b"\n", at) + 1
            self._add(worker, data[:at])
            self._control(worker, data[at + len(self.done) : end - 1])
            data = data[end:]
        self._add(worker, data)

    def _read_err(self, worker: Worker) -> None:
        data = os.read(worker.err, 65536)
        if data:
            self._add(worker, self.mark + b"E" + _field(data) + b"\n")
        else:
            self._closed(worker, worker.err)

    def _note_limit(self, worker: Worker, data: bytes) -> None:
        start = data.rfind(self.done + b"L")
        if start >= 0:
            worker.limit = float(data[start + len(self.done) + 1 : data.index(b"\n", start)])

    def _control(self, worker: Worker, event: bytes) -> None:
        match event[:1]:
            case b".":
                self._finish(worker)
            case b"L":
                pass
            case b"Z":
                worker.verdict = "whole"
            case b"P":
                self.stopped = True
                worker.job, worker.verdict = None, "whole"
                self._send(event)
            case _:
                self._send(event)

    def _add(self, worker: Worker, data: bytes) -> None:
        """Take what a worker wrote: whole events, and text between them."""
        if not data:
            return
        data = data.replace(b"\0", self.mark + b"0\n")  # the reporter reads lines, which cannot have one
        if worker.job is None:
            self._write(data)
            return
        worker.job.events.append(data)
        if self.jobs[self.reported] is worker.job:
            self._tell_job(worker.job)

    def _finish(self, worker: Worker) -> None:
        if worker.job:
            worker.job.done = True
            worker.job = None
            self._tell_done()

    def _closed(self, worker: Worker, fd: int) -> None:
        self.selector.unregister(fd)
        os.close(fd)
        worker.open_ends -= 1
        if worker.open_ends:
            return
        _, status = os.waitpid(worker.pid, 0)
        worker.commands.close()
        self.workers.remove(worker)
        if worker.job:
            message = worker.verdict or _how_it_ended(status)
            fields = _field(os.fsencode(worker.job.path)) + b"\x1f" + _field(message.encode())
            worker.job.events.append(self.mark + b"K" + fields + b"\n")
            self._finish(worker)
        elif worker.verdict != "whole" and not self.stopped:
            self._send(b"P" + _field(_how_it_ended(status).encode()))

    # Limits -----------------------------------------------------------------------------------------------------------

    def _deadline(self, worker: Worker) -> float:
        ends = [float("inf")]
        if worker.job and worker.limit:
            ends.append(worker.heard + 2 * worker.limit + GRACE)
        if worker.job and self.plan.file_timeout:
            ends.append(worker.began + self.plan.file_timeout)
        return min(ends)

    def _until_next_limit(self) -> float | None:
        nearest = min(map(self._deadline, self.workers), default=float("inf"))
        return None if nearest == float("inf") else max(0.0, nearest - time.monotonic())

    def _kill_hung(self) -> None:
        for worker in self.workers:
            if not worker.verdict and time.monotonic() >= self._deadline(worker):
                worker.verdict = "timeout: the file did not go on, its process was killed"
                os.kill(worker.pid, signal.SIGKILL)

    def _end_all(self) -> None:
        for worker in self.workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
            os.waitpid(worker.pid, 0)

    # Reporting --------------------------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        """Report what belongs to no file."""
        if not self.run_open:
            self._open_run(1, self.plan.seed)
        self.report.write(data)

    def _send(self, event: bytes) -> None:
        self._write(self.mark + event + b"\n")

    def _open_run(self, run: int, seed: int) -> None:
        if self.run_open != run:
            self._close_run()
            self.run_open = run
            self._send(b"R%d\x1f%d" % (run, seed))

    def _close_run(self) -> None:
        if self.run_open:
            self._send(b"r%d" % self.run_open)

    def _tell_job(self, job: Job) -> None:
        if not job.events:
            return
        self._open_run(job.run, job.seed)
        self._write(b"".join(job.events))
        self.report.flush()
        job.events.clear()

    def _tell_done(self) -> None:
        """Report every job that is done and has none before it that is not, and what is known of the next one."""
        while self.reported < len(self.jobs):
            job = self.jobs[self.reported]
            self._tell_job(job)
            if not job.done:
                break
            self.reported += 1

    def _tell_all(self) -> None:
        """Report what is left, though jobs before it were never done, and the end."""
        for job in self.jobs[self.reported :]:
            self._tell_job(job)
        if not self.run_open:
            self._open_run(1, self.plan.seed)
        self._close_run()


def _how_it_ended(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"the process that ran this file was ended by signal {number} ({signal.strsignal(number)})"
    return f"the process that ran this file ended with status {os.waitstatus_to_exitcode(status)}"
