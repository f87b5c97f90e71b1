"""Traces in headers of requests: those of B3, one a value, and W3C's ``traceparent``.

https://github.com/openzipkin/b3-propagation, https://www.w3.org/TR/trace-context/"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from ._span import Span

_HEX: Final = re.compile(rb"[ \t]*(?:0[xX])?([0-9a-fA-F]+)\Z")
_NUMBER: Final = re.compile(rb"[ \t]*([+-]?[0-9]+)")
_TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z")
_MOST: Final = (1 << 64) - 1

TELLING: Final = frozenset((b"x-b3-traceid", b"x-b3-parentspanid", b"x-b3-sampled", b"traceparent"))
"""Headers that tell of a trace."""


class Incoming(NamedTuple):
    """What the headers of a request say of its trace."""

    trace_id: int | None = None
    parent_id: int | None = None
    span_id: int | None = None
    debug: bool | None = None
    trace_high: int = 0
    unsampled: bool = False
    """Whoever asks has decided that the trace is not recorded: ``traceparent`` without its flag."""


class _Settings:
    """Whether ``traceparent`` and trace ids of 128 bits are understood: an exporter that can tell of them is there."""

    wide = False


def use_trace_context() -> None:
    """From now on take and send ``traceparent`` beside B3, and take ids of 128 bits whole."""
    _Settings.wide = True


def takes_trace_context() -> bool:
    """Whether that is so."""
    return _Settings.wide


def str_to_id(text: bytes | str) -> int | None:
    """A trace's or span's id from hexadecimal, ``0x`` before it or not; None for what is none.

    More than 16 digits are the largest number, as in the original.  Manual: ``mtev_zipkin_str_to_id``."""
    found = _HEX.match(text.encode("latin-1", "replace") if isinstance(text, str) else text)
    return None if found is None else min(int(found[1][:4096], 16), _MOST)


def number(text: bytes | None) -> int:
    """The number that a header begins with; 0 without one."""
    found = None if text is None else _NUMBER.match(text[:32])
    return 0 if found is None else int(found[1])


def incoming(headers: Mapping[bytes, bytes]) -> Incoming:
    """What *headers*, by lower-case name, say; those of B3 before ``traceparent``."""
    sampled = headers.get(b"x-b3-sampled")
    debug = None if sampled is None else number(sampled) == 1
    trace = headers.get(b"x-b3-traceid")
    trace_id = None if trace is None else str_to_id(trace)
    if trace is not None and trace_id is not None:
        high = 0
        digits = _HEX.match(trace)
        if _Settings.wide and digits is not None and 16 < len(digits[1]) <= 32:
            whole = int(digits[1], 16)
            trace_id, high = whole & _MOST, whole >> 64
        return Incoming(trace_id, _id(headers.get(b"x-b3-parentspanid")), _id(headers.get(b"x-b3-spanid")), debug, high)
    if _Settings.wide:
        found = _TRACEPARENT.match(headers.get(b"traceparent", b"").strip())
        if found is not None and found[1] != b"ff" and not (found[1] == b"00" and found[5]):
            whole, parent = int(found[2], 16), int(found[3], 16)
            if whole and parent:
                return Incoming(whole & _MOST, parent, None, debug, whole >> 64, not int(found[4], 16) & 1)
    return Incoming(debug=debug)


def outgoing(span: Span) -> dict[str, str]:
    """Headers by which a request made in *span* tells its trace."""
    high = f"{span.trace_high:016x}" if span.trace_high else ""
    headers = {"X-B3-TraceId": f"{high}{span.trace_id:016x}", "X-B3-SpanId": f"{span.id:016x}", "X-B3-Sampled": "1"}
    if span.parent_id is not None:
        headers["X-B3-ParentSpanId"] = f"{span.parent_id:016x}"
    if _Settings.wide:
        headers["traceparent"] = f"00-{span.trace_high:016x}{span.trace_id:016x}-{span.id:016x}-01"
    return headers


def _id(text: bytes | None) -> int | None:
    return None if text is None else str_to_id(text)
