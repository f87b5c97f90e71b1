"""What events, wake-ups and jobs cost: ``python benchmarks/eventer.py [ROUNDS]``; rows beside plain gevent and threads.

A row is the best of three.  ``late`` rows are microseconds that a timer of 1 ms was late, the middle and the 99th of a
hundred; ``trips`` rows are one at a time, there and back, a second; ``stream`` rows keep a hundred under way.
"""

import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gevent
from gevent.threadpool import ThreadPool

from runtime import eventer, log

DEPTH = 100
"""Jobs under way in a ``stream`` row."""


def on_loop(function: Callable[[Callable[[], None]], object]) -> float:
    """Seconds until *function*, called on the first loop thread, called what it was given."""
    done = threading.Event()
    began = time.perf_counter()
    eventer.choose_owner(0).post(function, done.set)
    done.wait()
    return time.perf_counter() - began


def best(name: str, rounds: int, run: Callable[[], float]) -> None:
    """Print how many of *rounds* were done in a second at best."""
    print(f"{name:40} {rounds / min(run() for _ in range(3)):14,.0f}", flush=True)


def lateness(name: str, samples: list[float]) -> None:
    """Print the middle and the 99th of a hundred of *samples*, in microseconds."""
    ordered = sorted(samples)
    print(f"{name + ' late p50':40} {statistics.median(ordered) * 1e6:14,.0f}")
    print(f"{name + ' late p99':40} {ordered[int(len(ordered) * 0.99)] * 1e6:14,.0f}", flush=True)


# Timers


def timers_late(count: int) -> list[float]:
    """By how much timers of 1 ms were late, one after the other."""
    late: list[float] = []

    def begin(done: Callable[[], None]) -> None:
        def fire(event: eventer.Event, *_: object) -> None:
            late.append(time.time() - event.whence)
            if len(late) < count:
                eventer.add_in(fire, None, 0.001)
            else:
                done()

        eventer.add_in(fire, None, 0.001)

    on_loop(begin)
    return late


def gevent_late(count: int) -> list[float]:
    """The same of gevent.sleep."""
    late: list[float] = []

    def sleep() -> None:
        for _ in range(count):
            due = time.time() + 0.001
            gevent.sleep(0.001)
            late.append(time.time() - due)

    gevent.spawn(sleep).join()
    return late


def timers(count: int) -> float:
    """Seconds for *count* timers that are due at once, each made, run and gone."""

    def begin(done: Callable[[], None]) -> None:
        left = count

        def fire(*_: object) -> None:
            nonlocal left
            left -= 1
            if not left:
                done()

        now = time.time()
        for _ in range(count):
            eventer.add_at(fire, None, now)

    return on_loop(begin)


def gevent_timers(count: int) -> float:
    """The same with gevent.spawn_later."""
    began = time.perf_counter()
    gevent.joinall([gevent.spawn_later(0.0, int) for _ in range(count)])
    return time.perf_counter() - began


# Wake-ups


def wakeups(count: int) -> float:
    """Seconds for *count* trips from one loop thread to another and back."""
    here, there = eventer.choose_owner(0), eventer.choose_owner(1)

    def begin(done: Callable[[], None]) -> None:
        left = count

        def home() -> None:
            nonlocal left
            left -= 1
            if left:
                there.post(here.post, home)
            else:
                done()

        there.post(here.post, home)

    return on_loop(begin)


