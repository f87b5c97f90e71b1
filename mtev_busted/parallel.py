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
from dataclasses import replace
from math import inf

from mtev_busted import leftovers
from mtev_busted.events import event
from mtev_busted.jobs import Job, Work, handed_out
from mtev_busted.plan import Plan
from mtev_busted.worker import CHUNK, EXIT_FAILURE, GRACE, NEVER_BEGAN, WHOLE, Runner, Worker, fork, how_it_ended, noted

GATHER = 0.002
"""Seconds in which what workers write is left to come together: a test writes at once, for its process may die."""

YOUNG = 0.001
"""Seconds of a file in which nothing is left to come together: it may be small, and its worker wait for the next."""

AT_MOST = 64
"""Reads of what is left in a pipe of a worker that has ended; who writes more than that is a program it left behind."""

DEAF = "the process that ran this file closed its standard output, by which it tells what happens, and was killed"


class Parallel:
    """A run of *plan*, of what is left of *work*, in *count* workers.

    *runner* runs a plan in the process that calls it."""

    def __init__(self, plan: Plan, work: Work, count: int, runner: Runner) -> None:
        self.mark = os.fsencode(plan.mark)
        self.plan = plan
        self.runner = runner
        self.work = work
        self.jobs = work.jobs
        self.count = max(1, min(count, len(plan.files)))
        left = [each for each in self.jobs if not each.done]
        self.waiting = handed_out([each for each in left if not each.serial], self.count)
        self.alone = [each for each in left if each.serial]
        self.workers: list[Worker] = []
        self.sessions: list[int] = []  # of workers that have ended
        self.reporter = 0
        self.selector = selectors.DefaultSelector()
        self.mine: set[int] = set()  # descriptors that no child may keep
        self.reported = 0  # jobs that were reported whole
        self.run_open = 0  # the run whose beginning was reported
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
        def prepare() -> None:
            os.setpgid(0, 0)  # what a terminal sends is not for it
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # it may write to it nevertheless

        self.reporter = fork(self.runner, replace(self.plan, role="reporter", commands=read), prepare, self.mine)
        os.close(read)

    def _start_worker(self) -> None:
        commands, told = self._pipe(read_is_mine=False)
        out, out_end = self._pipe(read_is_mine=True)
        err, err_end = self._pipe(read_is_mine=True)

        def prepare() -> None:
            os.setsid()  # by which that which it has started is known
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for place, end in enumerate((out_end, err_end), 1):
                os.dup2(end, place)
                os.close(end)

        plan = replace(self.plan, role="worker", commands=commands, progress=False, problems=[])
        self.report.flush()
        pid = fork(self.runner, plan, prepare, self.mine)
        for each in (commands, out_end, err_end):
            os.close(each)
        worker = Worker(pid, commands=os.fdopen(told, "wb", buffering=0), out=out, err=err, open={out, err})
        for each in (out, err):
            os.set_blocking(each, False)
            self.selector.register(each, selectors.EVENT_READ, worker)
        self.workers.append(worker)

    # Work -------------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Run every job; the exit status is the reporter's.

        INT and TERM end it: what ran until then is reported."""
        gc.freeze()  # what is there is the children's, too, as long as nobody touches it
        read, write = self._pipe(read_is_mine=False)
        self.report = os.fdopen(write, "wb", buffering=CHUNK)
        with noted(self._note) as signals:
            self.selector.register(signals, selectors.EVENT_READ)
            self.mine.add(signals)
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
            self.selector.close()
        leftovers.end(lambda: leftovers.of_sessions(self.sessions))
        return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else EXIT_FAILURE

    def _note(self, number: int) -> None:
        if not self.work.interrupted:
            self.work.interrupted = number
        elif not self.reporter:
            pass  # it has only begun
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
            worker.kill_hung(now, self.plan.file_timeout)
        self._assign()
        if not self.busy and all(now - each.began > YOUNG for each in self.workers):
            time.sleep(GATHER)

    def _interrupt(self) -> None:
        """Have the workers end if that was asked for: they end what runs, and do not begin anything."""
        if not self.work.interrupted or self.work.stopped:
            return
        self.work.stopped = True
        for worker in self.workers:
            worker.interrupt(signal.SIGTERM)

    def _next_job(self) -> Job | None:
        if self.work.stopped:
            return None
        if self.waiting:
            return self.waiting.pop(0)
        if self.alone and not any(each.job for each in self.workers):
            return self.alone.pop(0)
        return None

    def _assign(self) -> None:
        wanted = len(self.waiting) + len(self.alone) if not self.work.stopped else 0
        while len(self.workers) < min(self.count, wanted + sum(1 for each in self.workers if each.job)):
            self._start_worker()
        for worker in self.workers:
            if worker.commands.closed or worker.next:
                continue
            if worker.job is None:
                job = self._next_job()
                if job:
                    worker.tell(job)
                elif self.work.stopped or not (self.waiting or self.alone):
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
            self._add(worker, event(self.mark, "E", data))
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

    def _control(self, worker: Worker, told: bytes) -> None:
        match told[:1]:
            case b".":
                self._finish(worker)
                self.busy = True
            case b"L":
                worker.limit = float(told[1:])
            case b"C":
                self.work.counts.append(told[1:])
            case b"Z":
                worker.verdict = WHOLE
            case b"P":
                self.work.stopped = True
                worker.begin(None)
                worker.verdict = WHOLE
                self._write(self.mark + told + b"\n")

    def _add(self, worker: Worker, data: bytes) -> None:
        """Take what a worker wrote: whole events, and text between them."""
        if self.plan.bail and (self.mark + b"Xerror" in data or self.mark + b"Xfailure" in data):
            self.work.stopped = True
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
            worker.begin(None if self.work.interrupted else worker.next)  # then it skips what it was told
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
            leftovers.kill(leftovers.of_sessions([worker.pid]))
        self.sessions.append(worker.pid)
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
        if worker.next:
            self.waiting.insert(0, worker.next)
            worker.next = None
        if not worker.has_started and not worker.verdict:
            self._give_up(how_it_ended(status, NEVER_BEGAN))
        elif worker.job:
            message = worker.verdict or how_it_ended(status)
            worker.job.events.append(event(self.mark, "K", worker.job.path, message))
            self._finish(worker)
            self.work.stopped |= self.plan.bail
        elif worker.verdict != WHOLE and not self.work.stopped:
            self._write(event(self.mark, "P", worker.verdict or how_it_ended(status)))

    def _give_up(self, message: str) -> None:
        """Begin nothing more, for it would end likewise."""
        if not self.work.stopped:
            self._write(event(self.mark, "P", message))
        self.work.stopped = True

    def _kill_all(self) -> None:
        for worker in self.workers:
            worker.end(signal.SIGKILL)
            os.waitpid(worker.pid, 0)
            leftovers.kill(leftovers.of_sessions([worker.pid]))
        self.workers.clear()

    # Limits -----------------------------------------------------------------------------------------------------------

    def _until_next_limit(self) -> float | None:
        nearest = min((each.deadline(self.plan.file_timeout)[0] for each in self.workers), default=inf)
        return None if nearest == inf else max(0.0, nearest - time.monotonic())

    # Reporting --------------------------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        """Report what belongs to no file."""
        if not self.run_open:
            self._open_run(1, self.plan.seed)
        self.report.write(data)

    def _open_run(self, run: int, seed: int) -> None:
        if self.run_open != run:
            self._close_run()
            self.run_open = run
            self._write(event(self.mark, "R", str(run), str(seed)))

    def _close_run(self) -> None:
        if self.run_open:
            self._write(event(self.mark, "r", str(self.run_open)))

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
        if self.work.interrupted:
            missed = sum(1 for each in self.jobs if not each.done)
            name = signal.Signals(self.work.interrupted).name
            rest = f": {missed} of {len(self.jobs)} files were not run" if missed else ""
            self._write(event(self.mark, "P", f"interrupted ({name}){rest}"))
        self._close_run()
