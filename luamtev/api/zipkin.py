"""Spans for Lua, by number.  A server's span is known for as long as it lives; a client's until its request is over."""

import itertools
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from luamtev.bridge import LuaError

if TYPE_CHECKING:
    from luamtev.port import Port
    from runtime.zipkin import Span

MOST_CLIENTS: Final = 10_000
"""Client spans under way; of those beyond, whose requests were given up without a word, the oldest are dropped."""

_I64: Final = 2.0**63
_LATEST: Final = 2.0**62  # microseconds since the epoch

_numbers: Final = itertools.count(1)
_spans: "Final[WeakValueDictionary[int, Span]]" = WeakValueDictionary()
_clients: "Final[dict[int, Span]]" = {}
_lock: Final = Lock()


def number_of(span: "Span") -> int:
    """A number by which Lua knows *span* from now on."""
    number = next(_numbers)
    with _lock:
        _spans[number] = span
    return number


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/zipkin.lua`` builds on."""

    def living(number: float) -> "Span | None":
        span = _spans.get(int(number))
        return None if span is None or span.over else span

    def annotate(number: float, text: bytes, timestamp: float | None) -> None:
        span = living(number)
        if span is not None:
            span.annotate(text, None if timestamp is None else int(min(max(0.0, timestamp), _LATEST)))

    def tag(number: float, key: bytes, value: bytes | float) -> None:
        span = living(number)
        if span is None:
            return
        name = key.decode("utf-8", "replace")
        if isinstance(value, bytes):
            span.bannotate_str(name, value)
        elif float(value).is_integer() and -_I64 <= value < _I64:
            span.bannotate_i64(name, int(value))
        else:
            span.bannotate_double(name, value)

    def note_line(number: float, line: bytes) -> None:
        span = living(number)
        if span is not None and span.logs:
            span.annotate(b"mtev_log " + line)

    def ids(number: float) -> tuple[str, str, str | None]:
        span = living(number)
        if span is None:
            raise LuaError("the span is over")
        high = f"{span.trace_high:016x}" if span.trace_high else ""
        parent = None if span.parent_id is None else f"{span.parent_id:016x}"
        return f"{high}{span.trace_id:016x}", f"{span.id:016x}", parent

    def begin_client(number: float, method: bytes, host: bytes, uri: bytes) -> tuple[Any, ...]:
        """The number of a client span and the headers that tell of it, name and value in turn; nothing where the span
        is over."""
        span = living(number)
        if span is None:
            return ()
        from runtime import zipkin

        made = zipkin.started(span, method.decode("utf-8", "replace"))
        made.bannotate_str("http.uri", uri)
        made.bannotate_str("http.method", method)
        made.bannotate_str("http.hostname", host)
        known_as = number_of(made)
        with _lock:
            while len(_clients) >= MOST_CLIENTS:
                _clients.pop(next(iter(_clients))).drop()
            _clients[known_as] = made
        return (known_as, *itertools.chain.from_iterable(zipkin.outgoing(made).items()))

    def end_client(number: float, code: float | None, failure: bytes | None) -> None:
        with _lock:
            span = _clients.pop(int(number), None)
        if span is None:
            return
        from runtime import zipkin

        if code is not None:
            span.bannotate_i32("http.status_code", int(code))
        if failure is not None:
            span.bannotate_str("error", failure)
        zipkin.ended(span)

    return {
        "zipkin_is_alive": lambda number: living(number) is not None,
        "zipkin_annotate": annotate,
        "zipkin_tag": tag,
        "zipkin_note_line": note_line,
        "zipkin_ids": ids,
        "zipkin_begin_client": begin_client,
        "zipkin_end_client": end_client,
    }
