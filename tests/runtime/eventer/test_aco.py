"""Aco: code that reads as if it blocked, on descriptors, time and jobs; and operations on descriptors without it."""

import errno
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from typing import Any

import certificates
import gevent
import pytest

from runtime import eventer, log
from runtime.eventer import (
    ASYNCH,
    ASYNCH_WORK,
    EXCEPTION,
    READ,
    WRITE,
    AcoEvent,
    AsynchEvent,
    Event,
    EventerError,
    Pool,
)

Seen = Queue[Any]


@pytest.fixture
def pair(opened: list[Any]) -> tuple[int, socket.socket]:
    """A non-blocking descriptor, whoever uses it closes it, and a socket that is its peer."""
    ours, theirs = socket.socketpair()
    opened.append(theirs)
    theirs.settimeout(20)
    ours.setblocking(False)
    return ours.detach(), theirs


def aco(function: Callable[..., Any], *args: Any, owner: eventer.LoopThread | None = None) -> Any:
    """What *function* returns or raises when it runs as an aco."""
    outcome: Seen = Queue()

    def run() -> None:
        try:
            outcome.put((function(*args), None))
        except BaseException as failure:
            outcome.put((None, failure))

    eventer.aco_start(run, owner=owner)
    value, failure = outcome.get(timeout=20)
    if failure is not None:
        raise failure
    return value


def descriptor(fd: int) -> AcoEvent:
    return eventer.set_eventer_aco(eventer.alloc_fd(lambda *_: 0, "closure", fd, READ))


def test_an_aco_gets_its_argument_on_the_loop_thread_asked_for(loops: Pool, seen: Seen) -> None:
    def run(*args: object) -> None:
        seen.put((args, eventer.aco_arg(), eventer.current(), eventer.in_aco()))

    eventer.aco_start(run, "a", "b", owner=loops.threads[1])
    assert seen.get(timeout=20) == (("a", "b"), "a", loops.threads[1], True)
    eventer.aco_start(run)
    assert seen.get(timeout=20) == ((), None, loops.threads[0], True)
    assert not eventer.in_aco()


def test_an_aco_started_from_a_callback_begins_after_it(loops: Pool, seen: Seen) -> None:
    def callback() -> None:
        eventer.aco_start(seen.put, "aco")
        seen.put("callback")

    loops.threads[0].post(callback)
    assert [seen.get(timeout=20) for _ in range(2)] == ["callback", "aco"]


def test_what_belongs_in_an_aco_is_refused_elsewhere(loops: Pool) -> None:
    for function in (lambda: eventer.aco_sleep(0), lambda: eventer.aco_simple_asynch(int), eventer.aco_arg):
        with pytest.raises(EventerError, match="belongs in an aco"):
            function()


def test_an_aco_that_fails_is_logged_by_name(loops: Pool, tmp_path: Path) -> None:
    path = tmp_path / "log"
    log.error.add_outlet(log.new_stream("file", type="file", path=str(path)))

    def boom() -> None:
        eventer.aco_sleep(0)
        raise ValueError("the message")

    eventer.name_callback("test/aco boom", boom)
    eventer.aco_start(boom)
    aco(lambda: [eventer.aco_sleep(0) for _ in range(3)])
    text = path.read_text()
    assert "callback test/aco boom failed on e:default/0" in text
    assert "ValueError: the message" in text


def test_sleepers_wake_in_order_and_leave_the_loop_to_others(loops: Pool, seen: Seen) -> None:
    def sleep(seconds: float) -> None:
        eventer.aco_sleep(seconds)
        seen.put(seconds)

    for seconds in (0.03, 0.01, 0.02, 0.0):
        eventer.aco_start(sleep, seconds)
    assert [seen.get(timeout=20) for _ in range(4)] == [0.0, 0.01, 0.02, 0.03]


def test_reading_waits_for_data_and_ends_empty(loops: Pool, pair: Any) -> None:
    fd, theirs = pair
    event = descriptor(fd)
    assert event.closure == "closure"

    def lines() -> list[bytes]:
        found = []
        while data := eventer.aco_read(event, 100):
            found.append(data)
            eventer.aco_write(event, b"got " + data)
        eventer.aco_close(event)
        return found

    result: Seen = Queue()
    eventer.aco_start(lambda: result.put(lines()))
    for text in (b"one", b"two"):
        theirs.send(text)
        assert theirs.recv(100) == b"got " + text
    theirs.shutdown(socket.SHUT_WR)
    assert result.get(timeout=20) == [b"one", b"two"]
    assert theirs.recv(100) == b"", "it was closed"


