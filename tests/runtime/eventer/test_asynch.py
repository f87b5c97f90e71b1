"""Asynchronous events: their life over threads, dependents, deadlines, and simple calls."""

import threading
import time
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from looping import on
from waiting import until

from runtime import eventer, log
from runtime.eventer import (
    ASYNCH,
    ASYNCH_CLEANUP,
    ASYNCH_WORK,
    READ,
    AsynchEvent,
    Event,
    EventerError,
    JobQueue,
    Outcome,
    Pool,
)

Seen = Queue[Any]


@pytest.fixture
def queue(loops: Pool) -> JobQueue:
    return eventer.jobq_create("work", 2)


def taken(seen: Seen, count: int) -> list[Any]:
    return [seen.get(timeout=20) for _ in range(count)]


def test_an_event_works_and_cleans_up_on_one_thread_and_reports_on_its_owner(
    loops: Pool, queue: JobQueue, seen: Seen
) -> None:
    def callback(event: Event, mask: int, closure: object, now: float) -> int:
        seen.put((mask, threading.current_thread().name, closure, abs(now - time.time()) < 60))
        return 0

    on(loops.threads[1], eventer.add_asynch, queue, eventer.alloc_asynch(callback, "closure"))
    assert taken(seen, 3) == [
        (ASYNCH_WORK, "j:work/1", "closure", True),
        (ASYNCH_CLEANUP, "j:work/1", "closure", True),
        (ASYNCH, "e:default/1", "closure", True),
    ]


def test_add_takes_the_default_queue_and_elsewhere_the_first_loop_thread(loops: Pool, seen: Seen) -> None:
    eventer.add(eventer.alloc_asynch(lambda *_: seen.put(threading.current_thread().name), None))
    assert taken(seen, 3) == ["j:default_queue/1", "j:default_queue/1", "e:default/0"]


def test_an_owner_that_was_set_gets_the_report(loops: Pool, queue: JobQueue, seen: Seen) -> None:
    event = eventer.alloc_asynch(lambda e, mask, c, n: mask == ASYNCH and seen.put(eventer.current()), None)
    eventer.set_owner(event, loops.threads[1])
    eventer.add_asynch(queue, event)
    assert taken(seen, 1) == [loops.threads[1]]


def test_work_is_skipped_after_the_deadline_and_cleanup_sees_it(loops: Pool, queue: JobQueue, seen: Seen) -> None:
    def callback(event: Event, mask: int, _closure: object, _now: float) -> None:
        assert isinstance(event, AsynchEvent)
        seen.put((mask, event.timed_out))

    eventer.add_asynch(queue, eventer.alloc_asynch_timeout(callback, None, time.time() - 1))
    assert taken(seen, 2) == [(ASYNCH_CLEANUP, True), (ASYNCH, True)]
    eventer.add_asynch(queue, eventer.alloc_asynch_timeout(callback, None, time.time() + 600))
    assert taken(seen, 3) == [(ASYNCH_WORK, False), (ASYNCH_CLEANUP, False), (ASYNCH, False)]
    assert queue.figures()["timeouts"] == 1


