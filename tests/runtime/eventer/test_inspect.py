"""Looking at a running system: descriptors, timers, names, events found by descriptor."""

import gc
import os
import socket
import threading
import time
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from runtime import eventer
from runtime.eventer import EXCEPTION, READ, Event, EventerError, Pool, _inspect

Seen = Queue[Any]


def ignore(*_: object) -> int:
    return READ


def watch(sock: Any, callback: Any = ignore, owner: eventer.LoopThread | None = None) -> Event:
    event = eventer.alloc_fd(callback, None, sock.fileno(), READ | EXCEPTION)
    event.owner = owner
    eventer.add(event)
    return event


def test_sockets_are_listed_with_names_masks_and_addresses(loops: Pool, opened: list[Any], tmp_path: Path) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listening.getsockname())
    accepted, _ = listening.accept()
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(tmp_path / "socket"))
    reader, writer = (open(fd, "rb" if first else "wb") for first, fd in zip((True, False), os.pipe(), strict=True))  # noqa: SIM115
    opened += [listening, client, accepted, bound, reader, writer]
    eventer.name_callback("test/watched", ignore)
    for number, each in enumerate((listening, accepted, bound, reader)):
        watch(each, owner=loops.threads[number % 2])
    rows = {row["fd"]: row for row in eventer.sockets()}
    port = listening.getsockname()[1]
    assert rows[listening.fileno()] == {
        "callback": "test/watched",
        "fd": listening.fileno(),
        "mask": READ | EXCEPTION,
        "impl": "POSIX",
        "eventer_pool": "default",
        "local": {"address": "127.0.0.1", "port": port},
        "remote": None,
    }
    assert rows[accepted.fileno()]["remote"] == {"address": "127.0.0.1", "port": client.getsockname()[1]}
    assert rows[bound.fileno()]["local"] == {"address": str(tmp_path / "socket"), "port": 0}
    assert rows[reader.fileno()]["local"] is rows[reader.fileno()]["remote"] is None
    assert len(rows) == 4


def test_timers_are_listed_earliest_first(loops: Pool) -> None:
    now = time.time()
    for delay in (900, 300, 600):
        eventer.add_at(ignore, None, now + delay)
    eventer.add_timer_next_opportunity(ignore, None, loops.threads[1])
    rows = eventer.timers()[-3:]
    assert [row["whence"] for row in rows] == [int((now + delay) * 1000) for delay in (300, 600, 900)]
    assert {row["eventer_pool"] for row in rows} == {"default"}


def test_on_a_loop_thread_rows_come_to_a_function_there(loops: Pool, seen: Seen) -> None:
    def ask() -> None:
        assert eventer.timers(lambda rows: seen.put((rows, eventer.current()))) == []
        try:
            eventer.timers()
        except EventerError as refused:
            seen.put(str(refused))

    eventer.add_in(ignore, None, 600)
    loops.threads[1].post(ask)
    assert "cannot wait" in seen.get(timeout=20)
    rows, where = seen.get(timeout=20)
    assert where is loops.threads[1]
    assert len([row for row in rows if row["callback"] == eventer.name_for_callback(ignore)]) == 1


def test_a_describer_says_what_a_callback_is_doing_with_an_event(loops: Pool, opened: list[Any]) -> None:
    ours, theirs = socket.socketpair()
    opened += [ours, theirs]

    def callback(*_: object) -> int:
        return READ

    eventer.name_callback("test/plain", callback, lambda event: f"plain({event.closure})")
    event = watch(ours, callback)
    assert [row["callback"] for row in eventer.sockets()] == ["plain(None)"]
    assert eventer.name_for_callback(callback) == "test/plain"
    assert "plain(None)" in repr(event)
    eventer.name_callback("test/plain", callback, lambda event: 1 // 0)  # type: ignore[arg-type, return-value]
    assert eventer.name_for_callback(callback, event).startswith("test/plain (not described: ZeroDivisionError")
    eventer.name_callback("test/plain", callback)
    assert eventer.name_for_callback(callback, event) == "test/plain"


def test_a_loop_that_is_stuck_is_left_out(loops: Pool, monkeypatch: pytest.MonkeyPatch, seen: Seen) -> None:
    monkeypatch.setattr(_inspect, "TIMEOUT", 0.05)
    for thread in loops.threads:
        event = eventer.alloc_timer(ignore, thread.index, time.time() + 600)
        eventer.set_owner(event, thread)
        eventer.add(event)
    eventer.name_callback("test/ignore", ignore, lambda event: str(event.closure))
    gate = threading.Event()
    loops.threads[1].post(gate.wait, 20)
    try:
        assert [row["callback"] for row in eventer.timers()] == ["0"]
        loops.threads[0].post(eventer.timers, seen.put)
        rows = seen.get(timeout=20)
        assert [row["callback"] for row in rows if row["callback"] in "01"] == ["0"]
    finally:
        gate.set()
        eventer.name_callback("test/ignore", ignore)


def test_without_loops_there_is_nothing_to_list() -> None:
    assert eventer.sockets() == []
    assert eventer.timers() == []


def test_many_events_are_described_in_slices(loops: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventer.settings(), "turn_budget", 1e-9)
    for _ in range(301):
        eventer.add_in(ignore, None, 600)
    assert len(eventer.timers()) == 301


def test_each_event_is_visited_on_its_own_thread(loops: Pool, opened: list[Any], seen: Seen) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    opened += [each for pair in pairs for each in pair]
    events = [watch(ours, owner=loops.threads[index]) for index, (ours, _) in enumerate(pairs)]
    timer = eventer.add_in(ignore, None, 600)
    eventer.foreach_fdevent(lambda event: seen.put((event, eventer.current())))
    assert dict(seen.get(timeout=20) for _ in range(2)) == dict(zip(events, loops.threads, strict=True))
    eventer.foreach_timedevent(seen.put)
    assert seen.get(timeout=20) is timer


def test_an_event_is_found_and_removed_by_its_descriptor(loops: Pool, opened: list[Any]) -> None:
    ours, theirs = socket.socketpair()
    opened += [ours, theirs]
    event = watch(ours)
    assert eventer.find_fd(ours.fileno()) is event
    assert eventer.find_fd(theirs.fileno()) is None
    assert eventer.remove_fd(ours.fileno()) is event
    assert eventer.remove_fd(ours.fileno()) is None
    assert eventer.find_fd(ours.fileno()) is None


def test_events_are_counted() -> None:
    gc.collect()  # what other tests left
    before = eventer.allocations()
    events = [eventer.alloc_timer(ignore, None, 0.0) for _ in range(10)]
    after = eventer.allocations()
    assert after["total"] - before["total"] == 10
    assert after["current"] - before["current"] == 10
    del events
    assert eventer.allocations()["current"] == before["current"]
