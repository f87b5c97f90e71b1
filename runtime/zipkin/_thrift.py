"""Spans in Thrift's binary protocol, as collectors of Zipkin read them.  Manual: ``mtev_zipkin_encode``.

Only the fields of Zipkin's schema that say something are written.  Annotations go newest first."""

import socket
import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from ._span import BOOL, BYTES, DOUBLE, I16, I32, I64, STRING, Annotation, BinaryAnnotation, Endpoint, Span

_T_BOOL, _T_I16, _T_I32, _T_I64, _T_STRING, _T_STRUCT, _T_LIST = 2, 6, 8, 10, 11, 12, 15

_field_i64: Final = struct.Struct("!BHQ").pack
_field_i32: Final = struct.Struct("!BHi").pack
_field_head: Final = struct.Struct("!BHI").pack
_STOP: Final = b"\0"
_VALUES: Final = {
    I16: struct.Struct("!h"),
    I32: struct.Struct("!i"),
    I64: struct.Struct("!q"),
    DOUBLE: struct.Struct("!d"),
}


def encode(span: Span) -> bytes:
    """*span* as one struct."""
    parts = [
        _field_i64(_T_I64, 1, span.trace_id),
        _string(3, span.name.encode("utf-8", "surrogateescape")),
        _field_i64(_T_I64, 4, span.id),
    ]
    if span.parent_id is not None:
        parts.append(_field_i64(_T_I64, 5, span.parent_id))
    parts.append(_structs(6, [_annotation(each) for each in reversed(span.annotations)]))
    if span.binary:
        parts.append(_structs(8, [_binary(each) for each in reversed(span.binary)]))
    if span.debug is not None:
        parts.append(struct.pack("!BHB", _T_BOOL, 9, span.debug))
    parts += (_field_i64(_T_I64, 10, span.timestamp), _field_i64(_T_I64, 11, span.duration))
    if span.trace_high:
        parts.append(_field_i64(_T_I64, 12, span.trace_high))
    parts.append(_STOP)
    return b"".join(parts)


def encode_list(spans: Sequence[Span]) -> bytes:
    """*spans* as a list of structs.  Manual: ``mtev_zipkin_encode_list``."""
    return struct.pack("!BI", _T_STRUCT, len(spans)) + b"".join(map(encode, spans))


def _string(number: int, text: bytes) -> bytes:
    return _field_head(_T_STRING, number, len(text)) + text


def _structs(number: int, encoded: Iterable[bytes]) -> bytes:
    each = list(encoded)
    return struct.pack("!BHBI", _T_LIST, number, _T_STRUCT, len(each)) + b"".join(each)


@lru_cache(1024)
def _endpoint(number: int, endpoint: Endpoint) -> bytes:
    try:
        address = socket.inet_aton(endpoint.host)
    except OSError:
        address = bytes(4)  # the schema has no other addresses here
    return (
        struct.pack("!BH", _T_STRUCT, number)
        + struct.pack("!BH4s", _T_I32, 1, address)
        + struct.pack("!BHH", _T_I16, 2, endpoint.port & 0xFFFF)
        + _string(3, endpoint.service_name.encode("utf-8", "surrogateescape"))
        + _STOP
    )


def _annotation(each: Annotation) -> bytes:
    return b"".join((_field_i64(_T_I64, 1, each.timestamp), _string(2, each.value), _endpoint(3, each.endpoint), _STOP))


def _binary(each: BinaryAnnotation) -> bytes:
    where = b"" if each.endpoint is None else _endpoint(4, each.endpoint)
    key = _string(1, each.key.encode("utf-8", "surrogateescape"))
    return key + _string(2, _value(each)) + _field_i32(_T_I32, 3, each.type) + where + _STOP


def _value(each: BinaryAnnotation) -> bytes:
    """The value as bytes, by its type."""
    value = each.value
    if isinstance(value, bytes):
        assert each.type in (BYTES, STRING)
        return value
    if each.type == BOOL:
        return b"\1" if value else b"\0"
    return _VALUES[each.type].pack(value)