def test_work_that_fails_is_logged_and_the_rest_of_its_life_goes_on(
    loops: Pool, queue: JobQueue, seen: Seen, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    log.error.add_outlet(log.new_stream("file", type="file", path=str(path)))

    def callback(_event: Event, mask: int, _closure: object, _now: float) -> None:
        if mask == ASYNCH_WORK:
            raise ValueError("the message")
        seen.put(mask)

    eventer.name_callback("test/failing", callback)
    eventer.add_asynch(queue, eventer.alloc_asynch(callback, None))
    assert taken(seen, 2) == [ASYNCH_CLEANUP, ASYNCH]
    assert "job test/failing failed on work" in path.read_text()
    assert "ValueError: the message" in path.read_text()


def test_an_event_may_be_added_again_from_its_report_and_not_before(loops: Pool, queue: JobQueue, seen: Seen) -> None:
    reports = 0

    def callback(event: Event, mask: int, _closure: object, _now: float) -> None:
        nonlocal reports
        if mask == ASYNCH_WORK:
            with pytest.raises(EventerError, match="added already"):
                eventer.add_asynch(queue, event)
        elif mask == ASYNCH:
            reports += 1
            seen.put(reports)
            if reports < 3:
                eventer.add_asynch(queue, event)

    eventer.add_asynch(queue, eventer.alloc_asynch(callback, None))
    assert taken(seen, 3) == [1, 2, 3]


def test_only_asynchronous_events_go_to_queues(loops: Pool, queue: JobQueue) -> None:
    with pytest.raises(EventerError, match="is not asynchronous"):
        eventer.add_asynch(queue, eventer.alloc_timer(lambda *_: 0, None, 0.0))
    with pytest.raises(EventerError, match="cannot be copied"):
        eventer.alloc_copy(eventer.alloc_asynch(lambda *_: 0, None))
    with pytest.raises(EventerError, match="waits for no descriptor"):
        eventer.trigger(eventer.alloc_asynch(lambda *_: 0, None), READ)


def test_an_event_refused_for_the_backlog_never_runs_and_can_be_tried_again(
    loops: Pool, queue: JobQueue, seen: Seen
) -> None:
    queue.set_concurrency(1)
    queue.set_max_backlog(1)
    gate, begun = threading.Event(), threading.Event()
    eventer.simple_asynch(lambda: (begun.set(), gate.wait(20)), queue=queue)
    assert begun.wait(20)
    first, second = (eventer.alloc_asynch(lambda e, m, c, n: m == ASYNCH and seen.put(c), c) for c in (1, 2))
    assert eventer.try_add_asynch(queue, first)
    assert not eventer.try_add_asynch(queue, second)
    assert not eventer.try_add_asynch_dep(queue, second)
    gate.set()
    assert taken(seen, 1) == [1]
    eventer.add_asynch(queue, second)
    assert taken(seen, 1) == [2]
    assert seen.empty()


def test_a_stopped_queue_refuses_events_which_can_go_elsewhere(loops: Pool, queue: JobQueue, seen: Seen) -> None:
    eventer.jobq_destroy(queue)
    event = eventer.alloc_asynch(lambda e, m, c, n: m == ASYNCH and seen.put("reported"), None)
    with pytest.raises(EventerError, match="work has stopped"):
        eventer.add_asynch(queue, event)
    eventer.add(event)
    assert taken(seen, 1) == ["reported"]


def test_a_job_reports_after_its_dependents_and_theirs(loops: Pool, queue: JobQueue, seen: Seen) -> None:
    gate = threading.Event()

    def grandchild(_event: Event, mask: int, _closure: object, _now: float) -> None:
        if mask == ASYNCH_WORK:
            gate.wait(20)
        elif mask == ASYNCH:
            seen.put("grandchild")

    def child(_event: Event, mask: int, closure: object, _now: float) -> None:
        if mask == ASYNCH_WORK and closure == 0:
            eventer.add_asynch_dep(None, eventer.alloc_asynch(grandchild, None))
        elif mask == ASYNCH:
            seen.put(f"child {closure}")

    def parent(_event: Event, mask: int, _closure: object, _now: float) -> None:
        if mask == ASYNCH_WORK:
            for number in range(2):
                event = eventer.alloc_asynch(child, number)
                eventer.set_owner(event, loops.threads[number])
                eventer.add_asynch_dep(queue, event, subqueue=number)
        elif mask == ASYNCH_CLEANUP:
            seen.put("parent cleaned up")
            gate.set()
        else:
            seen.put("parent")

    eventer.add_asynch(queue, eventer.alloc_asynch(parent, None))
    order = taken(seen, 5)
    assert sorted(order) == ["child 0", "child 1", "grandchild", "parent", "parent cleaned up"]
    assert order[-1] == "parent"
    assert order.index("grandchild") < order.index("child 0")


def test_a_dependent_added_outside_a_job_depends_on_nothing(loops: Pool, queue: JobQueue, seen: Seen) -> None:
    event = eventer.alloc_asynch(lambda e, m, c, n: m == ASYNCH and seen.put("reported"), None)
    eventer.add_asynch_dep(queue, event)
    assert taken(seen, 1) == ["reported"]


def test_a_simple_call_comes_back_with_its_value_on_the_calling_loop(loops: Pool, queue: JobQueue, seen: Seen) -> None:
    def back(outcome: Outcome) -> None:
        seen.put((outcome.result(), eventer.current()))

    assert on(loops.threads[1], lambda: eventer.simple_asynch(divmod, 7, 2, back=back, queue=queue))
    assert taken(seen, 1) == [((3, 1), loops.threads[1])]
    assert eventer.simple_asynch(divmod, 9, 2, back=back)
    assert taken(seen, 1) == [((4, 1), loops.threads[0])]


def test_a_simple_call_comes_back_with_what_it_raised(loops: Pool, queue: JobQueue, seen: Seen) -> None:
    eventer.simple_asynch(divmod, 1, 0, back=seen.put, queue=queue)
    with pytest.raises(ZeroDivisionError):
        taken(seen, 1)[0].result()
    eventer.simple_asynch(divmod, 1, 0, back=seen.put, queue=queue, deadline=time.time() - 1)
    with pytest.raises(TimeoutError, match="divmod: its deadline passed"):
        taken(seen, 1)[0].result()


def test_a_simple_call_that_nobody_waits_for_logs_its_failure(loops: Pool, queue: JobQueue, tmp_path: Path) -> None:
    path = tmp_path / "log"
    log.error.add_outlet(log.new_stream("file", type="file", path=str(path)))
    eventer.simple_asynch(divmod, 1, 0, queue=queue)
    done = threading.Event()
    queue.set_concurrency(1)
    eventer.simple_asynch(done.set, queue=queue)
    assert done.wait(20)
    until(lambda: "ZeroDivisionError" in path.read_text())


def test_a_limited_simple_call_is_refused_at_the_backlog_limit(loops: Pool, seen: Seen) -> None:
    queue = eventer.jobq_create("limited", 1, max_backlog=1)
    gate, begun = threading.Event(), threading.Event()
    eventer.simple_asynch(lambda: (begun.set(), gate.wait(20)), queue=queue)
    assert begun.wait(20)
    assert eventer.simple_asynch(int, queue=queue, limited=True)
    assert not eventer.simple_asynch(int, queue=queue, limited=True)
    assert eventer.simple_asynch(int, queue=queue, back=seen.put)
    gate.set()
    assert taken(seen, 1)[0].result() == 0


def test_reports_come_in_the_order_the_work_ended(loops: Pool, seen: Seen) -> None:
    queue = eventer.jobq_create("single")
    for number in range(2000):
        eventer.simple_asynch(int, number, back=lambda outcome: seen.put(outcome.value), queue=queue)
    assert taken(seen, 2000) == list(range(2000))


def test_back_queues_have_figures_too(loops: Pool, queue: JobQueue, seen: Seen) -> None:
    for _ in range(10):
        eventer.simple_asynch(int, back=seen.put, queue=queue)
    taken(seen, 10)
    figures = on(loops.threads[0], eventer.jobq_figures)["default_back_queue/0"]
    assert figures["total_jobs"] == 10
    assert figures["backlog"] == 0
    assert set(figures) == set(queue.figures())


def test_a_back_queue_by_name_belongs_to_its_loop(loops: Pool, queue: JobQueue, seen: Seen) -> None:
    backq = eventer.jobq_create_backq("mine", loops.threads[1])
    assert eventer.jobq_create_backq("mine", loops.threads[0]) is backq
    assert on(loops.threads[0], eventer.jobq_create_backq, "other").owner is loops.threads[0]

    class Reporting(eventer.Job):
        def report(self) -> None:
            seen.put(eventer.current())

    queue.enqueue(Reporting(backq))
    assert taken(seen, 1) == [loops.threads[1]]
    with pytest.raises(EventerError, match="'work' is a job queue"):
        eventer.jobq_create_backq("work", loops.threads[0])
    with pytest.raises(EventerError, match="'mine' is a back queue"):
        eventer.jobq_create("mine")
    with pytest.raises(eventer.NotOnLoop):
        eventer.jobq_create_backq("nowhere")


def test_a_job_that_ends_after_its_loop_stopped_is_forgotten_quietly(loops: Pool, queue: JobQueue) -> None:
    gate, begun, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        gate.wait(20)

    def callback(_event: Event, mask: int, _closure: object, _now: float) -> None:
        if mask == ASYNCH_WORK:
            work()
        elif mask == ASYNCH_CLEANUP:
            ended.set()

    eventer.add_asynch(queue, eventer.alloc_asynch(callback, None))
    assert begun.wait(20)
    eventer.stop()
    gate.set()
    assert ended.wait(20)
