"""Spans: records of work that belong to traces, and which of them are made at all.  Manual: ``mtev_zipkin_span_*``.

Ids are numbers of 64 bits without a sign, times are microseconds since the epoch.  A span that was published or dropped
takes no more annotations, and says so by returning None.  Spans may be used from any thread, by one at a time.
"""

import random
import time
from typing import Any, Final, NamedTuple

from runtime import hooks, log, sampling, stats

PUBLISH_SPAN: Final = hooks.declare("zipkin_publish_span")
"""``callback(span)``: a span is complete.  What exports spans registers here."""
PUBLISH: Final = hooks.declare("zipkin_publish")
"""``callback(trace_id, octets)``: the same with the span in Thrift's binary encoding."""

BOOL, BYTES, I16, I32, I64, DOUBLE, STRING = range(7)
"""Types of the values of binary annotations."""

MOST_ANNOTATIONS: Final = 1000
"""Annotations and binary annotations that one span takes each; what comes after is counted and left out."""

_MASK: Final = (1 << 64) - 1
_published: Final = stats.counter("zipkin.published")
_dropped: Final = stats.counter("zipkin.dropped")
_left_out: Final = stats.counter("zipkin.annotations_left_out")


class Endpoint(NamedTuple):
    """Where something happened: *host* is an IPv4 address as text."""

    service_name: str
    host: str = "0.0.0.0"
    port: int = 0


class Annotation:
    """Something that happened at a time."""

    __slots__ = ("endpoint", "timestamp", "value")

    def __init__(self, timestamp: int, value: bytes, endpoint: Endpoint) -> None:
        self.timestamp, self.value, self.endpoint = timestamp, value, endpoint

    def set_endpoint(self, service_name: str, host: str, port: int) -> None:
        """Manual: ``mtev_zipkin_annotation_set_endpoint``."""
        self.endpoint = Endpoint(service_name, host, port)


class BinaryAnnotation:
    """Something that is so.  ``value`` is bool, int, float, bytes or, as UTF-8, the bytes of a text, by ``type``."""

    __slots__ = ("endpoint", "key", "type", "value")

    def __init__(self, key: str, kind: int, value: bool | int | float | bytes) -> None:
        self.key, self.type, self.value = key, kind, value
        self.endpoint: Endpoint | None = None

    def set_endpoint(self, service_name: str, host: str, port: int) -> None:
        """Manual: ``mtev_zipkin_bannotation_set_endpoint``."""
        self.endpoint = Endpoint(service_name, host, port)


_default_endpoint = Endpoint("mtev")


def default_endpoint(service_name: str, host: str, port: int) -> None:
    """Of new spans that get none of their own.  Manual: ``mtev_zipkin_default_endpoint``."""
    global _default_endpoint
    _default_endpoint = Endpoint(service_name, host, port)


def default_service_name(service_name: str) -> None:
    """Likewise; the address stays.  Manual: ``mtev_zipkin_default_service_name``."""
    global _default_endpoint
    _default_endpoint = _default_endpoint._replace(service_name=service_name)


