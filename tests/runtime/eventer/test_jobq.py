"""Job queues: order, fairness, limits, deadlines, and the threads that come and go."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting import until

from runtime import eventer, log
from runtime.eventer import EventerError, Job, JobQueue, _jobq


class Call(Job):
    """A job that is a function call."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[[], object], subqueue: int = 0, deadline: float = 0.0) -> None:
        super().__init__(None, subqueue, deadline)
        self.function = function

    def work(self) -> None:
        self.function()


class Held:
    """Keeps the threads of a queue busy until released."""

    def __init__(self, queue: JobQueue, threads: int = 1) -> None:
        self._release = threading.Event()
        begun = threading.Semaphore(0)

        def hold() -> None:
            begun.release()
            self._release.wait(20)

        for _ in range(threads):
            queue.enqueue(Call(hold))
        for _ in range(threads):
            assert begun.acquire(timeout=20)

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *_: object) -> None:
        self._release.set()


@pytest.fixture(autouse=True)
def no_queues_left() -> Iterator[None]:
    yield
    eventer.stop()


def drained(queue: JobQueue) -> dict[str, int | float]:
    """The figures of *queue* once it has nothing left to do."""
    until(lambda: not queue.figures()["backlog"] and not queue.figures()["inflight"])
    return queue.figures()


def test_a_queue_is_found_by_the_name_it_was_created_with() -> None:
    made = eventer.jobq_create("disk", 2)
    assert eventer.jobq_create("disk", 9) is made
    assert eventer.jobq_retrieve("disk") is made
    assert eventer.jobq_retrieve("none") is None
    assert made.figures()["desired_concurrency"] == 2
    eventer.jobq_destroy(made)
    assert eventer.jobq_retrieve("disk") is None


def test_the_default_queue_is_there_when_asked_for_with_ten_threads_wanted() -> None:
    queue = eventer.jobq_retrieve()
    assert queue is not None
    assert queue.name == "default_queue"
    assert queue.figures()["desired_concurrency"] == 10
    assert queue.figures()["concurrency"] == 10
    assert queue.figures()["threads"] == 0, "threads start as needed"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "needs a name"),
        ({"name": "x", "concurrency": 0}, "x needs a concurrency of at least 1, not 0"),
        ({"name": "x", "least": 3, "most": 2}, "a minimum of 3 and a maximum of 2"),
        ({"name": "x", "floor": -1}, "-1 is no number of threads"),
        ({"name": "x", "max_backlog": -1}, "-1 is no number of jobs"),
        ({"name": "x", "safety": "most"}, "'most' is no memory safety"),
    ],
)
def test_a_queue_that_cannot_be_made_says_why_and_is_not_there(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(EventerError, match=message):
        eventer.jobq_create(**arguments)
    assert eventer.jobq_retrieve("x") is None


def test_jobs_run_on_daemon_threads_named_after_the_queue() -> None:
    queue = eventer.jobq_create("a_rather_long_name")
    seen: list[tuple[str, bool]] = []
    done = threading.Event()

    def look() -> None:
        seen.append((threading.current_thread().name, threading.current_thread().daemon))
        done.set()

    queue.enqueue(Call(look))
    assert done.wait(20)
    assert seen == [("j:a_rather_long/1", True)]


@pytest.mark.parametrize(("lifo", "expected"), [(False, [0, 1, 2, 3]), (True, [3, 2, 1, 0])])
def test_jobs_are_taken_oldest_or_newest_first(lifo: bool, expected: list[int]) -> None:
    queue = eventer.jobq_create("order", lifo=lifo)
    ran: list[int] = []
    with Held(queue):
        for number in range(4):
            queue.enqueue(Call(lambda number=number: ran.append(number)))
    drained(queue)
    assert ran == expected


def test_the_order_can_be_changed_while_jobs_wait() -> None:
    queue = eventer.jobq_create("order")
    ran: list[int] = []
    with Held(queue):
        for number in range(3):
            queue.enqueue(Call(lambda number=number: ran.append(number)))
        queue.set_lifo(True)
    drained(queue)
    assert ran == [2, 1, 0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=60), st.booleans())
def test_subqueues_with_jobs_take_turns(arrivals: list[int], lifo: bool) -> None:
    queue = eventer.jobq_create("fair", lifo=lifo)
    ran: list[tuple[int, int]] = []
    try:
        with Held(queue):
            for number, subqueue in enumerate(arrivals):
                queue.enqueue(Call(lambda each=(subqueue, number): ran.append(each), subqueue))
        drained(queue)
    finally:
        eventer.jobq_destroy(queue)
    assert Counter(ran) == Counter((subqueue, number) for number, subqueue in enumerate(arrivals))
    waiting = Counter(arrivals)
    served: Counter[int] = Counter()
    for subqueue, _ in ran:
        behind = [other for other in waiting if waiting[other] and served[other] < served[subqueue]]
        assert not behind, f"{subqueue} was served again while {behind} waited"
        waiting[subqueue] -= 1
        served[subqueue] += 1
    for subqueue in set(arrivals):
        order = [number for each, number in ran if each == subqueue]
        assert order == sorted(order, reverse=lifo)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.lists(st.booleans(), max_size=30))
