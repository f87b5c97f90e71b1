"""Job queues: named sets of native threads for work that blocks.  Manual: The Eventer, Asynchronous Events.

A job belongs to a subqueue.  Subqueues that hold jobs take turns, so that a long one does not starve the others; within
one, jobs are taken oldest or newest first.  Threads start when there is work and nobody idle, up to the concurrency
wanted, and end when idle for a while, down to the floor.  What a job does, and where it reports, this file does not
know: see ``_asynch``.

An idle thread sleeps on a lock of its own, its bell.  Whoever brings work rings the bell of the thread that went idle
last, and hands it the job when no other waits: one wake-up a job, and the threads that went idle first are the ones
that end.
"""

import itertools
import threading
import time
import traceback
from collections import deque
from time import monotonic
from typing import Final

from runtime import log

from . import _settings
from ._errors import EventerError
from ._job import Job, of_thread
from ._thread import start_thread

_errors: Final = log.facility("error/eventer")

LINGER = 5.0
"""Seconds for which a thread above the floor waits for work before it ends."""

_FEW = 10
_SMOOTHING = 1.0 / _FEW  # weight of the newest job in the averages, once there were a few


class _Worker:
    """A thread of a queue: its bell, and the job it was handed when that rang, if any."""

    __slots__ = ("bell", "job")

    def __init__(self) -> None:
        self.bell = threading.Lock()
        self.bell.acquire()
        self.job: Job | None = None