def test_while_an_aco_waits_its_descriptor_is_listed_and_afterwards_not(loops: Pool, pair: Any) -> None:
    fd, theirs = pair
    event = descriptor(fd)

    def reader() -> bytes:
        return eventer.aco_read(event, 10)

    result: Seen = Queue()
    eventer.aco_start(lambda: result.put(reader()))
    rows: list[Any] = []
    while not rows:
        rows = [row for row in eventer.sockets() if row["fd"] == fd]
    assert rows[0]["callback"].startswith("aco(")
    assert rows[0]["mask"] == READ | EXCEPTION
    theirs.send(b"x")
    assert result.get(timeout=20) == b"x"
    aco(eventer.aco_sleep, 0)
    assert eventer.sockets() == []
    aco(eventer.aco_close, event)


def test_a_timeout_raises_etime_and_the_descriptor_goes_on_working(loops: Pool, pair: Any) -> None:
    fd, theirs = pair
    event = descriptor(fd)

    def late() -> bytes:
        with pytest.raises(TimeoutError) as first:
            eventer.aco_read(event, 10, 0.01)
        assert first.value.errno == errno.ETIME
        event.read_timeout = 0.01
        with pytest.raises(TimeoutError):
            eventer.aco_read(event, 10)
        with pytest.raises(TimeoutError):
            eventer.aco_read(event, 10, 0.0)
        theirs.send(b"now")
        data = eventer.aco_read(event, 10, 20)
        eventer.aco_close(event)
        return data

    assert aco(late) == b"now"


def test_writing_writes_everything_or_times_out(loops: Pool, pair: Any) -> None:
    fd, theirs = pair
    event = descriptor(fd)
    size = 4 << 20

    def stuck() -> None:
        with pytest.raises(TimeoutError):
            eventer.aco_write(event, bytes(size), 0.01)

    aco(stuck)
    got = 0

    def drain() -> None:
        nonlocal got
        while data := theirs.recv(1 << 16):
            got += len(data)

    received = threading.Thread(target=drain)
    received.start()

    def write() -> int:
        written = eventer.aco_write(event, bytes(size))
        eventer.aco_close(event)
        return written

    assert aco(write) == size
    received.join(20)
    assert got > size


def test_accepting_waits_for_a_connection(loops: Pool, opened: list[Any], seen: Seen) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    address = listening.getsockname()
    event = descriptor(listening.detach())

    def serve() -> None:
        with pytest.raises(TimeoutError):
            eventer.aco_accept(event, 0.01)
        seen.put("listening")
        fd, peer = eventer.aco_accept(event)
        seen.put(peer)
        accepted = descriptor(fd)
        eventer.aco_write(accepted, b"hello")
        eventer.aco_close(accepted)
        eventer.aco_close(event)
        seen.put("closed")

    eventer.aco_start(serve)
    assert seen.get(timeout=20) == "listening"
    with socket.create_connection(address) as client:
        assert seen.get(timeout=20) == client.getsockname()
        assert client.recv(10) == b"hello"
        assert client.recv(10) == b""
    assert seen.get(timeout=20) == "closed"


def test_two_acos_cannot_wait_for_one_descriptor(loops: Pool, pair: Any, seen: Seen) -> None:
    fd, theirs = pair
    event = descriptor(fd)
    eventer.aco_start(lambda: seen.put(eventer.aco_read(event, 10)))
    with pytest.raises(EventerError, match="waits for it already"):
        aco(lambda: eventer.aco_read(event, 10))
    theirs.send(b"x")
    assert seen.get(timeout=20) == b"x"
    aco(eventer.aco_close, event)


def test_closing_a_descriptor_ends_the_wait_for_it(loops: Pool, pair: Any, seen: Seen) -> None:
    fd, _theirs = pair
    event = descriptor(fd)

    def read() -> None:
        try:
            eventer.aco_read(event, 10)
        except EventerError as refused:
            seen.put(str(refused))

    eventer.aco_start(read)
    aco(eventer.aco_close, event)
    assert "has no descriptor" in seen.get(timeout=20)


def test_a_trigger_wakes_an_aco_right_from_the_loop(loops: Pool, pair: Any, seen: Seen) -> None:
    fd, _theirs = pair
    event = descriptor(fd)

    def read() -> None:
        seen.put("reading")
        event.wait(READ, None)
        seen.put("awake")
        eventer.aco_close(event)

    def wake() -> None:
        eventer.trigger(event, READ)
        seen.put("triggered")

    eventer.aco_start(read)
    assert seen.get(timeout=20) == "reading"
    aco(wake)
    assert [seen.get(timeout=20) for _ in range(2)] == ["triggered", "awake"]


