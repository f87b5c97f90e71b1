"""Work of unknown length on a loop leaves room for everybody else: posted work, due timers, jobs that report."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pytest

from runtime import eventer
from runtime.eventer import READ, Event, Pool

MANY = 20


@pytest.fixture(autouse=True)
def short_turns(loops: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any piece of work uses up its turn, however fast the machine."""
    monkeypatch.setattr(eventer.settings(), "turn_budget", 1e-9)


@pytest.fixture
def arrival(loops: Pool) -> Iterator[Callable[[Callable[[], object]], Any]]:
    """Has a function called when a byte arrives, which :meth:`send` of what it returns sends."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    def watch(function: Callable[[], object]) -> socket.socket:
        def readable(_event: Event, _mask: int, _closure: object, _now: float) -> int:
            function()
            return 0

        event = eventer.alloc_fd(readable, None, ours.fileno(), READ)
        event.owner = loops.threads[0]
        eventer.add(event)
        return theirs

    with ours, theirs:
        yield watch
        eventer.stop()


def test_posted_work_lets_descriptors_in_between(loops: Pool, arrival: Any) -> None:
    order: Queue[object] = Queue()
    peer = arrival(lambda: order.put("byte"))

    def burst() -> None:
        peer.send(b"x")
        for number in range(MANY):
            loops.threads[0].post(order.put, number)

    loops.threads[0].post(burst)
    seen = [order.get(timeout=20) for _ in range(MANY + 1)]
    assert seen.index("byte") <= 2
    assert [each for each in seen if each != "byte"] == list(range(MANY))


def test_due_timers_let_descriptors_in_between_and_keep_their_order(loops: Pool, arrival: Any) -> None:
    order: Queue[object] = Queue()
    peer = arrival(lambda: order.put("byte"))

    def burst() -> None:
        peer.send(b"x")
        now = time.time()
        for number in range(MANY):
            eventer.add_at(lambda _e, _m, number, _n: order.put(number), number, now - MANY + number)
        eventer.add_in(lambda *_: order.put("prompt"), None, 0.0, prompt=True)

    loops.threads[0].post(burst)
    seen = [order.get(timeout=20) for _ in range(MANY + 2)]
    assert seen.index("byte") <= 3
    assert seen.index("prompt") <= 3
    assert [each for each in seen if isinstance(each, int)] == list(range(MANY))


def test_a_timer_that_waits_for_its_turn_can_be_removed(loops: Pool) -> None:
    order: Queue[object] = Queue()

    def burst() -> None:
        timers = [eventer.add_in(lambda _e, _m, number, _n: order.put(number), number, 0.0) for number in range(4)]
        eventer.add_in(lambda *_: [eventer.remove(each) for each in timers[2:]], None, 0.0, prompt=True)
        loops.threads[0].post(lambda: None)

    loops.threads[0].post(burst)
    assert order.get(timeout=20) in (0, 1)
    done: Queue[object] = Queue()
    loops.threads[0].post(lambda: eventer.add_in(lambda *_: done.put(True), None, 0.0))
    assert done.get(timeout=20)
    assert not [each for each in order.queue if each in (2, 3)]


def test_in_slices_goes_through_all_and_lets_others_in_between(loops: Pool) -> None:
    order: Queue[object] = Queue()

    def begin() -> None:
        eventer.in_slices(range(MANY), order.put)
        order.put("returned")

    loops.threads[0].post(begin)
    seen = [order.get(timeout=20) for _ in range(MANY + 1)]
    assert seen.index("returned") == 1
    assert [each for each in seen if each != "returned"] == list(range(MANY))


def test_in_slices_goes_on_after_a_failure(loops: Pool) -> None:
    order: Queue[object] = Queue()

    def work(number: int) -> None:
        if number == 1:
            raise ValueError("just this one")
        order.put(number)

    loops.threads[0].post(eventer.in_slices, range(3), work)
    assert [order.get(timeout=20) for _ in range(2)] == [0, 2]


def test_in_slices_finishes_when_the_loop_stops(loops: Pool) -> None:
    done: list[int] = []
    loops.threads[0].post(eventer.in_slices, range(MANY), done.append)
    eventer.stop()
    assert done == list(range(MANY))


def test_in_slices_off_the_loops_is_a_plain_loop() -> None:
    done: list[int] = []
    eventer.in_slices(range(MANY), done.append)
    assert done == list(range(MANY))


def test_jobs_that_report_let_others_in_between(loops: Pool) -> None:
    order: Queue[object] = Queue()
    worked = threading.Event()
    queue = eventer.jobq_create("reports", 1)

    def job(_event: Event, mask: int, number: Any, _now: float) -> int:
        if mask == eventer.ASYNCH:
            order.put(number)
            if number == 0:
                eventer.current().post(order.put, "posted")
        elif number == MANY - 1:
            worked.set()
        return 0

    def burst() -> None:
        for number in range(MANY):
            eventer.add_asynch(queue, eventer.alloc_asynch(job, number))
        assert worked.wait(20)

    loops.threads[0].post(burst)
    seen = [order.get(timeout=20) for _ in range(MANY + 1)]
    assert [each for each in seen if each != "posted"] == list(range(MANY))
    assert seen.index("posted") <= 2


def test_what_has_itself_run_soon_again_lets_descriptors_in_between(loops: Pool, arrival: Any) -> None:
    order: Queue[object] = Queue()
    thread = loops.threads[0]
    peer = arrival(lambda: order.put("byte"))

    def again(number: int) -> None:
        order.put(number)
        if number == 0:
            peer.send(b"x")
        if number + 1 < MANY:
            thread.soon(again, number + 1)

    thread.post(thread.soon, again, 0)
    seen = [order.get(timeout=20) for _ in range(MANY + 1)]
    assert seen.index("byte") <= 3
    assert [each for each in seen if each != "byte"] == list(range(MANY))