class JobQueue:
    """A named queue of jobs and the threads that do them.  Made by :func:`jobq_create`; for use from any thread.

    Attributes: ``name``; ``shortname``, for its threads; ``lifo``; ``max_backlog``; ``safety``."""

    def __init__(self, name: str, concurrency: int, lifo: bool, safety: str = "gc") -> None:
        self.name = name
        self.shortname = name[:13]
        self.lifo = lifo
        self.safety = safety
        self.stopped = False
        self._gate = threading.Lock()
        self._subqueues: dict[int, deque[Job]] = {}  # only those that hold jobs
        self._turns: deque[int] = deque()  # the same, whose turn it is first
        self._idle: list[_Worker] = []
        self._desired = concurrency
        self.max_backlog = 0
        self._floor = self._min = self._max = 0
        self._threads = 0
        self._numbers = itertools.count(1)
        self._backlog = self._inflight = self._total = self._timeouts = self._begun = 0
        self._wait = self._run = 0.0  # averages, seconds
        self._slow = log.stream_find(f"debug/eventer/callbacks/jobq/{name}")

    def __repr__(self) -> str:
        return f"<JobQueue {self.name}>"

    # Jobs

    def enqueue(self, job: Job) -> None:
        """Put *job* in, whatever the backlog.  Raises :exc:`EventerError` when the queue has stopped."""
        self._put(job, 0)

    def try_enqueue(self, job: Job) -> bool:
        """Put *job* in unless the backlog is at its limit; returns whether it is in.

        Raises :exc:`EventerError` when the queue has stopped.  Manual: ``eventer_try_add_asynch``."""
        return self._put(job, self.max_backlog)

    def post(self) -> None:
        """Have an idle thread look for work.  Manual: ``eventer_jobq_post``."""
        with self._gate:
            worker = self._idle.pop() if self._idle else None
        if worker is not None:
            worker.bell.release()

    def _put(self, job: Job, limit: int) -> bool:
        worker = None
        grow = False
        with self._gate:
            if self.stopped:
                raise EventerError(f"job queue {self.name} has stopped and takes no jobs")
            if limit and self._backlog >= limit:
                return False
            self._total += 1
            job.waiting_since = monotonic()
            if self._idle and not self._turns and self._threads <= self._desired:  # nobody is before it
                worker = self._idle.pop()
                worker.job = job
                self._inflight += 1
                self._begun += 1
            else:
                self._backlog += 1
                waiting = self._subqueues.get(job.subqueue)
                if waiting is None:
                    waiting = self._subqueues[job.subqueue] = deque()
                    self._turns.append(job.subqueue)
                waiting.append(job)
                if self._idle:
                    worker = self._idle.pop()
                elif self._threads < self._desired:
                    self._threads += 1
                    grow = True
        if worker is not None:
            worker.bell.release()
        elif grow:
            try:
                self._start_thread()
            except EventerError:
                self._withdraw(job)
                raise
        return True

    def _withdraw(self, job: Job) -> None:
        with self._gate:
            waiting = self._subqueues.get(job.subqueue)
            if waiting is not None and job in waiting:
                waiting.remove(job)
                self._backlog -= 1
                self._total -= 1
                if not waiting:
                    del self._subqueues[job.subqueue]
                    self._turns.remove(job.subqueue)

    def _take(self) -> Job | None:
        """The next job; the gate is held."""
        if not self._turns:
            return None
        turn = self._turns.popleft()
        waiting = self._subqueues[turn]
        job = waiting.pop() if self.lifo else waiting.popleft()
        if waiting:
            self._turns.append(turn)
        else:
            del self._subqueues[turn]
        self._backlog -= 1
        return job

    # Threads

    def _start_thread(self) -> None:
        name = f"j:{self.shortname}/{next(self._numbers)}"
        try:
            start_thread(threading.Thread(target=self._serve, name=name, daemon=True))
        except RuntimeError as refused:  # out of threads: those there are do the work
            with self._gate:
                self._threads -= 1
                alone = not self._threads
            _errors.log(f"job queue {self.name}: no thread: {refused}\n")
            if alone:
                raise EventerError(f"job queue {self.name} has no thread: {refused}") from None

    def _serve(self) -> None:
        me = _Worker()
        wait = me.bell.acquire
        gate = self._gate
        while True:
            with gate:
                if self._threads > self._desired:
                    self._threads -= 1
                    return
                job = self._take()
                if job is None:
                    if self.stopped:
                        self._threads -= 1
                        return
                    self._idle.append(me)
                else:
                    self._inflight += 1
                    self._begun += 1
            if job is None:
                if not wait(True, LINGER):
                    with gate:
                        rung = me not in self._idle
                        if not rung:
                            self._idle.remove(me)
                            if self._threads > self._kept():
                                self._threads -= 1
                                return
                    if rung:
                        wait()
                job, me.job = me.job, None
            if job is not None:
                self._do(job)

    def _do(self, job: Job) -> None:
        began = monotonic()
        if job.deadline and time.time() >= job.deadline:
            job.timed_out = True
        of_thread.job = job
        try:
            job.work()
        except BaseException:  # SystemExit too: the thread belongs to the queue, not to the job
            self._failed(job)
        of_thread.job = None
        ran = monotonic() - began
        with self._gate:
            self._inflight -= 1
            weight = _SMOOTHING if self._begun > _FEW else 1.0 / self._begun
            self._wait += (began - job.waiting_since - self._wait) * weight
            if job.timed_out:
                self._timeouts += 1
            else:
                self._run += (ran - self._run) * weight
        if self._slow.writes and _settings.current.slow_job(ran):
            self._slow.log(f"callback {job.name()} took {ran * 1e3:.3f} ms\n")
        try:
            job.release()
        except BaseException:
            self._failed(job)

    def _failed(self, job: Job) -> None:
        _errors.log(f"job {job.name()} failed on {self.name}\n{traceback.format_exc()}")

    def _kept(self) -> int:
        return 0 if self.stopped else min(self._floor, self._desired)

    def _adjust(self) -> None:
        """Start threads that are wanted now and wake those that are not."""
        with self._gate:
            wanted = min(self._desired, max(self._kept(), self._threads - len(self._idle) + self._backlog))
            missing = max(0, wanted - self._threads)
            self._threads += missing
            workers, self._idle = self._idle, []
        for worker in workers:
            worker.bell.release()
        for _ in range(missing):
            self._start_thread()

    # Limits

    def set_concurrency(self, concurrency: int) -> None:
        """Want *concurrency* threads when there is work; brought within minimum and maximum.

        Threads too many end after their job.  Raises :exc:`EventerError` below 1."""
        if concurrency < 1:
            raise EventerError(f"job queue {self.name} needs a concurrency of at least 1, not {concurrency}")
        with self._gate:
            self._desired = self._bounded(concurrency)
        self._adjust()

    def set_min_max(self, least: int, most: int) -> None:
        """Bound the concurrency wanted; a *most* of 0 is no bound.

        Raises :exc:`EventerError` when they contradict each other."""
        if least < 0 or most < 0 or (most and least > most):
            raise EventerError(f"job queue {self.name}: a minimum of {least} and a maximum of {most} are no bounds")
        with self._gate:
            self._min, self._max = least, most
            self._desired = self._bounded(self._desired)
        self._adjust()

    def set_floor(self, floor: int) -> None:
        """Keep *floor* threads even without work; no more than the concurrency wanted.

        Raises :exc:`EventerError` below 0."""
        if floor < 0:
            raise EventerError(f"job queue {self.name}: {floor} is no number of threads")
        with self._gate:
            self._floor = floor
        self._adjust()

    def set_max_backlog(self, limit: int) -> None:
        """Refuse in :meth:`try_enqueue` what makes more than *limit* jobs wait; 0 for no limit.

        Raises :exc:`EventerError` below 0."""
        if limit < 0:
            raise EventerError(f"job queue {self.name}: {limit} is no number of jobs")
        self.max_backlog = limit

    def set_lifo(self, lifo: bool) -> None:
        """Take the newest job of a subqueue first, or the oldest."""
        self.lifo = lifo

    def set_shortname(self, name: str) -> None:
        """Name threads that start from now on after *name*, clipped to 13 characters."""
        self.shortname = name[:13]

    def _bounded(self, concurrency: int) -> int:
        return max(1, self._min, min(concurrency, self._max) if self._max else concurrency)

    def figures(self) -> dict[str, int | float]:
        """What ``/eventer/jobq.json`` shows of the queue; the averages weigh the last jobs most.

        ``concurrency`` is the one that is set, ``threads`` how many there are of them now."""
        with self._gate:
            return {
                "concurrency": self._desired,
                "desired_concurrency": self._desired,
                "min_concurrency": self._min,
                "max_concurrency": self._max,
                "threads": self._threads,
                "total_jobs": self._total,
                "backlog": self._backlog,
                "inflight": self._inflight,
                "timeouts": self._timeouts,
                "avg_wait_ms": round(self._wait * 1e3, 6),
                "avg_run_ms": round(self._run * 1e3, 6),
            }

    def stop(self, *, drop: bool = False) -> None:
        """Take no more jobs; those that wait are still done, or dropped.  Threads end; they are not waited for."""
        with self._gate:
            self.stopped = True
            if drop:
                self._subqueues.clear()
                self._turns.clear()
                self._backlog = 0
        self._adjust()
