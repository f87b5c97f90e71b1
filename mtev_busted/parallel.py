"""Runs spec files in worker processes and reports them, in their order, as if they had run in one.

The process that forks everybody stays what it is, a mere multiplexer: workers run files and write events and whatever
specs print into a pipe each; the reporter, another child, gets them in the order of the files and makes the output.  A
worker that dies costs its file's remaining tests, which is one error.  Knows events by their first letter only.

An event for this process is "." (a file is done), Z (all are), P (a problem), C (coverage), L (what runs now has that
many seconds; 0: what runs has no limit).
"""

import contextlib
import gc
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import inf

from mtev_busted import jobs
from mtev_busted.jobs import Job
from mtev_busted.plan import Plan
from mtev_busted.worker import CHUNK, EXIT_FAILURE, GRACE, Runner, Worker, fork, how_it_ended

GATHER = 0.002
"""Seconds in which what workers write is left to come together: a test writes at once, for its process may die."""

YOUNG = 0.001
"""Seconds of a file in which nothing is left to come together: it may be small, and its worker wait for the next."""

AT_MOST = 64
"""Reads of what is left in a pipe of a worker that has ended; who writes more than that is a program it left behind."""

PATIENCE = 10.0
"""Seconds that workers have to end what runs when the run is interrupted."""

WHOLE = "whole"
INTERRUPTED = "interrupted, and the process that ran this file was killed"
DEAF = "the process that ran this file closed its standard output, by which it tells what happens, and was killed"


def _field(text: bytes) -> bytes:
    return text.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\x1f", b"\\s").replace(b"\0", b"\\z")