def test_the_backlog_limit_holds_for_those_who_try_and_for_nobody_else(limit: int, trying: list[bool]) -> None:
    queue = eventer.jobq_create("limited", max_backlog=limit)
    accepted = deque[int]()
    expected = refused = 0
    try:
        with Held(queue):
            for tries in trying:
                job = Call(lambda: accepted.append(1))
                if not tries:
                    queue.enqueue(job)
                    expected += 1
                elif expected < limit:
                    assert queue.try_enqueue(job)
                    expected += 1
                else:
                    assert not queue.try_enqueue(job)
                    refused += 1
            assert queue.figures()["backlog"] == expected
        figures = drained(queue)
    finally:
        eventer.jobq_destroy(queue)
    assert len(accepted) == expected
    assert figures["total_jobs"] == expected + 1
    assert refused + expected == len(trying)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([-10.0, 0.0, 600.0]), max_size=25))
def test_exactly_the_jobs_whose_deadline_passed_time_out(offsets: list[float]) -> None:
    queue = eventer.jobq_create("deadlines", 2)
    now = time.time()
    jobs: list[Call] = []
    late: list[bool] = []
    try:
        with Held(queue, 2):
            for offset in offsets:
                job = Call(lambda: None, deadline=now + offset if offset else 0.0)
                job.function = lambda job=job: late.append(job.timed_out)  # type: ignore[misc]
                jobs.append(job)
                queue.enqueue(job)
        figures = drained(queue)
    finally:
        eventer.jobq_destroy(queue)
    assert [job.timed_out for job in jobs] == [offset < 0 for offset in offsets]
    assert sum(late) == figures["timeouts"] == sum(offset < 0 for offset in offsets)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(0, 4), st.integers(0, 6), st.integers(1, 25))
def test_no_more_jobs_run_at_once_than_the_concurrency_within_its_bounds(
    concurrency: int, least: int, most: int, jobs: int
) -> None:
    most = most and max(least, most)
    allowed = max(least, min(concurrency, most) if most else concurrency)
    queue = eventer.jobq_create("bounded", concurrency, least=least, most=most)
    lock = threading.Lock()
    running = peak = 0

    def run() -> None:
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
        threading.Event().wait(0.0005)
        with lock:
            running -= 1

    try:
        assert queue.figures()["desired_concurrency"] == allowed
        for _ in range(jobs):
            queue.enqueue(Call(run))
        figures = drained(queue)
    finally:
        eventer.jobq_destroy(queue)
    assert peak <= allowed
    assert figures["threads"] <= allowed


def test_a_maximum_of_one_keeps_jobs_apart_whatever_is_wanted() -> None:
    queue = eventer.jobq_create("exclusive", most=1)
    queue.set_concurrency(8)
    assert queue.figures()["desired_concurrency"] == 1
    assert queue.figures()["max_concurrency"] == 1


def test_concurrency_can_be_raised_and_lowered_while_jobs_wait() -> None:
    queue = eventer.jobq_create("elastic")
    both = threading.Barrier(2)
    with Held(queue):
        for _ in range(2):
            queue.enqueue(Call(lambda: both.wait(20)))
        queue.set_concurrency(3)  # only then can the two meet
        until(lambda: queue.figures()["backlog"] == 0 and queue.figures()["inflight"] == 1)
        queue.set_concurrency(1)
    until(lambda: queue.figures()["threads"] == 1)
    done = threading.Event()
    queue.enqueue(Call(done.set))
    assert done.wait(20)


def test_a_floor_starts_threads_without_work_and_is_kept_within_the_concurrency() -> None:
    queue = eventer.jobq_create("warm", 2, floor=5)
    assert queue.figures()["threads"] == 2
    with pytest.raises(EventerError, match="-2 is no number of threads"):
        queue.set_floor(-2)


def test_idle_threads_end_down_to_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_jobq, "LINGER", 0.01)
    queue = eventer.jobq_create("shrinking", 4)
    with Held(queue, 4):
        assert queue.figures()["threads"] == 4
        queue.set_floor(1)
    until(lambda: queue.figures()["threads"] == 1)
    queue.set_floor(0)
    until(lambda: queue.figures()["threads"] == 0)
    done = threading.Event()
    queue.enqueue(Call(done.set))
    assert done.wait(20)


