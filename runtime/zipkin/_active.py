"""The active span: that of the work which runs now.

It belongs to the context of the greenlet (:mod:`contextvars`): an aco has that of whoever started it.  Events that are
made while a span is active carry it, so that it is active in their callbacks too; at level 1 and above each of them is
a span of its own, at level 2 each call of its callback.  Manual: ``mtev_zipkin_active_span``,
``mtev_zipkin_attach_to_eventer``, ``mtev_zipkin_attach_to_aco``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, Final

from runtime import eventer, log
from runtime.eventer import Event

from ._span import Span

_current: Final[ContextVar[Span | None]] = ContextVar("zipkin", default=None)
_level = 0
_index = -1


def active_span(event: Event | None = None) -> Span | None:
    """The span that is active here, or of *event*; None when there is none, or it is over."""
    if event is None:
        span = _current.get()
    else:
        carried = _carried(event)
        span = None if carried is None else carried.span
    return None if span is None or span.over else span


@contextmanager
def within(span: Span | None) -> Iterator[None]:
    """Have *span* be active in this block."""
    token = _current.set(span)
    try:
        yield
    finally:
        _current.reset(token)


def activate(span: Span | None) -> None:
    """Have *span* be active from here on in this aco.  Manual: ``mtev_zipkin_attach_to_aco``."""
    _current.set(span)


def attach_to_aco(span: Span, new_child: bool = False, level: int | None = None) -> Span:
    """Have *span*, or a new child of it, be active in this aco; returns that one.

    *level*: how events that are made in it are traced."""
    eventer_init()
    made = span.child(f"{span.name} aco") if new_child else span
    if level is not None:
        made.level = level
    _current.set(made)
    return made


def attach_to_eventer(event: Event | None, span: Span, new_child: bool = False, level: int | None = None) -> None:
    """Have *span*, or a new child that ends with the event, be active whenever *event*, by default the one whose
    callback runs, is called.

    Raises :exc:`runtime.eventer.EventerError` when there is none."""
    eventer_init()
    chosen = event if event is not None else eventer.this_event()
    if chosen is None:
        raise eventer.EventerError("there is no event to attach a span to")
    _carry(chosen, span, span.level if level is None else level, new_child)


def event_trace_level(level: int) -> None:
    """How events are traced in spans that say nothing of it.  Manual: ``mtev_zipkin_event_trace_level``."""
    global _level
    _level = level


def default_level() -> int:
    """What :func:`event_trace_level` set."""
    return _level


def eventer_init() -> None:
    """Have events carry spans.  Manual: ``mtev_zipkin_eventer_init``."""
    global _index
    if _index < 0:
        _index = eventer.register_context("zipkin", _Spans())
        log.watch_lines(_note_line)


class _Carried:
    """What an event has with it: the span, whether that ends with the event, and the activation under way."""

    __slots__ = ("level", "own", "parent", "span", "token")

    def __init__(self, span: Span, parent: Span, level: int, own: bool) -> None:
        self.span, self.parent, self.level, self.own = span, parent, level, own
        self.token: Token[Span | None] | None = None


class _Spans(eventer.ContextOps):
    def init(self, event: Event) -> None:
        span = _current.get()
        if span is not None and not span.over:
            _carry(event, span, span.level, span.level > 0)

    def copy(self, event: Event, source: Event) -> None:
        carried = _carried(source)
        if carried is not None:
            _carry(event, carried.parent, carried.level, carried.own)

    def prepare(self, event: Event, mask: int, now: float) -> None:
        carried = _carried(event)
        if carried is None:
            return
        span = carried.span
        if carried.level > 1:
            span = carried.span = _begun(carried.parent, _name(event), carried.level)
        carried.token = _current.set(span)

    def cleanup(self, event: Event, mask: int) -> None:
        carried = _carried(event)
        if carried is not None and carried.token is not None:
            _current.reset(carried.token)
            carried.token = None

    def returned(self, event: Event, mask: int, following: int | None) -> None:
        carried = _carried(event)
        if carried is None or not carried.own:
            return
        if carried.level > 1:
            span = carried.span
            span.bannotate_str("eventer.thread", eventer.current().name)
            span.bannotate_i32("eventer.mask", mask)
            span.bannotate_i32("eventer.return", following or 0)
            _end(span)
        elif not following or mask & eventer.TIMER:
            _end(carried.span)


def _carry(event: Event, span: Span, level: int, own: bool) -> None:
    carried = _Carried(span, span, level, own)
    if own and level < 2:
        carried.span = _begun(span, _name(event), level)
    eventer.set_context(event, _index, carried)


def _carried(event: Event) -> Any:
    return None if _index < 0 else eventer.get_context(event, _index)


def _name(event: Event) -> str:
    return eventer.name_for_callback(event.callback, event)


def _begun(parent: Span, name: str, level: int) -> Span:
    span = parent.child(name)
    span.level = level
    span.bannotate_str("span.kind", "internal")
    span.annotate("internal_start")
    return span


def _end(span: Span) -> None:
    span.annotate("internal_done")
    span.publish()


def _note_line(message: bytes) -> None:
    """A line was logged here."""
    span = _current.get()
    if span is not None and span.logs and not span.over:
        span.annotate(b"mtev_log " + message)
