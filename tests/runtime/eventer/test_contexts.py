"""Contexts: what travels with events without their callbacks knowing."""

from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest

from runtime import eventer
from runtime.eventer import TIMER, ContextOps, Event, Pool, _contexts, _event


@pytest.fixture(autouse=True)
def no_contexts_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_contexts, "_kinds", ())
    monkeypatch.setattr(_contexts, "_names", [])
    for name in ("made", "running", "copied"):
        monkeypatch.setattr(_event, name, None)
    yield


class Tracing(ContextOps):
    """Hands the context of the event that runs to the events made meanwhile."""

    def __init__(self) -> None:
        self.index = -1
        self.running: Any = None
        self.seen: Queue[Any] = Queue()

    def init(self, event: Event) -> None:
        eventer.set_context(event, self.index, self.running)

    def copy(self, event: Event, source: Event) -> None:
        eventer.set_context(event, self.index, f"copy of {eventer.get_context(source, self.index)}")

    def prepare(self, event: Event, mask: int, now: float) -> None:
        assert mask == TIMER
        self.running = eventer.get_context(event, self.index)
        self.seen.put(("prepare", self.running))

    def cleanup(self, event: Event, mask: int) -> None:
        self.seen.put(("cleanup", self.running))
        self.running = None


def test_a_context_travels_from_a_callback_to_the_events_it_makes(loops: Pool) -> None:
    ops = Tracing()
    ops.index = eventer.register_context("trace", ops)

    def first(*_: object) -> None:
        ops.seen.put("first")
        eventer.add_in(lambda *_: ops.seen.put("second"), None, 0.0)

    event = eventer.alloc_timer(first, None, 0.0)
    assert eventer.set_context(event, ops.index, "span") is None
    assert eventer.set_context(event, ops.index, "span") == "span"
    eventer.add(event)
    assert [ops.seen.get(timeout=20) for _ in range(6)] == [
        ("prepare", "span"),
        "first",
        ("cleanup", "span"),
        ("prepare", "span"),
        "second",
        ("cleanup", "span"),
    ]


def test_a_failing_callback_is_cleaned_up_after(loops: Pool) -> None:
    ops = Tracing()
    ops.index = eventer.register_context("trace", ops)
    eventer.add_in(lambda *_: 1 // 0, None, 0.0)
    assert [ops.seen.get(timeout=20) for _ in range(2)] == [("prepare", None), ("cleanup", None)]


def test_copies_are_told_of(loops: Pool) -> None:
    ops = Tracing()
    ops.index = eventer.register_context("trace", ops)
    event = eventer.alloc_timer(lambda *_: 0, None, 0.0)
    eventer.set_context(event, ops.index, "span")
    copy = eventer.alloc_copy(event)
    assert eventer.get_context(copy, ops.index) == "copy of span"
    assert eventer.get_context(event, ops.index) == "span"


def test_an_index_and_a_name_belong_to_one_kind() -> None:
    event = eventer.alloc_timer(lambda *_: 0, None, 0.0)
    with pytest.raises(IndexError, match="0 is no context's index"):
        eventer.get_context(event, 0)
    index = eventer.register_context("one", ContextOps())
    assert eventer.get_context(event, index) is None
    assert eventer.register_context("two", ContextOps()) == index + 1
    with pytest.raises(ValueError, match="'one' already"):
        eventer.register_context("one", ContextOps())
    with pytest.raises(IndexError, match="-1 is no"):
        eventer.set_context(event, -1, None)