def test_a_classic_event_can_go_on_as_an_aco(loops: Pool, pair: Any) -> None:
    fd, theirs = pair

    def echo(event: AcoEvent) -> None:
        while data := eventer.aco_read(event, 10):
            eventer.aco_write(event, data.upper())
        eventer.aco_close(event)

    eventer.add(eventer.alloc_fd(eventer.aco_callback(echo), None, fd, READ))
    for text in (b"one", b"two"):
        theirs.send(text)
        assert theirs.recv(10) == text.upper()
    theirs.shutdown(socket.SHUT_WR)
    assert theirs.recv(10) == b""


def test_tls_shakes_hands_reads_and_writes_through_the_same_calls(
    loops: Pool, opened: list[Any], tmp_path: Path
) -> None:
    authority = certificates.Authority(tmp_path)
    issued = authority.issue("server", "localhost")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(issued.certificate, issued.key)
    client = ssl.create_default_context(cafile=str(authority.issued.certificate))
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    wrapped = server.wrap_socket(ours, server_side=True, do_handshake_on_connect=False)
    plain = eventer.alloc_fd(lambda *_: 0, None, wrapped.fileno(), READ)
    plain.opset = eventer.TlsOpset(wrapped)
    event = eventer.set_eventer_aco(plain)

    def serve() -> None:
        assert eventer.aco_accept(event) == (-1, None)
        data = b""
        while len(data) < 1 << 20:
            data += eventer.aco_read(event, 1 << 16)
        eventer.aco_write(event, data[::-1])
        eventer.aco_close(event)

    outcome: Seen = Queue()
    eventer.aco_start(lambda: outcome.put(serve()))
    theirs.settimeout(20)
    with client.wrap_socket(theirs, server_hostname="localhost", suppress_ragged_eofs=True) as tls:
        sent = bytes(range(256)) * 4096
        tls.sendall(sent)
        got = b""
        while data := tls.recv(1 << 16):
            got += data
    assert got == sent[::-1]
    assert outcome.get(timeout=20) is None


def test_what_gevent_offers_works_in_an_aco(loops: Pool) -> None:
    def both() -> str:
        gevent.sleep(0)
        eventer.aco_sleep(0)
        return gevent.spawn(lambda: "spawned").get()

    assert aco(both) == "spawned"


def test_a_job_is_waited_for_and_its_result_returned(loops: Pool) -> None:
    def run() -> tuple[Any, Any]:
        here = eventer.current()
        found = eventer.aco_simple_asynch(lambda: (sum(range(5)), threading.current_thread().name))
        return found, eventer.current() is here

    assert aco(run) == ((10, "j:default_queue/1"), True)
    with pytest.raises(ZeroDivisionError):
        aco(eventer.aco_simple_asynch, divmod, 1, 0)
    with pytest.raises(TimeoutError):
        aco(lambda: eventer.aco_simple_asynch(int, deadline=time.time() - 1))


def test_the_loop_runs_others_while_an_aco_waits_for_a_job(loops: Pool, seen: Seen) -> None:
    gate = threading.Event()
    eventer.aco_start(lambda: seen.put(eventer.aco_simple_asynch(gate.wait, 20)))
    eventer.add_in(lambda *_: gate.set(), None, 0.0)
    assert seen.get(timeout=20) is True


def test_an_event_is_run_in_a_queue_and_waited_for(loops: Pool) -> None:
    masks: list[int] = []
    queue = eventer.jobq_create("one", 1, max_backlog=1)

    def callback(_event: Event, mask: int, _closure: object, _now: float) -> None:
        masks.append(mask)

    assert aco(lambda: eventer.aco_run_asynch(eventer.alloc_asynch(callback, None), queue))
    assert masks[0] == ASYNCH_WORK
    assert masks[-1] == ASYNCH
    gate, begun = threading.Event(), threading.Event()
    eventer.simple_asynch(lambda: (begun.set(), gate.wait(20)), queue=queue)
    assert begun.wait(20)
    eventer.simple_asynch(int, queue=queue)
    event = eventer.alloc_asynch(callback, None)
    assert aco(lambda: eventer.aco_run_asynch(event, queue)) is False
    gate.set()
    assert aco(lambda: eventer.aco_run_asynch(event, queue, limited=False))
    with pytest.raises(EventerError, match="is not asynchronous"):
        aco(lambda: eventer.aco_run_asynch(eventer.alloc_recurrent(lambda *_: 0, None)))  # type: ignore[arg-type]


