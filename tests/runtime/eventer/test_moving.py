"""Events taken, moved and fired by several threads at once: each runs once or is removed once, never both."""

import os
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest
from waiting import until

from runtime import eventer
from runtime.eventer import READ, TIMER, Event, EventerError, LoopThread, Pool

Seen = Queue[Any]


@pytest.fixture
def four() -> Iterator[list[LoopThread]]:
    pool = eventer.pool_create("default", 4)
    eventer.start()
    yield pool.threads
    eventer.stop()


def settled(threads: list[LoopThread]) -> None:
    """Everything posted to *threads* so far has run."""
    for thread in threads:
        done = threading.Event()
        thread.post(done.set)
        assert done.wait(60)


def stress(threads: list[LoopThread], total: int) -> None:
    """Drive *total* timers from four threads, then check that each was either fired or cancelled, once."""
    fired, cancelled = bytearray(total), bytearray(total)
    moves = [0] * 4

    def fire(_event: Event, mask: int, number: int, _now: float) -> None:
        assert mask == TIMER
        fired[number] += 1

    def drive(index: int) -> None:
        dice = random.Random(index)
        window: deque[Event] = deque()
        for number in range(index, total, 4):
            event = eventer.alloc_timer(fire, number, time.time() + dice.random() * 0.01)
            event.owner = dice.choice(threads)
            eventer.add(event)
            window.append(event)
            if len(window) > 64:
                window.popleft()
            chosen = dice.choice(window)
            what = dice.random()
            if what < 0.3:
                if eventer.remove(chosen) is chosen:
                    cancelled[chosen.closure] += 1  # type: ignore[index]
            elif what < 0.6:
                if eventer.remove(chosen):
                    eventer.set_owner(chosen, dice.choice(threads))
                    eventer.add(chosen)
                    moves[index] += 1
            elif what < 0.7:
                eventer.update_whence(chosen, time.time() + dice.random() * 0.005)

    drivers = [threading.Thread(target=drive, args=(index,)) for index in range(4)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()

    def is_empty() -> bool:
        settled(threads)
        return not any(thread.events for thread in threads)

    until(is_empty, lambda: "events are left")
    assert all(moves)
    wrong = [n for n in range(total) if fired[n] + cancelled[n] != 1]
    assert not wrong, f"{len(wrong)} events, such as {wrong[0]}: fired and cancelled other than once"
    assert 0 < sum(cancelled) < total


def test_timers_moved_and_cancelled_by_four_threads_run_once(four: list[LoopThread]) -> None:
    stress(four, 20_000)


@pytest.mark.soak
def test_a_million_timers_moved_and_cancelled_by_four_threads_run_once(four: list[LoopThread]) -> None:
    stress(four, 1_000_000)


def hop(four: list[LoopThread], hops: int) -> None:
    """Events that change threads at every byte, while others remove and add them, lose no byte."""
    pairs = [socket.socketpair() for _ in range(8)]
    busy = {ours: threading.Lock() for ours, _theirs in pairs}
    left = threading.Semaphore(0)
    doubled: list[str] = []
    dice = random.Random(1)

    def hopping(event: Event, _mask: int, closure: socket.socket, _now: float) -> int:
        if not busy[closure].acquire(blocking=False):
            doubled.append("two threads ran one event at once")
            return READ
        try:
            closure.recv(1)
        except BlockingIOError:
            return READ
        finally:
            busy[closure].release()
        left.release()
        eventer.set_owner(event, dice.choice(four))
        return READ

    events = []
    for ours, _theirs in pairs:
        ours.setblocking(False)
        event = eventer.alloc_fd(hopping, ours, ours.fileno(), READ)
        eventer.add(event)
        events.append(event)
    stopping = threading.Event()

    def disturb() -> None:
        mine = random.Random(2)
        while not stopping.is_set():
            event = mine.choice(events)
            if eventer.remove(event):
                settled(four)  # its descriptor is watched by nobody now
                eventer.set_owner(event, mine.choice(four))
                eventer.add(event)

    disturber = threading.Thread(target=disturb)
    disturber.start()
    for number in range(hops):
        pairs[number % len(pairs)][1].send(b"x")
        if number % 64 == 63:
            for _ in range(64):
                assert left.acquire(timeout=60), "a byte was lost"
    stopping.set()
    disturber.join()
    eventer.stop()
    assert not doubled
    for ours, theirs in pairs:
        ours.close()
        theirs.close()


def test_descriptors_that_change_threads_at_every_byte_lose_nothing(four: list[LoopThread]) -> None:
    hop(four, 64 * 40)


@pytest.mark.soak
def test_descriptors_that_change_threads_for_long_lose_nothing(four: list[LoopThread]) -> None:
    hop(four, 64 * 3000)


def test_an_event_removed_while_it_moves_is_on_no_loop(four: list[LoopThread], seen: Seen) -> None:
    reader, writer = os.pipe()
    gate = threading.Event()

    def callback(event: Event, _mask: int, _closure: object, _now: float) -> int:
        eventer.set_owner(event, four[1])
        seen.put("in callback")
        gate.wait(20)
        return READ

    event = eventer.alloc_fd(callback, None, reader, READ)
    event.owner = four[0]
    eventer.add(event)
    os.write(writer, b"x")
    assert seen.get(timeout=20) == "in callback"
    assert eventer.remove(event) is event
    assert eventer.remove(event) is None
    gate.set()
    settled(four)
    assert not event.active
    assert seen.empty()
    assert not any(thread.events for thread in four)
    os.close(reader)
    os.close(writer)


def test_a_timer_removed_elsewhere_does_not_run_even_when_it_is_due(four: list[LoopThread], seen: Seen) -> None:
    gate = threading.Event()
    four[0].post(gate.wait, 20)
    events = [eventer.alloc_timer(lambda e, m, c, n: seen.put(c), number, 0.0) for number in range(100)]
    for event in events:
        event.owner = four[0]
        eventer.add(event)
    for event in events[::2]:
        assert eventer.remove(event) is event
    gate.set()
    settled(four)
    assert [seen.get(timeout=20) for _ in range(50)] == list(range(1, 100, 2))
    settled(four)
    assert seen.empty()


def test_an_event_on_its_way_to_a_loop_counts_as_added(four: list[LoopThread]) -> None:
    gate = threading.Event()
    four[0].post(gate.wait, 20)
    event = eventer.alloc_timer(lambda *_: 0, None, time.time() + 600)
    event.owner = four[0]
    eventer.add(event)
    assert event.active
    with pytest.raises(EventerError, match="added already"):
        eventer.add(event)
    assert eventer.remove(event) is event
    assert not event.active
    gate.set()


def test_a_timer_can_be_given_another_time(four: list[LoopThread], seen: Seen) -> None:
    event = eventer.add_in(lambda e, m, c, n: seen.put("ran"), None, 600)
    assert eventer.update_whence(event, time.time())
    assert seen.get(timeout=20) == "ran"
    assert not eventer.update_whence(event, time.time())
    with pytest.raises(EventerError, match="is no timer"):
        eventer.update_whence(eventer.alloc_recurrent(lambda *_: 0, None), 0.0)


def test_a_trigger_goes_to_the_thread_that_has_the_event(four: list[LoopThread], seen: Seen) -> None:
    reader, writer = os.pipe()
    event = eventer.alloc_fd(lambda e, m, c, n: seen.put(eventer.current()) or READ, None, reader, READ)
    event.owner = four[2]
    eventer.add(event)
    eventer.set_owner(event, four[3])
    eventer.trigger(event, READ)
    assert seen.get(timeout=20) is four[2]
    eventer.trigger(event, READ)
    assert seen.get(timeout=20) is four[3]
    eventer.stop()
    os.close(reader)
    os.close(writer)


def test_a_copy_is_an_event_of_its_own(loops: Pool, seen: Seen) -> None:
    event = eventer.alloc_timer(lambda e, m, c, n: seen.put((e, c)), "closure", time.time())
    eventer.set_owner(event, loops.threads[1])
    copy = eventer.alloc_copy(event)
    assert copy.owner is loops.threads[1]
    eventer.add(copy)
    assert seen.get(timeout=20) == (copy, "closure")
    assert not event.active


def test_a_callback_can_ask_which_event_it_serves_and_since_when(loops: Pool, seen: Seen) -> None:
    event = eventer.add_in(lambda e, m, c, now: seen.put((eventer.this_event(), eventer.callback_time(), now)), None, 0)
    served, since, now = seen.get(timeout=20)
    assert served is event
    assert since == now
    loops.threads[0].post(lambda: seen.put(eventer.this_event()))
    assert seen.get(timeout=20) is None
    assert eventer.this_event() is None
    assert abs(eventer.callback_time() - time.time()) < 60


def test_a_wakeup_makes_the_loop_turn(loops: Pool, seen: Seen) -> None:
    event = eventer.alloc_recurrent(lambda e, m, c, n: seen.put("turn") or 1, None)
    event.owner = loops.threads[1]
    eventer.add(event)
    assert seen.get(timeout=20) == "turn"
    settled(loops.threads)
    while not seen.empty():
        seen.get()
    eventer.wakeup(loops.threads[1])
    assert seen.get(timeout=20) == "turn"
    eventer.remove(event)
