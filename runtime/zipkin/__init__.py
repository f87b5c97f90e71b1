"""Traces: spans of requests and of the work for them, handed to exporters.  Manual: ``mtev_zipkin_*``.

Requests are looked at once a probability is above 0 and there is an exporter or a ``<zipkin>`` in the configuration."""

from ._active import (
    activate,
    active_span,
    attach_to_aco,
    attach_to_eventer,
    default_level,
    event_trace_level,
    eventer_init,
    within,
)
from ._client import (
    client_drop,
    client_new,
    client_parent_hdr,
    client_publish,
    client_sampled_hdr,
    client_span,
    client_span_hdr,
    client_trace_hdr,
    ended,
    started,
)
from ._headers import outgoing, str_to_id, use_trace_context
from ._server import Chances, begin, chances, configure, end, is_on, renew, span_of
from ._span import (
    BOOL,
    BYTES,
    DOUBLE,
    I16,
    I32,
    I64,
    PUBLISH,
    PUBLISH_SPAN,
    STRING,
    Annotation,
    BinaryAnnotation,
    Endpoint,
    Span,
    default_endpoint,
    default_service_name,
    get_sampling,
    now,
    set_sampling,
    span_new,
)
from ._thrift import encode, encode_list

__all__ = [
    "BOOL",
    "BYTES",
    "DOUBLE",
    "I16",
    "I32",
    "I64",
    "PUBLISH",
    "PUBLISH_SPAN",
    "STRING",
    "Annotation",
    "BinaryAnnotation",
    "Chances",
    "Endpoint",
    "Span",
    "activate",
    "active_span",
    "attach_to_aco",
    "attach_to_eventer",
    "begin",
    "chances",
    "client_drop",
    "client_new",
    "client_parent_hdr",
    "client_publish",
    "client_sampled_hdr",
    "client_span",
    "client_span_hdr",
    "client_trace_hdr",
    "configure",
    "default_endpoint",
    "default_level",
    "default_service_name",
    "encode",
    "encode_list",
    "end",
    "ended",
    "event_trace_level",
    "eventer_init",
    "get_sampling",
    "is_on",
    "now",
    "outgoing",
    "renew",
    "set_sampling",
    "span_new",
    "span_of",
    "started",
    "str_to_id",
    "timeval_to_timestamp",
    "use_trace_context",
    "within",
]


def timeval_to_timestamp(seconds: int, microseconds: int) -> int:
    """Microseconds since the epoch.  Manual: ``mtev_zipkin_timeval_to_timestamp``."""
    return seconds * 1_000_000 + microseconds