def test_a_gate_opens_when_every_job_is_done(loops: Pool) -> None:
    def run() -> list[Any]:
        gate = eventer.aco_gate()
        gate.wait()
        outcomes = [eventer.aco_simple_asynch_gated(gate, divmod, 7, number) for number in range(3)]
        reported: list[int] = []
        events = [AsynchEvent(lambda e, m, c, n: reported.append(c) if m == ASYNCH else None, c) for c in range(2)]
        assert all(eventer.aco_run_asynch(event, gate=gate) for event in events)
        gate.wait(20)
        assert sorted(reported) == [0, 1]
        return outcomes

    failed, *found = aco(run)
    assert [outcome.result() for outcome in found] == [(7, 0), (3, 1)]
    with pytest.raises(ZeroDivisionError):
        failed.result()


def test_a_gate_can_time_out_and_be_waited_for_again(loops: Pool) -> None:
    held = threading.Event()

    def run() -> str:
        gate = eventer.aco_gate()
        eventer.aco_simple_asynch_gated(gate, held.wait, 20)
        with pytest.raises(TimeoutError):
            gate.wait(0.01)
        held.set()
        gate.wait(20)
        return "open"

    assert aco(run) == "open"


def test_stopping_unwinds_acos_that_wait(loops: Pool, pair: Any, seen: Seen) -> None:
    fd, _theirs = pair
    event = descriptor(fd)

    def wait(on: Callable[[], object]) -> None:
        try:
            seen.put("waiting")
            on()
        finally:
            seen.put("unwound")

    gate = threading.Event()
    for on in (lambda: eventer.aco_sleep(600), lambda: eventer.aco_read(event, 1), lambda: _job(gate)):
        eventer.aco_start(wait, on)
    assert [seen.get(timeout=20) for _ in range(3)] == ["waiting"] * 3
    eventer.stop()
    assert [seen.get(timeout=20) for _ in range(3)] == ["unwound"] * 3
    gate.set()
    os.close(fd)
    with pytest.raises(EventerError, match="has stopped and takes no aco"):
        eventer.aco_start(int, owner=loops.threads[0])


def _job(gate: threading.Event) -> None:
    eventer.aco_simple_asynch(gate.wait, 20)


def test_ten_thousand_acos_sleep_and_work_at_once(loops: Pool, seen: Seen) -> None:
    left = 10_000

    def run(number: int) -> None:
        nonlocal left
        eventer.aco_sleep(0.0)
        eventer.aco_sleep(0.001 * (number % 5))
        left -= 1
        if not left:
            seen.put("all")

    for number in range(left):
        eventer.aco_start(run, number, owner=loops.threads[0])
    assert seen.get(timeout=60) == "all"
    assert not aco(lambda: len(loops.threads[0].acos) - 1)


def test_operations_of_a_classic_event_say_what_to_wait_for(loops: Pool, pair: Any) -> None:
    fd, theirs = pair
    event = eventer.alloc_fd(lambda *_: 0, None, fd, READ)
    assert eventer.read(event, 10) == READ | EXCEPTION
    theirs.send(b"abc")
    assert eventer.read(event, 10) == b"abc"
    assert eventer.write(event, b"def") == (3,)
    assert theirs.recv(10) == b"def"
    while isinstance(eventer.write(event, bytes(1 << 20)), tuple):
        pass
    assert eventer.write(event, b"x") == WRITE | EXCEPTION
    eventer.close(event)
    assert event.fd == -1
    with pytest.raises(EventerError, match="has no descriptor"):
        eventer.read(event, 1)
    with pytest.raises(EventerError, match="has no descriptor"):
        eventer.set_eventer_aco(eventer.alloc_timer(lambda *_: 0, None, 0.0))


def test_an_event_can_run_in_a_thread_of_its_own_where_it_may_block(
    loops: Pool, pair: Any, seen: Seen, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    log.error.add_outlet(log.new_stream("file", type="file", path=str(path)))
    fd, theirs = pair
    threads: Seen = Queue()

    def callback(event: Event, mask: int, _closure: object, _now: float) -> int:
        if eventer.is_loop_thread():
            threads.put(eventer.run_in_thread(event, WRITE))
            return 0
        seen.put((mask, os.get_blocking(fd), event.active))
        if os.read(fd, 10) == b"fail":
            raise ValueError("the message")
        return READ

    eventer.add(eventer.alloc_fd(callback, None, fd, WRITE))
    thread = threads.get(timeout=20)
    assert seen.get(timeout=20) == (WRITE, True, False)
    theirs.send(b"go on")
    assert seen.get(timeout=20) == (READ, True, False)
    theirs.send(b"fail")
    thread.join(20)
    assert "ValueError: the message" in path.read_text()
    os.close(fd)
    with pytest.raises(EventerError, match="has no descriptor"):
        eventer.run_in_thread(eventer.alloc_timer(lambda *_: 0, None, 0.0), READ)