def gevent_wakeups(count: int) -> float:
    """The same between two hubs, by run_callback_threadsafe."""
    loops: list[Any] = []
    ready, done = threading.Barrier(3), threading.Event()
    left = count

    def hub() -> None:
        loops.append(gevent.get_hub().loop)
        ready.wait()
        while not done.is_set():
            gevent.sleep(0.05)

    threads = [threading.Thread(target=hub, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    ready.wait()
    here, there = loops

    def home() -> None:
        nonlocal left
        left -= 1
        if left:
            there.run_callback_threadsafe(here.run_callback_threadsafe, home)
        else:
            done.set()

    began = time.perf_counter()
    there.run_callback_threadsafe(here.run_callback_threadsafe, home)
    done.wait()
    elapsed = time.perf_counter() - began
    for thread in threads:
        thread.join()
    return elapsed


# Jobs


def under_way(count: int, depth: int, one: Callable[[Callable[[object], None]], object]) -> float:
    """Seconds for *count* jobs, *depth* under way: *one* starts one that calls what it is given, on the loop thread."""

    def begin(done: Callable[[], None]) -> None:
        started = left = count

        def start() -> None:
            nonlocal started
            if started:
                started -= 1
                one(back)

        def back(_outcome: object) -> None:
            nonlocal left
            left -= 1
            start()
            if not left:
                done()

        for _ in range(depth):
            start()

    return on_loop(begin)


def jobs(count: int, depth: int) -> float:
    """Seconds for *count* jobs from a loop thread and back, *depth* under way."""
    return under_way(count, depth, lambda back: eventer.simple_asynch(int, back=back))


def events(count: int, depth: int) -> float:
    """The same with asynchronous events: three callbacks each."""

    def begin(done: Callable[[], None]) -> None:
        left = count

        def callback(event: eventer.Event, mask: int, *_: object) -> None:
            nonlocal left
            if mask == eventer.ASYNCH:
                left -= 1
                if left >= depth:
                    eventer.add(event)
                elif not left:
                    done()

        for _ in range(depth):
            eventer.add(eventer.alloc_asynch(callback, None))

    return on_loop(begin)


def aco_jobs(count: int, depth: int) -> float:
    """The same with aco that wait for their jobs."""

    def begin(done: Callable[[], None]) -> None:
        left = count

        def run() -> None:
            nonlocal left
            for _ in range(count // depth):
                eventer.aco_simple_asynch(int)
                left -= 1
            if not left:
                done()

        for _ in range(depth):
            eventer.aco_start(run)

    return on_loop(begin)


def gevent_jobs(count: int, depth: int) -> float:
    """The same with greenlets and gevent's thread pool of ten."""
    pool = ThreadPool(10)

    def run() -> None:
        for _ in range(count // depth):
            pool.apply(int)

    began = time.perf_counter()
    gevent.joinall([gevent.spawn(run) for _ in range(depth)])
    elapsed = time.perf_counter() - began
    pool.kill()
    return elapsed


def executor_jobs(count: int, depth: int) -> float:
    """The same with a ThreadPoolExecutor of ten, whose results come back to a loop thread."""
    here = eventer.choose_owner(0)
    with ThreadPoolExecutor(10) as pool:

        def one(back: Callable[[object], None]) -> None:
            pool.submit(int).add_done_callback(lambda future: here.post(back, future.result()))

        return under_way(count, depth, one)


def main() -> None:
    """Print every row."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    log.init()
    eventer.pool_create("default", 2)
    eventer.start()
    lateness("timer", timers_late(1000))
    lateness("gevent sleep", gevent_late(1000))
    best("timers/s", rounds, lambda: timers(rounds))
    best("gevent spawn_later/s", rounds, lambda: gevent_timers(rounds))
    best("wake-up trips/s", rounds, lambda: wakeups(rounds))
    best("gevent wake-up trips/s", rounds, lambda: gevent_wakeups(rounds))
    for depth, kind in ((1, "trips/s"), (DEPTH, "stream/s")):
        best(f"job {kind}", rounds, lambda depth=depth: jobs(rounds, depth))
        best(f"asynch event {kind}", rounds, lambda depth=depth: events(rounds, depth))
        best(f"aco job {kind}", rounds, lambda depth=depth: aco_jobs(rounds, depth))
        best(f"gevent thread pool {kind}", rounds, lambda depth=depth: gevent_jobs(rounds, depth))
        best(f"ThreadPoolExecutor {kind}", rounds, lambda depth=depth: executor_jobs(rounds, depth))
    eventer.stop()


if __name__ == "__main__":
    main()
