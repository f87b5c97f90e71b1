"""Fixtures every room uses: fresh logs, and an eventer that is gone after the test."""

import gc
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from looping import on
from waiting import until

from luamtev import state
from runtime import eventer, log

# A machine that is busy with something else is no fault of what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

os.environ.pop("PYTHONUNBUFFERED", None)  # output of tested programs is buffered as it usually is


@pytest.fixture(autouse=True)
def fresh_logs() -> Iterator[None]:
    log.init()
    yield
    log.reset()


CLOSES_ALL = {"eventer", "test_reactor.py", "test_state.py"}
"""Tests whose sockets and pipes are closed before the loops end; elsewhere fixtures close theirs later."""


@pytest.fixture
def loops(request: pytest.FixtureRequest) -> Iterator[eventer.Pool]:
    """Two running loop threads, the default pool, on which a test leaves no watcher, coroutine or descriptor behind."""
    descriptors = count_descriptors()
    eventer.pool_create("default", 2)
    eventer.start()
    pool = eventer.pool()
    assert pool is not None
    fresh = [on(thread, watchers, thread) for thread in pool.threads]
    yield pool
    if eventer.pool() is not pool:
        return  # the test stopped them
    left = Left(pool.threads, fresh)
    try:
        until(left.nothing, lambda: left)
    finally:
        eventer.stop()
    if CLOSES_ALL & set(request.path.parts):
        until(lambda: count_descriptors() <= descriptors, lambda: f"{count_descriptors()} descriptors of {descriptors}")


class Left:
    """What a test left on the loops beside the events that are on them: they go with the loops."""

    def __init__(self, threads: list[eventer.LoopThread], fresh: list[int]) -> None:
        self.threads, self.fresh = threads, fresh
        self.found: list[str] = []

    def nothing(self) -> bool:
        gc.collect()
        self.found = []
        for thread, fresh in zip(self.threads, self.fresh, strict=True):
            extra = on(thread, watchers, thread) - fresh
            if extra > 0:  # a loop that has just begun may have had one more
                self.found.append(f"{thread.name}: {extra} watchers more than events")
        self.found += [f"Lua state on {each.thread.name}" for each in state.states()]
        return not self.found

    def __repr__(self) -> str:
        return f"<left: {', '.join(self.found)}>"


def watchers(thread: eventer.LoopThread) -> int:
    """The watchers on the loop that belong to no event."""
    return int(thread.loop.activecnt) - sum(place.watcher is not None for place in thread.events)


def count_descriptors() -> int:
    """Open sockets, pipes and the like; files are those of logs, which end later."""
    kinds = []
    for each in Path("/dev/fd").iterdir():
        try:
            kinds.append(os.fstat(int(each.name)).st_mode)
        except OSError:
            pass  # that of the listing itself
    return sum(not stat.S_ISREG(kind) and not stat.S_ISDIR(kind) for kind in kinds)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is meant to take long has no time limit."""
    for item in items:
        if item.get_closest_marker("soak") is not None:
            item.add_marker(pytest.mark.timeout(0))


@pytest.fixture(autouse=True)
def routes_as_before() -> Iterator[None]:
    """What a test takes out of the routes of the process, whole rooms' endpoints among it, is there for the next."""
    room = sys.modules.get("runtime.http")
    before = [] if room is None else room.router.mountpoints
    yield
    if room is not None:
        there = room.router.mountpoints
        for each in before:
            if each not in there:
                room.router.add(each)