class Parallel:
    """One run of a plan in *count* workers.  *runner* runs a plan in the process that calls it."""

    def __init__(self, plan: Plan, count: int, runner: Runner, files: Callable[[int], Sequence[str]]) -> None:
        self.mark = f"\x01{os.urandom(4).hex()}\x02".encode()
        self.plan = replace(plan, mark=self.mark.decode())
        self.runner = runner
        self.jobs = jobs.jobs(plan, files)
        self.count = max(1, min(count, len(plan.files)))
        self.waiting = jobs.handed_out([each for each in self.jobs if not each.serial], self.count)
        self.alone = [each for each in self.jobs if each.serial]
        self.workers: list[Worker] = []
        self.selector = selectors.DefaultSelector()
        self.mine: set[int] = set()  # descriptors that no child may keep
        self.reported = 0  # jobs that were reported whole
        self.run_open = 0  # the run whose beginning was reported
        self.stopped = False
        self.interrupted = 0  # by which signal
        self.busy = False  # whether there is more to do at once

    # Children ---------------------------------------------------------------------------------------------------------

    def _pipe(self, read_is_mine: bool) -> tuple[int, int]:
        ends = os.pipe()
        self.mine.add(ends[0 if read_is_mine else 1])
        return ends

    def _close(self, descriptor: int) -> None:
        self.mine.discard(descriptor)
        os.close(descriptor)

    def _start_reporter(self, read: int) -> None:
        self.reporter = fork(self.runner, replace(self.plan, role="reporter", commands=read), self.mine)
        os.close(read)

    def _start_worker(self) -> None:
        commands, told = self._pipe(read_is_mine=False)
        out, out_end = self._pipe(read_is_mine=True)
        err, err_end = self._pipe(read_is_mine=True)
        plan = replace(self.plan, role="worker", commands=commands, progress=False)
        self.report.flush()
        pid = fork(self.runner, plan, self.mine, (out_end, err_end))
        for each in (commands, out_end, err_end):
            os.close(each)
        worker = Worker(pid, os.fdopen(told, "wb", buffering=0), out, err, open={out, err})
        for each in (out, err):
            os.set_blocking(each, False)
            self.selector.register(each, selectors.EVENT_READ, worker)
        self.workers.append(worker)

    # Work -------------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Run every job; the exit status is the reporter's.

        INT and TERM end it: what ran until then is reported, then KeyboardInterrupt is raised."""
        gc.freeze()  # what is there is the children's, too, as long as nobody touches it
        read, write = self._pipe(read_is_mine=False)
        self.report = os.fdopen(write, "wb", buffering=CHUNK)
        with self._signals() as signals:
            try:
                try:
                    self._assign()
                    self._start_reporter(read)
                    while self.workers:
                        self._turn(signals)
                except KeyboardInterrupt:
                    self._kill_all()
                self._tell_all()
                self.report.close()
            except BrokenPipeError:  # the reporter is gone
                self._kill_all()
                with contextlib.suppress(BrokenPipeError):
                    self.report.close()
            _, status = os.waitpid(self.reporter, 0)
        if self.interrupted:
            raise KeyboardInterrupt
        return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else EXIT_FAILURE

    @contextlib.contextmanager
    def _signals(self) -> Iterator[int]:
        """Has signals wake who selects: gives what is readable then."""
        read, write = self._pipe(read_is_mine=True)
        self.mine.add(write)
        for end in (read, write):
            os.set_blocking(end, False)
        before = {each: signal.signal(each, self._note) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)}
        wakeup_before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self.selector.register(read, selectors.EVENT_READ)
        try:
            yield read
        finally:
            signal.set_wakeup_fd(wakeup_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            self.selector.close()
            self._close(read)
            self._close(write)

    def _note(self, number: int, _frame: object) -> None:
        if number == signal.SIGCHLD:
            return
        if not self.interrupted:
            self.interrupted = number
        elif self.workers:
            raise KeyboardInterrupt
        else:
            os.kill(self.reporter, signal.SIGKILL)

    def _turn(self, signals: int) -> None:
        """Take what has come, once something has."""
        ready = self.selector.select(self._until_next_limit())
        now, self.busy = time.monotonic(), False
        for key, _ in ready:
            if key.fd == signals:
                os.read(signals, CHUNK)
                self._interrupt()
                self._reap()
            elif key.fd in key.data.open:
                self._read(key.data, key.fd)
        for worker in self.workers:
            self._kill_hung(worker, now)
        self._assign()
        if not self.busy and all(now - each.began > YOUNG for each in self.workers):
            time.sleep(GATHER)

    def _interrupt(self) -> None:
        """Have the workers end if that was asked for: they end what runs, and do not begin anything."""
        if not self.interrupted or self.stopped:
            return
        self.stopped = True
        for worker in self.workers:
            worker.end(signal.SIGTERM)
            worker.last = time.monotonic() + PATIENCE, INTERRUPTED

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
            if worker.commands.closed or worker.next:
                continue
            if worker.job is None:
                job = self._next_job()
                if job:
                    worker.tell(job)
                elif self.stopped or not (self.waiting or self.alone):
                    self._dismiss(worker)
            elif len(self.waiting) > self.count and not self.plan.bail:
                worker.tell(self.waiting.pop(0))  # while there is enough for all, nobody shall wait to be told

    def _dismiss(self, worker: Worker) -> None:
        """Tell it that there is nothing more to do."""
        if not worker.commands.closed:
            self.mine.discard(worker.commands.fileno())
            worker.commands.close()

    def _read(self, worker: Worker, descriptor: int) -> int:
        """Take what came from a worker; how many bytes that was."""
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return 0
        if not data:
            self._shut(worker, descriptor)
        elif descriptor == worker.err:
            self._add(worker, self.mark + b"E" + _field(data) + b"\n")
        else:
            for control, part in worker.heard_of(data, self.mark):
                if control:
                    self._control(worker, part)
                else:
                    self._add(worker, part)
        self.busy |= len(data) in (0, CHUNK)
        return len(data)

    def _shut(self, worker: Worker, descriptor: int) -> None:
        worker.open.discard(descriptor)
        self.selector.unregister(descriptor)
        self._close(descriptor)
        if descriptor == worker.out and not worker.verdict:
            worker.last = time.monotonic() + GRACE, DEAF

    def _control(self, worker: Worker, event: bytes) -> None:
        match event[:1]:
            case b".":
                self._finish(worker)
                self.busy = True
            case b"L":
                worker.limit = float(event[1:])
            case b"Z":
                worker.verdict = WHOLE
            case b"P":
                self.stopped = True
                worker.begin(None)
                worker.verdict = WHOLE
                self._send(event)
            case _:
                self._send(event)

    def _add(self, worker: Worker, data: bytes) -> None:
        """Take what a worker wrote: whole events, and text between them."""
        if self.plan.bail and (self.mark + b"Xerror" in data or self.mark + b"Xfailure" in data):
            self.stopped = True
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
            worker.begin(None if self.interrupted else worker.next)  # then it skips what it was told
            worker.next = None
            self._tell_done()

    # Ends -------------------------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        """Take leave of the workers that have ended.  Programs that they started may hold on to their pipes."""
        for worker in list(self.workers):
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                self._ended(worker, status)

    def _ended(self, worker: Worker, status: int) -> None:
        if worker.verdict != WHOLE:
            worker.kill_left()
        for descriptor in (worker.out, worker.err):
            for _ in range(AT_MOST):
                if descriptor not in worker.open or not self._read(worker, descriptor):
                    break
            if descriptor in worker.open:
                self._shut(worker, descriptor)
        self._add(worker, b"".join(worker.rest))
        self._dismiss(worker)
        self.workers.remove(worker)
        self.busy = True
        message = worker.verdict or how_it_ended(status)
        if worker.next:
            self.waiting.insert(0, worker.next)
            worker.next = None
        if worker.job:
            path = _field(os.fsencode(worker.job.path))
            worker.job.events.append(self.mark + b"K" + path + b"\x1f" + _field(message.encode()) + b"\n")
            self._finish(worker)
        elif worker.verdict != WHOLE and not self.stopped:
            self._send(b"P" + _field(message.encode()))

    def _kill_all(self) -> None:
        for worker in self.workers:
            worker.end(signal.SIGKILL)
            os.waitpid(worker.pid, 0)
            worker.kill_left()
        self.workers.clear()

    # Limits -----------------------------------------------------------------------------------------------------------

    def _until_next_limit(self) -> float | None:
        nearest = min((each.deadline(self.plan.file_timeout)[0] for each in self.workers), default=inf)
        return None if nearest == inf else max(0.0, nearest - time.monotonic())

    def _kill_hung(self, worker: Worker, now: float) -> None:
        """*now*: when it was last asked whether something has come from it."""
        deadline, why = worker.deadline(self.plan.file_timeout)
        if deadline <= now and not worker.verdict:
            worker.verdict = why
            worker.end(signal.SIGKILL)

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
        if self.interrupted:
            missed = sum(1 for each in self.jobs if not each.done)
            name = signal.Signals(self.interrupted).name
            rest = f": {missed} of {len(self.jobs)} files were not run" if missed else ""
            self._send(b"P" + f"interrupted ({name}){rest}".encode())
        self._close_run()