class Span:
    """One piece of work.  Made by :func:`span_new` and :meth:`child`.

    Attributes: ``trace_id``, and ``trace_high``, its upper half where it has 128 bits; ``id``; ``parent_id`` or None;
    ``name``; ``debug``, None where nobody said; ``timestamp``, its start; ``duration``, once it has ended;
    ``annotations`` and ``binary``, oldest first; ``endpoint``, of new annotations; ``kind``, ``server``, ``client``
    or ``internal``; ``level``, how events made in it are traced: 0 not, 1 their life, 2 each callback;
    ``logs``, whether lines logged in it are annotations; ``over``, it was published or dropped."""

    __slots__ = (
        "__weakref__",
        "_began",
        "annotations",
        "binary",
        "client",
        "debug",
        "duration",
        "endpoint",
        "id",
        "kind",
        "level",
        "logs",
        "name",
        "over",
        "parent_id",
        "refs",
        "timestamp",
        "trace_high",
        "trace_id",
    )

    def __init__(self, trace_id: int, span_id: int, parent_id: int | None, name: str, debug: bool | None) -> None:
        self.trace_id, self.id, self.parent_id = trace_id, span_id, parent_id
        self.trace_high = 0
        self.name = name
        self.debug = debug
        self.timestamp = now()
        self._began = time.monotonic()
        self.duration = 0
        self.annotations: list[Annotation] = []
        self.binary: list[BinaryAnnotation] = []
        self.endpoint = _default_endpoint
        self.kind = "internal"
        self.level = 0
        self.logs = False
        self.over = False
        self.refs = 1
        self.client: Span | None = None

    def __repr__(self) -> str:
        return f"<Span {self.name} {self.trace_id:016x}:{self.id:016x}>"

    def child(self, name: str) -> "Span":
        """A span of the same trace below this one; made whatever is sampled, since this one is."""
        made = Span(self.trace_id, new_id(), self.id, name, self.debug)
        made.trace_high, made.endpoint, made.logs = self.trace_high, self.endpoint, self.logs
        return made

    def ref(self) -> "Span":
        """One more has to publish or drop the span before it is done with.  Manual: ``mtev_zipkin_span_ref``."""
        self.refs += 1
        return self

    def rename(self, name: str) -> None:
        """Manual: ``mtev_zipkin_span_rename``."""
        self.name = name

    def set_default_endpoint(self, service_name: str, host: str, port: int) -> None:
        """Of annotations from now on.  Manual: ``mtev_zipkin_span_default_endpoint``."""
        self.endpoint = Endpoint(service_name, host, port)

    def get_ids(self) -> tuple[int, int | None, int]:
        """Trace, parent or None, and own id.  Manual: ``mtev_zipkin_span_get_ids``."""
        return self.trace_id, self.parent_id, self.id

    def attach_logs(self, on: bool) -> None:
        """Whether lines that are logged while the span is active are annotations.

        Manual: ``mtev_zipkin_span_attach_logs``."""
        self.logs = on

    def logs_attached(self) -> bool:
        """Manual: ``mtev_zipkin_span_logs_attached``."""
        return self.logs

    def annotate(self, value: bytes | str, timestamp: int | None = None) -> Annotation | None:
        """*value* happened, now or at *timestamp*.  Raises ValueError for a time that does not fit into 63 bits.

        Manual: ``mtev_zipkin_span_annotate``."""
        if timestamp is not None and not 0 <= timestamp < 1 << 63:
            raise ValueError(f"{timestamp} is no time in microseconds since the epoch")
        if not self._takes(self.annotations):
            return None
        made = Annotation(now() if timestamp is None else timestamp, _bytes(value), self.endpoint)
        self.annotations.append(made)
        return made

    def bannotate(self, kind: int, key: str, value: Any) -> BinaryAnnotation | None:
        """*key* is *value*, of the type *kind*.  Raises ValueError for a value that is not of it.

        Manual: ``mtev_zipkin_span_bannotate``."""
        if not self._takes(self.binary):
            return None
        made = BinaryAnnotation(key, kind, _checked(kind, key, value))
        self.binary.append(made)
        return made

    def bannotate_str(self, key: str, value: bytes | str) -> BinaryAnnotation | None:
        """Manual: ``mtev_zipkin_span_bannotate_str``."""
        return self.bannotate(STRING, key, value)

    def bannotate_i32(self, key: str, value: int) -> BinaryAnnotation | None:
        """Manual: ``mtev_zipkin_span_bannotate_i32``."""
        return self.bannotate(I32, key, value)

    def bannotate_i64(self, key: str, value: int) -> BinaryAnnotation | None:
        """Manual: ``mtev_zipkin_span_bannotate_i64``."""
        return self.bannotate(I64, key, value)

    def bannotate_double(self, key: str, value: float) -> BinaryAnnotation | None:
        """Manual: ``mtev_zipkin_span_bannotate_double``."""
        return self.bannotate(DOUBLE, key, value)

    def drop(self) -> None:
        """Let go of the span without publishing it.  Manual: ``mtev_zipkin_span_drop``."""
        if self._released():
            _dropped.add()

    def publish(self) -> None:
        """End the span and hand it to whoever exports spans.  Manual: ``mtev_zipkin_span_publish``."""
        if not self._released():
            return
        self.duration = max(1, int((time.monotonic() - self._began) * 1e6))
        _published.add()
        try:
            PUBLISH_SPAN.invoke(self)
            if PUBLISH.exists():
                from ._thrift import encode

                PUBLISH.invoke(self.trace_id, encode(self))
        except Exception as failure:  # whoever worked did nothing wrong
            log.error.log(f"zipkin: a span was not published: {failure!r}\n")

    def described(self) -> dict[str, Any]:
        """The span as Lua's hooks get it."""
        parent = None if self.parent_id is None else f"{self.parent_id:016x}"
        return {
            "trace_id": f"{self.trace_id:016x}",
            "id": f"{self.id:016x}",
            "parent_id": parent,
            "name": self.name,
            "timestamp": self.timestamp,
            "duration": self.duration,
        }

    def _released(self) -> bool:
        """Whether nobody else holds the span, which is over then."""
        self.refs -= 1
        if self.over or self.refs > 0:
            return False
        self.over = True
        return True

    def _takes(self, kept: "list[Any]") -> bool:
        if self.over:
            return False
        if len(kept) >= MOST_ANNOTATIONS:
            _left_out.add()
            return False
        return True