def test_threads_that_come_and_go_lose_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_jobq, "LINGER", 0.0)
    queue = eventer.jobq_create("flicker", 3)
    ran = deque[int]()

    def feed(start: int) -> None:
        for number in range(start, start + 1000):
            queue.enqueue(Call(lambda number=number: ran.append(number), number % 7))

    feeders = [threading.Thread(target=feed, args=(1000 * index,)) for index in range(3)]
    for each in feeders:
        each.start()
    for step in range(50):
        queue.set_concurrency(1 + step % 4)
        queue.post()
    for each in feeders:
        each.join()
    assert drained(queue)["total_jobs"] == 3000
    assert sorted(ran) == list(range(3000))


def test_a_job_that_fails_is_logged_and_the_thread_goes_on(tmp_path: Any) -> None:
    path = tmp_path / "log"
    log.error.add_outlet(log.new_stream("file", type="file", path=str(path)))
    queue = eventer.jobq_create("failing")

    def leave() -> None:
        raise SystemExit("not from here")

    queue.enqueue(Call(lambda: 1 / 0))
    queue.enqueue(Call(leave))
    done = threading.Event()
    queue.enqueue(Call(done.set))
    assert done.wait(20)
    assert queue.figures()["threads"] == 1
    text = path.read_text()
    assert "job Call failed on failing" in text
    assert "ZeroDivisionError" in text
    assert "not from here" in text


def test_a_job_knows_itself_while_it_runs() -> None:
    queue = eventer.jobq_create("aware")
    seen: list[Job | None] = []
    job = Call(lambda: seen.append(eventer.jobq_inflight()))
    queue.enqueue(job)
    drained(queue)
    assert seen == [job]
    assert eventer.jobq_inflight() is None


def test_figures_count_what_happened() -> None:
    queue = eventer.jobq_create("counted", 2, least=1, most=4)
    with Held(queue, 2):
        queue.enqueue(Call(lambda: None))
        figures = queue.figures()
        assert (figures["inflight"], figures["backlog"], figures["total_jobs"]) == (2, 1, 3)
    figures = drained(queue)
    assert set(figures) == {
        "concurrency",
        "desired_concurrency",
        "threads",
        "min_concurrency",
        "max_concurrency",
        "total_jobs",
        "backlog",
        "inflight",
        "timeouts",
        "avg_wait_ms",
        "avg_run_ms",
    }
    assert (figures["min_concurrency"], figures["max_concurrency"], figures["desired_concurrency"]) == (1, 4, 2)
    assert figures["avg_wait_ms"] > 0
    assert figures["avg_run_ms"] > 0
    assert eventer.jobq_figures()["counted"] == figures
    assert "default_queue" in eventer.jobq_figures()


def test_a_destroyed_queue_does_what_waits_and_takes_no_more() -> None:
    queue = eventer.jobq_create("closing")
    ran = deque[int]()
    with Held(queue):
        for number in range(5):
            queue.enqueue(Call(lambda number=number: ran.append(number)))
        eventer.jobq_destroy(queue)
        with pytest.raises(EventerError, match="closing has stopped"):
            queue.enqueue(Call(lambda: None))
    until(lambda: queue.figures()["threads"] == 0)
    assert list(ran) == list(range(5))


def test_stopping_the_eventer_drops_what_waits_and_ends_the_threads() -> None:
    queue = eventer.jobq_create("stopping", 2)
    ran: list[int] = []
    with Held(queue, 2):
        queue.enqueue(Call(lambda: ran.append(1)))
        eventer.stop()
    until(lambda: queue.figures()["threads"] == 0)
    assert not ran
    assert eventer.jobq_retrieve("stopping") is None


def test_slow_jobs_are_logged_above_the_threshold(tmp_path: Any) -> None:
    path = tmp_path / "log"
    stream = log.stream_find("debug/eventer/callbacks/jobq/slow")
    stream.add_outlet(log.new_stream("file", type="file", path=str(path)))
    queue = eventer.jobq_create("slow")
    for threshold in (3600.0, 0.0, None):
        eventer.settings().jobq_threshold = threshold
        queue.enqueue(Call(lambda: None))
        drained(queue)
        until(lambda threshold=threshold: threshold != 0.0 or path.read_text() != "")
    lines = path.read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("callback Call took ")


def test_without_any_thread_a_job_is_refused_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    queue = eventer.jobq_create("poor", 2)
    ran: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(_jobq, "start_thread", refuse)
        with pytest.raises(EventerError, match="poor has no thread: can't start new thread"):
            queue.enqueue(Call(lambda: ran.append(1)))
        assert queue.figures()["backlog"] == queue.figures()["total_jobs"] == queue.figures()["threads"] == 0
    with Held(queue), monkeypatch.context() as patched:
        patched.setattr(_jobq, "start_thread", refuse)
        queue.enqueue(Call(lambda: ran.append(2)))  # the thread there is will do it
    drained(queue)
    assert ran == [2]
