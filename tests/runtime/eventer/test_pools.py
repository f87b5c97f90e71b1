"""Pools from the configuration, their threads, and how they start, drain and stop."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from runtime import conf, eventer, log
from runtime.eventer import EventerError, NotOnLoop, Pool


def configured(text: str) -> conf.Conf:
    return conf.loads(f"<app><eventer><config>{text}</config></eventer></app>".encode())


def test_concurrency_and_named_loops_come_from_the_configuration() -> None:
    eventer.init(configured("<concurrency>3</concurrency><loop_fast>2,1.5</loop_fast><loop_slow>0</loop_slow>"))
    try:
        found = {each.name: (each.concurrency, each.timeout) for each in eventer.pools()}
        assert found == {"default": (3, 0.0), "fast": (2, 1.5), "slow": (3, 0.0)}
        assert eventer.loop_concurrency() == 3
        assert eventer.loop_concurrency("fast") == 2
        assert eventer.loop_concurrency("none") == 0
    finally:
        eventer.stop()


@pytest.mark.parametrize("text", ["", "<concurrency>0</concurrency>"])
def test_without_a_concurrency_there_is_a_thread_for_each_processor(text: str) -> None:
    eventer.init(configured(text))
    try:
        assert eventer.loop_concurrency() == len(os.sched_getaffinity(0))
    finally:
        eventer.stop()


def test_processors_that_are_not_ours_get_no_thread() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        eventer.init(configured(""))
        assert eventer.loop_concurrency() == 1
    finally:
        os.sched_setaffinity(0, before)
        eventer.stop()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("<concurrency>many</concurrency>", "concurrency: 'many'"),
        ("<concurrency>-1</concurrency>", "concurrency: '-1'"),
        ("<loop_x>two</loop_x>", "loop_x: 'two'"),
        ("<loop_x>2,soon</loop_x>", "loop_x: 'soon'"),
        ("<loop_x>2,-1</loop_x>", "loop_x: '-1'"),
        ("<loop_x>2,inf</loop_x>", "loop_x: 'inf'"),
        ("<loop_>2</loop_>", "needs a name"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(text: str, named: str) -> None:
    try:
        with pytest.raises(conf.ConfError, match=named):
            eventer.init(configured(text))
    finally:
        eventer.stop()


def test_threads_are_named_after_pool_and_index(loops: Pool) -> None:
    names: Queue[Any] = Queue()
    for thread in loops.threads:
        thread.post(lambda: names.put((threading.current_thread().name, threading.get_native_id())))
    got = sorted(names.get(timeout=10) for _ in loops.threads)
    assert [name for name, _ in got] == ["e:default/0", "e:default/1"]
    assert {tid for _, tid in got} == {thread.tid for thread in loops.threads}


def test_work_posted_from_any_thread_runs_in_order_and_none_is_lost(loops: Pool) -> None:
    seen: list[tuple[int, int]] = []
    finished = threading.Event()

    def note(sender: int, number: int) -> None:
        seen.append((sender, number))
        if len(seen) == 4 * 5000:
            finished.set()

    def send(sender: int) -> None:
        for number in range(5000):
            assert loops.threads[0].post(note, sender, number)

    senders = [threading.Thread(target=send, args=(i,)) for i in range(4)]
    for each in senders:
        each.start()
    for each in senders:
        each.join()
    assert finished.wait(20)
    for sender in range(4):
        assert [n for s, n in seen if s == sender] == list(range(5000))


def test_stopping_runs_what_was_posted_before_and_refuses_the_rest(loops: Pool) -> None:
    ran: list[int] = []
    gate = threading.Event()
    first = loops.threads[0]
    first.post(gate.wait, 10)
    for number in range(100):
        first.post(ran.append, number)
    first.on_stop(lambda: ran.append(-1))
    first.on_stop(lambda: ran.append(-2))
    gate.set()
    eventer.stop()
    assert ran == [*range(100), -2, -1]
    assert first.post(ran.append, 0) is False
    with pytest.raises(EventerError, match="e:default/0 has stopped"):
        event = eventer.alloc_timer(lambda *_: 0, None, 0.0)
        event.owner = first
        eventer.add(event)


def test_a_thread_that_does_not_stop_is_named(loops: Pool) -> None:
    gate = threading.Event()
    loops.threads[1].post(gate.wait)
    with pytest.raises(EventerError, match=r"still busy after .* e:default/1$"):
        eventer.stop(timeout=0.05)
    gate.set()
    assert loops.threads[1].join(10)


def test_posted_work_that_fails_is_logged_and_the_next_runs(loops: Pool, tmp_path: Any) -> None:
    path = tmp_path / "log"
    log.error.add_outlet(log.new_stream("file", type="file", path=str(path)))
    done = threading.Event()
    loops.threads[0].post(lambda: 1 / 0)
    loops.threads[0].post(done.set)
    assert done.wait(10)
    assert "ZeroDivisionError" in path.read_text()


def test_current_is_the_loop_thread_and_nothing_elsewhere(loops: Pool) -> None:
    seen: Queue[Any] = Queue()
    loops.threads[1].post(lambda: seen.put((eventer.current(), eventer.is_loop_thread())))
    assert seen.get(timeout=10) == (loops.threads[1], True)
    assert not eventer.is_loop_thread()
    with pytest.raises(NotOnLoop):
        eventer.current()


def test_owners_are_chosen_round_the_pool(loops: Pool) -> None:
    assert [eventer.choose_owner(n).index for n in range(4)] == [0, 1, 0, 1]
    assert eventer.choose_owner_pool(loops, 3) is loops.threads[1]
    assert eventer.choose_owner_pool(loops) in loops.threads
    event = eventer.alloc_timer(lambda *_: 0, None, 0.0)
    assert eventer.get_pool_for_event(event) is loops


def test_names_are_taken_once(loops: Pool) -> None:
    with pytest.raises(EventerError, match="'default' already"):
        eventer.pool_create("default", 1)
    with pytest.raises(EventerError, match="at least one thread"):
        eventer.pool_create("empty", 0)
    with pytest.raises(EventerError, match="initialised already"):
        eventer.init()


def test_before_it_is_initialised_there_is_no_owner_to_choose() -> None:
    with pytest.raises(EventerError, match="not initialised"):
        eventer.choose_owner(0)


LEFT_RUNNING = """\
import os, sys, threading, time
from runtime import eventer, log, net