def span_new(
    trace_id: int | None = None,
    parent_id: int | None = None,
    span_id: int | None = None,
    name: str = "",
    debug: bool | None = None,
    force: bool = False,
) -> Span | None:
    """A span, if it is to be: None where the probabilities are against it.  *force*: whatever they say.

    Without *trace_id* a new trace; without *span_id* the id is the trace's, or a new one below a parent.
    Manual: ``mtev_zipkin_span_new``."""
    if not (force or is_drawn(trace_id, parent_id, debug)):
        return None
    if trace_id is None:
        trace_id, parent_id, span_id = new_id(), None, None
    if span_id is None:
        span_id = trace_id if parent_id is None else new_id()
    return Span(trace_id & _MASK, span_id & _MASK, None if parent_id is None else parent_id & _MASK, name, debug)


def is_drawn(trace_id: int | None, parent_id: int | None, debug: bool | None) -> bool:
    """Whether a span is to be, as the probabilities have it: drawn anew each time."""
    if debug and _drawn(sampling.debug):
        return True
    if trace_id is None:
        return _drawn(sampling.new)
    return parent_id is None or _drawn(sampling.parented)


def set_sampling(new_traces: float, parented_traces: float, debug_traces: float) -> None:
    """Set probabilities, 0.0 to 1.0.  Raises ValueError for others.  Manual: ``mtev_zipkin_sampling``."""
    for each in (new_traces, parented_traces, debug_traces):
        if not 0.0 <= each <= 1.0:
            raise ValueError(f"a probability is 0 to 1, not {each}")
    sampling.change(new_traces * 100, parented_traces * 100, debug_traces * 100)


def get_sampling() -> tuple[float, float, float]:
    """Those probabilities.  Manual: ``mtev_zipkin_get_sampling``."""
    return sampling.new / 100, sampling.parented / 100, sampling.debug / 100


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def new_id() -> int:
    """A new id, never 0."""
    return random.getrandbits(63) + 1


def _drawn(percent: float) -> bool:
    return percent > 0 and (percent >= 100 or random.random() * 100 < percent)


_BITS: Final = {I16: 16, I32: 32, I64: 64}


def _checked(kind: int, key: str, value: Any) -> bool | int | float | bytes:
    """*value* as it is kept."""
    bits = _BITS.get(kind)
    if bits is not None and isinstance(value, int) and not isinstance(value, bool):
        if not -(1 << bits - 1) <= value < 1 << bits - 1:
            raise ValueError(f"{key}: {value} does not fit into {bits} bits")
        return value
    if kind == DOUBLE and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind == BOOL and isinstance(value, bool):
        return value
    if kind in (BYTES, STRING) and isinstance(value, bytes | str):
        return _bytes(value)
    raise ValueError(f"{key}: {value!r} is no value of type {kind}")


def _bytes(text: bytes | str) -> bytes:
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else bytes(text)
