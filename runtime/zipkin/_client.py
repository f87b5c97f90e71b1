"""Spans of requests that this process makes of others, below the active one.  Manual: ``mtev_zipkin_client_*``.

Each span that is active has at most one client span at a time, which the headers speak of."""

from runtime.eventer import Event

from ._active import active_span
from ._span import Span


def client_new(event: Event | None, name: str) -> Span | None:
    """A client span *name* below the active span of *event*, by default here; None where none is active.

    One that was not published is dropped."""
    span = active_span(event)
    if span is None:
        return None
    client_drop(event)
    made = span.client = started(span, name)
    return made


def started(span: Span, name: str) -> Span:
    """A client span below *span*."""
    made = span.child(name)
    made.kind = "client"
    made.annotate("cs")
    return made


def ended(span: Span) -> None:
    """The response to a client span's request is there, or there will be none."""
    span.annotate("cr")
    span.publish()


def client_span(event: Event | None = None) -> Span | None:
    """The client span of the active span."""
    span = active_span(event)
    return None if span is None else span.client


def client_publish(event: Event | None = None) -> None:
    """End the client span and publish it, if there is one."""
    span = _taken(event)
    if span is not None:
        ended(span)


def client_drop(event: Event | None = None) -> None:
    """Let go of the client span, if there is one."""
    span = _taken(event)
    if span is not None:
        span.drop()


def client_trace_hdr(event: Event | None = None) -> str | None:
    """``X-B3-TraceId: 0xHEX`` for the request, None without a client span."""
    span = client_span(event)
    return None if span is None else f"X-B3-TraceId: {span.trace_id:#x}"


def client_parent_hdr(event: Event | None = None) -> str | None:
    """``X-B3-ParentSpanId: 0xHEX`` for the request, None without a client span."""
    span = client_span(event)
    return None if span is None or span.parent_id is None else f"X-B3-ParentSpanId: {span.parent_id:#x}"


def client_span_hdr(event: Event | None = None) -> str | None:
    """``X-B3-SpanId: 0xHEX`` for the request, None without a client span."""
    span = client_span(event)
    return None if span is None else f"X-B3-SpanId: {span.id:#x}"


def client_sampled_hdr(event: Event | None = None) -> str | None:
    """``X-B3-Sampled: 1`` for the request, None without a client span."""
    return None if client_span(event) is None else "X-B3-Sampled: 1"


def _taken(event: Event | None) -> Span | None:
    span = active_span(event)
    if span is None:
        return None
    client, span.client = span.client, None
    return client
