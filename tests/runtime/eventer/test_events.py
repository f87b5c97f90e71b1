"""Events on descriptors, timers and every turn of the loop, and the rule of the returned mask."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import gevent
import pytest
from looping import on

from runtime import conf, eventer, log
from runtime.eventer import EXCEPTION, READ, RECURRENT, TIMER, WRITE, Event, EventerError, Pool

Seen = Queue[Any]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs
        eventer.stop()  # a descriptor is closed after its events are gone


def test_a_readable_descriptor_calls_back_with_read_and_the_closure(loops: Pool, pair: Any, seen: Seen) -> None:
    ours, theirs = pair

    def readable(event: Event, mask: int, closure: object, now: float) -> int:
        seen.put((mask, closure, ours.recv(100), eventer.current(), abs(now - time.time()) < 60))
        return READ

    event = eventer.alloc_fd(readable, "closure", ours.fileno(), READ | EXCEPTION)
    event.owner = loops.threads[1]
    eventer.add(event)
    theirs.send(b"one")
    assert seen.get(timeout=10) == (READ, "closure", b"one", loops.threads[1], True)
    theirs.send(b"two")
    assert seen.get(timeout=10)[2] == b"two"


def test_the_returned_mask_is_what_the_event_waits_for_next(loops: Pool, pair: Any, seen: Seen) -> None:
    ours, theirs = pair

    def ready(_event: Event, mask: int, _closure: object, _now: float) -> int:
        if mask & WRITE:
            seen.put(mask)
            return READ
        ours.recv(100)
        seen.put(mask)
        return 0

    event = eventer.alloc_fd(ready, None, ours.fileno(), WRITE)
    eventer.add(event)
    assert seen.get(timeout=10) == WRITE
    theirs.send(b"x")
    assert seen.get(timeout=10) == READ
    theirs.send(b"y")  # 0 was returned: nobody listens
    on(loops.threads[0], int)
    assert seen.empty()
    assert not event.active
    assert ours.recv(100) == b"y", "the descriptor is still open"


def test_a_peer_that_goes_away_is_activity(loops: Pool, pair: Any, seen: Seen) -> None:
    ours, theirs = pair
    eventer.add(eventer.alloc_fd(lambda e, m, c, n: seen.put((m, ours.recv(10))), None, ours.fileno(), READ))
    theirs.close()
    mask, data = seen.get(timeout=10)
    assert mask & READ
    assert data == b""


def test_a_timer_runs_once_not_before_its_time(loops: Pool, seen: Seen) -> None:
    event = eventer.add_in(lambda e, mask, closure, now: seen.put((mask, closure, now)), "c", 0.02)
    mask, closure, now = seen.get(timeout=10)
    assert (mask, closure) == (TIMER, "c")
    assert now >= event.whence - 0.001
    assert not event.active


def test_timers_run_in_order_of_whence(loops: Pool, seen: Seen) -> None:
    now = time.time()
    for delay in (0.03, 0.01, 0.02):
        eventer.add_at(lambda e, m, closure, n: seen.put(closure), delay, now + delay)
    assert [seen.get(timeout=10) for _ in range(3)] == [0.01, 0.02, 0.03]


def test_next_opportunity_runs_on_the_thread_asked_for(loops: Pool, seen: Seen) -> None:
    eventer.add_timer_next_opportunity(lambda *_: seen.put(eventer.current()), None, loops.threads[1])
    assert seen.get(timeout=10) is loops.threads[1]


def test_a_recurrent_event_runs_every_turn_until_it_returns_0(loops: Pool, seen: Seen) -> None:
    turns = 0

    def turn(_event: Event, mask: int, _closure: object, _now: float) -> int:
        nonlocal turns
        turns += 1
        seen.put(mask)
        return RECURRENT if turns < 3 else 0

    event = eventer.alloc_recurrent(turn, None)
    event.owner = loops.threads[0]
    eventer.add(event)
    while event.active or not turns:
        on(loops.threads[0], int)
    assert [seen.get(timeout=10) for _ in range(3)] == [RECURRENT] * 3
    assert seen.empty()


@pytest.mark.parametrize("kind", ["descriptor", "timer", "recurrent"])
def test_removing_from_another_thread_leaves_no_watcher_behind(loops: Pool, pair: Any, kind: str) -> None:
    thread = loops.threads[0]
    match kind:
        case "descriptor":
            event = eventer.alloc_fd(lambda *_: READ, None, pair[0].fileno(), READ)
        case "timer":
            event = eventer.alloc_timer(lambda *_: 0, None, time.time() + 1000)
        case _:
            event = eventer.alloc_recurrent(lambda *_: eventer.RECURRENT, None)
    event.owner = thread
    eventer.add(event)
    place = event.place
    assert place is not None
    assert on(thread, lambda: place.watcher.active)
    watcher = place.watcher
    assert eventer.remove(event) is event
    assert on(thread, lambda: (place.watcher, watcher.active, place.event)) == (None, False, None)


def test_a_removed_event_does_not_fire(loops: Pool, pair: Any, seen: Seen) -> None:
    ours, theirs = pair
    event = eventer.alloc_fd(lambda *_: seen.put("fired"), None, ours.fileno(), READ)
    eventer.add(event)
    assert eventer.remove(event) is event
    theirs.send(b"x")
    on(loops.threads[0], int)
    assert seen.empty()
    assert on(loops.threads[0], eventer.remove, event) is None


def test_an_event_can_move_to_another_thread_from_its_callback(loops: Pool, pair: Any, seen: Seen) -> None:
    ours, theirs = pair

    def hop(event: Event, _mask: int, _closure: object, _now: float) -> int:
        seen.put((eventer.current().index, ours.recv(1)))
        eventer.set_owner(event, eventer.choose_owner(eventer.current().index + 1))
        return READ

    event = eventer.alloc_fd(hop, None, ours.fileno(), READ)
    event.owner = loops.threads[0]
    eventer.add(event)
    for expected in ((0, b"a"), (1, b"b"), (0, b"c")):
        theirs.send(expected[1])
        assert seen.get(timeout=10) == expected


def test_a_failing_callback_is_logged_by_name_and_only_its_event_ends(
    loops: Pool, pair: Any, seen: Seen, tmp_path: Any
) -> None:
    def boom(_event: Event, _mask: int, _closure: object, _now: float) -> int:
        raise ValueError("the message")

    path = tmp_path / "log"
    log.error.add_outlet(log.new_stream("file", type="file", path=str(path)))
    eventer.name_callback("test/boom", boom)
    ours, theirs = pair
    event = eventer.alloc_fd(boom, None, ours.fileno(), READ)
    event.owner = loops.threads[0]
    eventer.add(event)
    theirs.send(b"x")
    while event.active or not path.read_text():
        on(loops.threads[0], int)
    text = path.read_text()
    assert "test/boom" in text
    assert "ValueError: the message" in text
    assert on(loops.threads[0], lambda: "alive") == "alive"


def test_trigger_runs_a_callback_as_if_the_descriptor_were_ready(loops: Pool, pair: Any, seen: Seen) -> None:
    ours, _theirs = pair
    event = eventer.alloc_fd(lambda e, mask, c, n: seen.put(mask), None, ours.fileno(), READ)
    eventer.trigger(event, READ | WRITE)
    assert seen.get(timeout=10) == READ | WRITE
    with pytest.raises(EventerError, match="cannot be triggered"):
        eventer.trigger(eventer.alloc_timer(lambda *_: 0, None, 0.0), READ)


def test_callbacks_cannot_block(loops: Pool) -> None:
    def block() -> str:
        try:
            gevent.sleep(0.01)
        except BaseException as refused:
            return type(refused).__name__
        return "slept"

    assert on(loops.threads[0], block) == "BlockingSwitchOutError"


def test_an_event_is_added_once(loops: Pool, pair: Any) -> None:
    ours, _theirs = pair

    def twice() -> str:
        event = eventer.alloc_fd(lambda *_: READ, None, ours.fileno(), READ)
        eventer.add(event)
        try:
            eventer.add(event)
        except EventerError as refused:
            return str(refused)
        finally:
            eventer.remove(event)
        return ""

    assert "added already" in on(loops.threads[0], twice)


@pytest.mark.parametrize("mask", [0, TIMER, RECURRENT, READ | TIMER, 0x1000])
def test_a_descriptor_takes_only_masks_of_activity(mask: int) -> None:
    with pytest.raises(EventerError, match="no mask of descriptor activity"):
        eventer.alloc_fd(lambda *_: 0, None, 0, mask)


def test_no_descriptor_is_refused() -> None:
    with pytest.raises(EventerError, match="-1 is no descriptor"):
        eventer.alloc_fd(lambda *_: 0, None, -1, READ)


def test_update_changes_what_an_event_waits_for(loops: Pool, pair: Any, seen: Seen) -> None:
    ours, _theirs = pair
    event = eventer.alloc_fd(lambda e, mask, c, n: seen.put(mask), None, ours.fileno(), READ)
    event.owner = loops.threads[0]
    eventer.add(event)
    on(loops.threads[0], eventer.update, event, WRITE)
    assert seen.get(timeout=10) == WRITE
    with pytest.raises(EventerError, match="not on a loop"):
        eventer.update(event, READ)


def test_a_callback_has_the_name_it_was_given_else_its_own() -> None:
    def callback(*_: object) -> int:
        return 0

    assert eventer.name_for_callback(callback).endswith("<locals>.callback")
    eventer.name_callback("test/named", callback)
    assert eventer.name_for_callback(callback) == "test/named"
    assert eventer.callback_for_name("test/named") is callback
    eventer.name_callback("test/renamed", callback)
    assert eventer.callback_for_name("test/named") is None
    assert eventer.callback_for_name("test/renamed") is callback


def test_many_descriptors_on_two_threads_lose_nothing(loops: Pool) -> None:
    total, pairs = 200, [socket.socketpair() for _ in range(50)]
    got: Seen = Queue()

    def echo(event: Event, _mask: int, closure: socket.socket, _now: float) -> int:
        try:
            data = closure.recv(4096)
        except BlockingIOError:
            return READ
        got.put(len(data))
        return READ

    for index, (ours, _theirs) in enumerate(pairs):
        ours.setblocking(False)
        event = eventer.alloc_fd(echo, ours, ours.fileno(), READ)
        eventer.set_owner(event, eventer.choose_owner(index))
        eventer.add(event)

    def send(sockets: list[socket.socket]) -> None:
        for _ in range(total):
            for each in sockets:
                each.send(b"x")

    senders = [threading.Thread(target=send, args=([theirs for _, theirs in pairs[i::2]],)) for i in range(2)]
    for sender in senders:
        sender.start()
    received = 0
    while received < total * len(pairs):
        received += got.get(timeout=20)
    for sender in senders:
        sender.join()
    assert received == total * len(pairs)
    eventer.stop()
    for ours, theirs in pairs:
        ours.close()
        theirs.close()


def test_stopping_leaves_no_threads_or_descriptors(pair: Any) -> None:
    def descriptors() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    before, threads = descriptors(), threading.active_count()
    for _ in range(3):
        eventer.pool_create("default", 3)
        eventer.start()
        eventer.add_in(lambda *_: 0, None, 600)
        eventer.add(eventer.alloc_fd(lambda *_: READ, None, pair[0].fileno(), READ))
        eventer.stop()
    assert threading.active_count() == threads
    assert descriptors() == before


@pytest.mark.parametrize("interval", ["0", "1"])
def test_a_recurrent_event_runs_every_turn_of_a_loop_that_has_nothing_else_to_do(interval: str) -> None:
    setting = f"<concurrency>1</concurrency><recurrent_interval>{interval}</recurrent_interval>"
    eventer.init(conf.loads(f"<app><eventer><config>{setting}</config></eventer></app>".encode()))
    eventer.start()
    often = threading.Event()
    turns = []

    def turn(*_: object) -> int:
        turns.append(eventer.current().loop.iteration)
        if len(turns) == 50:
            often.set()
        return 0 if often.is_set() else eventer.RECURRENT

    event = eventer.alloc_recurrent(turn, None)
    try:
        eventer.add(event)
        assert often.wait(20)
        assert turns == list(range(turns[0], turns[0] + 50)), "every turn, and once in each"
        thread = eventer.choose_owner(0)
        assert on(thread, lambda: thread._pace) is None, "without any the loop sleeps as before"
    finally:
        eventer.stop()


def test_the_loop_turns_of_its_own_accord_until_the_last_recurrent_event_is_gone(loops: Pool) -> None:
    thread = loops.threads[0]
    events = [eventer.alloc_recurrent(lambda *_: eventer.RECURRENT, None) for _ in range(3)]
    for each in events:
        each.owner = thread
        eventer.add(each)
    for each in events:
        assert on(thread, lambda: thread._pace) is not None
        eventer.remove(each)
    assert on(thread, lambda: thread._pace) is None
