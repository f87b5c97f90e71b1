"""Spans as OpenTelemetry's protocol has them, in JSON and in protobuf.

https://opentelemetry.io/docs/specs/otlp/ (1.x), opentelemetry/proto/trace/v1/trace.proto.  Of protobuf only what a
message of these fields needs is here: varints, 64 bits, and lengths."""

import base64
import json
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import requests

from runtime import zipkin
from runtime.zipkin import Span

Value = bool | int | float | str | bytes
Attributes = list[tuple[str, Value]]

KINDS: Final = {"internal": 1, "server": 2, "client": 3}
ERROR: Final = 2
SCOPE: Final = "libmtev"
_SAMPLED: Final = 1
_HOST: Final = re.compile(r"\[?(.*?)\]?(?::(\d{1,5}))?", re.DOTALL)

_NAMES: Final = {
    "http.method": "http.request.method",
    "http.status_code": "http.response.status_code",
    "http.bytes_in": "http.request.body.size",
    "http.bytes_out": "http.response.size",
}


def attributes(span: Span) -> Attributes:
    """What is known of *span*, under the names of OpenTelemetry's conventions where those have some."""
    found: Attributes = []
    for each in span.binary:
        value: Value = each.value
        if each.type == zipkin.STRING and isinstance(value, bytes):
            value = _text(value)
        if each.key == "http.uri" and isinstance(value, str):
            path, question, query = value.partition("?")
            found.append(("url.path", path))
            if question:
                found.append(("url.query", query))
        elif each.key == "http.hostname" and isinstance(value, str):
            host, port = _HOST.fullmatch(value).groups()  # type: ignore[union-attr]  # matches whatever it is
            found.append(("server.address", host))
            if port:
                found.append(("server.port", int(port)))
        elif each.key != "span.kind":
            found.append((_NAMES.get(each.key) or _clean(each.key), value))
    return found


def failed(span: Span) -> bool:
    """Whether *span* ended in an error: a server's of 500 and above, a client's of 400 and above."""
    codes = [each.value for each in span.binary if each.key == "http.status_code" and isinstance(each.value, int)]
    return bool(codes) and codes[-1] >= (500 if span.kind == "server" else 400)


# JSON


def to_json(spans: Sequence[Span], resource: Attributes) -> bytes:
    """A request to export *spans*, in JSON."""
    document = {
        "resourceSpans": [
            {
                "resource": {"attributes": _pairs(resource)},
                "scopeSpans": [{"scope": {"name": SCOPE}, "spans": [_span(each) for each in spans]}],
            }
        ]
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _span(span: Span) -> Mapping[str, Any]:
    made: dict[str, Any] = {
        "traceId": _trace_id(span).hex(),
        "spanId": f"{span.id:016x}",
        "flags": _SAMPLED,
        "name": _clean(span.name),
        "kind": KINDS[span.kind],
        "startTimeUnixNano": str(_nanoseconds(span.timestamp)),
        "endTimeUnixNano": str(_nanoseconds(span.timestamp + span.duration)),
        "attributes": _pairs(attributes(span)),
        "events": [
            {"timeUnixNano": str(_nanoseconds(each.timestamp)), "name": _text(each.value)} for each in span.annotations
        ],
        "status": {"code": ERROR} if failed(span) else {},
    }
    if span.parent_id is not None:
        made["parentSpanId"] = f"{span.parent_id:016x}"
    return made


def _pairs(pairs: Attributes) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in pairs]


def _value(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if value - value == 0 else _NOT_FINITE[repr(value)]}
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode()}
    return {"stringValue": value}


_NOT_FINITE: Final = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}


# Answers


def left_out(answer: requests.Response) -> tuple[int, str]:
    """How many spans *answer* says were not taken though the others were, and why: its ``partial_success``."""
    text = answer.content
    if not text:
        return 0, ""
    try:
        if answer.headers.get("Content-Type", "").startswith("application/json"):
            told = json.loads(text).get("partialSuccess") or {}
            return int(told.get("rejectedSpans", 0)), str(told.get("errorMessage", ""))
        told = _read(_read(text).get(1, b""))
        return int(told.get(1, 0)), _text(told.get(2, b""))
    except (ValueError, TypeError, AttributeError, IndexError):  # no answer of the protocol's
        return 0, ""