eventer.pool_create("default", 2)
eventer.start()
thread = eventer.pool().threads[0]
thread.on_stop(lambda: os.write(1, b"stopped\\n"))
turned, worked = threading.Event(), threading.Event()
eventer.add(eventer.alloc_recurrent(lambda *_: turned.set() or eventer.RECURRENT, None))
eventer.name_callback("echo", lambda *_: 0)
net.open_listener("echo", sys.argv[1]).start()
net.open_listener("echo", "127.0.0.1", accept_thread=True).start()


def job(event, mask, closure, now):
    worked.set()
    while mask == eventer.ASYNCH_WORK:
        time.sleep(0.001)


queue = eventer.jobq_create("disk", 4, floor=4)
for _ in range(8):
    eventer.add_asynch(queue, eventer.alloc_asynch(job, None))
turned.wait()
worked.wait()
{end}
"""


@pytest.mark.parametrize(
    ("end", "status"),
    [("", 0), ("sys.exit(3)", 3), ("os.fork() or sys.exit(0); os.wait()", 0), ("raise KeyError('mistake')", 1)],
)
def test_a_program_that_ends_without_stopping_has_its_loops_stopped(tmp_path: Path, end: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEFT_RUNNING.replace("{end}", end), str(tmp_path / "socket")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (status, "stopped\n")
    assert done.stderr == "" or status == 1
    assert not (tmp_path / "socket").exists()  # what each part does when its loop stops was done
