"""Trace points of events: callbacks, and operations on descriptors with their results.  Manual: DTrace, Eventer."""

import os
import socket
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest
from tracing import heard, wait_for

from runtime import eventer
from runtime.eventer import EXCEPTION, READ, WRITE, Event, Pool

OF_CALLS = ("eventer-callback-entry", "eventer-callback-return")


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two that are connected, none of which blocks."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


def test_a_callback_is_told_of_around_it(loops: Pool) -> None:
    done: Queue[float] = Queue()

    def callback(_event: Event, _mask: int, closure: str, now: float) -> int:
        done.put(now)
        return 0

    eventer.name_callback("mine", callback)
    with heard(*OF_CALLS) as told:
        event = eventer.add_in(callback, "closure", 0)
        done.get(timeout=20)
        returned = wait_for(told, lambda each: each[0] == OF_CALLS[1] and each[1] is event)
    assert (OF_CALLS[0], event, callback, "mine", -1, eventer.TIMER, eventer.TIMER) in told
    assert returned == (OF_CALLS[1], event, callback, "mine", 0)


def test_a_callback_that_raises_returns_too(loops: Pool) -> None:
    def fails(*_: Any) -> int:
        raise KeyError

    with heard(*OF_CALLS) as told:
        event = eventer.add_in(fails, None, 0)
        assert wait_for(told, lambda each: each[0] == OF_CALLS[1] and each[1] is event)[-1] == 0


def test_a_descriptor_s_callback_tells_its_masks(loops: Pool, ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends

    def reads(event: Event, _mask: int, _closure: object, _now: float) -> int:
        return READ if event.callback is reads and ours.recv(1) == b"x" else 0

    with heard(*OF_CALLS) as told:
        event = eventer.alloc_fd(reads, None, ours.fileno(), READ | EXCEPTION)
        eventer.add(event)
        theirs.sendall(b"x.")
        wait_for(told, lambda each: each[0] == OF_CALLS[1] and each[1] is event and each[-1] == 0)
    mine = [each[3:] for each in told if each[1] is event]
    assert mine[0][1:] == (ours.fileno(), READ | EXCEPTION, READ)
    assert mine[1][1:] == (READ,)


def test_reading_and_writing_tell_bytes_counts_and_masks(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    fd = ours.fileno()
    event = eventer.alloc_fd(lambda *_: 0, "closure", fd, READ)
    with heard("eventer-read-entry", "eventer-read-return", "eventer-write-entry", "eventer-write-return") as told:
        assert eventer.read(event, 100) == READ | EXCEPTION
        theirs.sendall(b"hello")
        assert eventer.read(event, 100) == b"hello"
        assert eventer.write(event, b"goodbye") == (7,)
        assert theirs.recv(100) == b"goodbye"
        theirs.close()
        assert eventer.read(event, 100) == b""
        with pytest.raises(BrokenPipeError):
            eventer.write(event, memoryview(b"nobody"))
    assert told == [
        ("eventer-read-entry", fd, None, 100, READ, "closure"),
        ("eventer-read-return", fd, None, 100, READ | EXCEPTION, "closure", -1),
        ("eventer-read-entry", fd, None, 100, READ, "closure"),
        ("eventer-read-return", fd, b"hello", 100, 0, "closure", 5),
        ("eventer-write-entry", fd, b"goodbye", 7, READ, "closure"),
        ("eventer-write-return", fd, b"goodbye", 7, 0, "closure", 7),
        ("eventer-read-entry", fd, None, 100, READ, "closure"),
        ("eventer-read-return", fd, b"", 100, 0, "closure", 0),
        ("eventer-write-entry", fd, b"nobody", 6, READ, "closure"),
        ("eventer-write-return", fd, b"nobody", 6, 0, "closure", -1),
    ]


def test_a_full_socket_tells_what_it_waits_for(ends: tuple[socket.socket, socket.socket]) -> None:
    event = eventer.alloc_fd(lambda *_: 0, None, ends[0].fileno(), WRITE)
    while eventer.write(event, bytes(1 << 20)) != WRITE | EXCEPTION:
        pass
    with heard("eventer-write-return") as told:
        eventer.write(event, b"more")
    assert told == [("eventer-write-return", event.fd, b"more", 4, WRITE | EXCEPTION, None, -1)]


def test_accepting_and_closing_tell_the_descriptors() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
        listening.setblocking(False)
        event = eventer.alloc_fd(lambda *_: 0, None, listening.fileno(), READ)
        with heard("eventer-accept-entry", "eventer-accept-return") as told:
            assert eventer.accept(event) == READ | EXCEPTION
            client.connect(listening.getsockname())
            accepted = eventer.accept(event)
            assert isinstance(accepted, tuple)
        os.close(accepted[0])
    where = f"127.0.0.1:{accepted[1][1]}"
    assert told == [
        ("eventer-accept-entry", event.fd, None, 0, 0, None),
        ("eventer-accept-return", event.fd, b"", 0, READ | EXCEPTION, None, -1),
        ("eventer-accept-entry", event.fd, None, 0, 0, None),
        ("eventer-accept-return", event.fd, where.encode(), len(where), 0, None, accepted[0]),
    ]


def test_closing_tells_whether_it_could(loops: Pool) -> None:
    reader, writer = os.pipe()
    closed: Queue[None] = Queue()
    event = eventer.alloc_fd(lambda *_: READ, None, reader, READ)
    eventer.add(event)
    with heard("eventer-close-entry", "eventer-close-return") as told:
        assert event.owner is not None
        event.owner.post(lambda: closed.put(eventer.close(event)))
        closed.get(timeout=20)
        os.close(writer)
        lost = eventer.alloc_fd(lambda *_: READ, None, writer, READ)
        with pytest.raises(OSError):
            eventer.close(lost)
    assert told == [
        ("eventer-close-entry", reader, READ, None),
        ("eventer-close-return", reader, READ, None, 0),
        ("eventer-close-entry", writer, READ, None),
        ("eventer-close-return", writer, READ, None, -1),
    ]