def _read(message: bytes) -> dict[int, Any]:
    """The fields of *message* that are varints, numbers, or have a length, bytes; the last of each."""
    found: dict[int, Any] = {}
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            octet = message[place]
            place += 1
            value |= (octet & 0x7F) << shift
            shift += 7
            if octet < 128:
                return value

    while place < len(message):
        tag = varint()
        if tag & 7 == 0:
            found[tag >> 3] = varint()
        elif tag & 7 == 2:
            length = varint()
            found[tag >> 3] = message[place : place + length]
            place += length
        else:
            raise ValueError("no field of an answer's")
    return found


# Protobuf: tags of the fields here, but for that of flags, are below 128

_SMALL: Final = [bytes((value,)) for value in range(128)]
_pack_fixed64: Final = struct.Struct("<BQ").pack


def to_protobuf(spans: Sequence[Span], resource: Attributes) -> bytes:
    """The same in protobuf."""
    scope = _field(1, _field(1, SCOPE.encode())) + b"".join(_field(2, _proto_span(each)) for each in spans)
    return _field(1, _field(1, _proto_pairs(1, resource)) + _field(2, scope))


def _proto_span(span: Span) -> bytes:
    parts = [_field(1, _trace_id(span)), _field(2, span.id.to_bytes(8, "big"))]
    if span.parent_id is not None:
        parts.append(_field(4, span.parent_id.to_bytes(8, "big")))
    parts += [
        _field(5, _clean(span.name).encode()),
        _varint_field(6, KINDS[span.kind]),
        _fixed64(7, _nanoseconds(span.timestamp)),
        _fixed64(8, _nanoseconds(span.timestamp + span.duration)),
        _proto_pairs(9, attributes(span)),
    ]
    for each in span.annotations:
        parts.append(_field(11, _fixed64(1, _nanoseconds(each.timestamp)) + _field(2, _text(each.value).encode())))
    parts.append(_field(15, _varint_field(3, ERROR) if failed(span) else b""))
    parts.append(_tag(16, 5) + struct.pack("<I", _SAMPLED))
    return b"".join(parts)


def _proto_pairs(number: int, pairs: Iterable[tuple[str, Value]]) -> bytes:
    return b"".join(_field(number, _name(key) + _field(2, _proto_value(value))) for key, value in pairs)


def _proto_value(value: Value) -> bytes:
    if isinstance(value, bool):
        return _varint_field(2, value)
    if isinstance(value, int):
        return _varint_field(3, value)
    if isinstance(value, float):
        return _tag(4, 1) + struct.pack("<d", value)
    if isinstance(value, bytes):
        return _field(7, value)
    return _field(1, value.encode())


def _tag(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _varint(value: int) -> bytes:
    if 0 <= value < 128:
        return _SMALL[value]
    value &= (1 << 64) - 1
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _varint_field(number: int, value: int) -> bytes:
    return _tag(number, 0) + _varint(value)


def _fixed64(number: int, value: int) -> bytes:
    return _pack_fixed64(number << 3 | 1, value)


def _field(number: int, octets: bytes) -> bytes:
    return _SMALL[number << 3 | 2] + _varint(len(octets)) + octets


@lru_cache(1024)
def _name(text: str) -> bytes:
    """The key of a pair."""
    return _field(1, text.encode())


def _trace_id(span: Span) -> bytes:
    return span.trace_high.to_bytes(8, "big") + span.trace_id.to_bytes(8, "big")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _clean(text: str) -> str:
    """*text*, which may hold bytes that are none, as text that can be encoded."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _nanoseconds(microseconds: int) -> int:
    return min(microseconds * 1000, (1 << 64) - 1)
