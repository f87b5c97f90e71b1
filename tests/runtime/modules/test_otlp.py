"""Spans in OpenTelemetry's protocol, read with its own library."""

import json
import random
from collections.abc import Callable

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as TheirSpan

from runtime import zipkin
from runtime.modules import _otlp
from runtime.modules._otlp import Attributes

RESOURCE: Attributes = [("service.name", "tests é"), ("process.pid", 1 << 40), ("fine", True)]


def example(kind: str = "server", status: int = 200) -> zipkin.Span:
    span = zipkin.span_new(0x463AC35C9F6413AD, 5, (1 << 64) - 2, "GET /é", force=True)
    assert span is not None
    span.kind, span.trace_high = kind, 0xABC
    span.annotate("sr", 1_700_000_000_000_001)
    span.annotate(b"not \xff text")
    span.bannotate_str("http.uri", "/a?b=c")
    span.bannotate_i32("http.status_code", status)
    span.bannotate_i64("least", -(1 << 63))
    span.bannotate_double("half", -0.5)
    span.bannotate_double("endless", float("inf"))
    span.bannotate(zipkin.BOOL, "not", False)
    span.bannotate(zipkin.BYTES, "raw", b"\0\xff")
    span.publish()
    return span


@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_both_forms_are_read_alike(form: str) -> None:
    span = example()
    read = ExportTraceServiceRequest()
    if form == "protobuf":
        read.ParseFromString(_otlp.to_protobuf([span, span], RESOURCE))
    else:
        document = json.loads(_otlp.to_json([span, span], RESOURCE))
        (scope,) = document["resourceSpans"][0]["scopeSpans"]
        first = scope["spans"][0]
        assert (first["traceId"], first["spanId"]) == ("0000000000000abc463ac35c9f6413ad", "fffffffffffffffe")
        for each in scope["spans"]:  # the protocol's JSON has ids in hexadecimal, protobuf's own in base 64
            for name in ("traceId", "spanId", "parentSpanId"):
                each[name] = __import__("base64").b64encode(bytes.fromhex(each[name])).decode()
        json_format.ParseDict(document, read)
    (group,) = read.resource_spans
    assert [(each.key, getattr(each.value, each.value.WhichOneof("value"))) for each in group.resource.attributes] == [
        ("service.name", "tests é"),
        ("process.pid", 1 << 40),
        ("fine", True),
    ]
    (scope,) = group.scope_spans
    assert len(scope.spans) == 2
    found = scope.spans[1]
    assert found.trace_id.hex() == "0000000000000abc463ac35c9f6413ad"
    assert (found.span_id.hex(), found.parent_span_id.hex()) == ("fffffffffffffffe", "0000000000000005")
    assert (found.name, found.kind, found.flags) == ("GET /é", TheirSpan.SPAN_KIND_SERVER, 1)
    assert found.start_time_unix_nano == span.timestamp * 1000
    assert found.end_time_unix_nano == (span.timestamp + span.duration) * 1000
    assert {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in found.attributes} == {
        "url.path": "/a",
        "url.query": "b=c",
        "http.response.status_code": 200,
        "least": -(1 << 63),
        "half": -0.5,
        "endless": float("inf"),
        "not": False,
        "raw": b"\0\xff",
    }
    assert [each.name for each in found.events] == ["sr", "not � text"]
    assert found.events[0].time_unix_nano == 1_700_000_000_000_001_000
    assert found.status.code == 0


@pytest.mark.parametrize(
    ("kind", "status", "code"), [("server", 404, 0), ("server", 500, 2), ("client", 404, 2), ("client", 302, 0)]
)
def test_what_is_an_error(kind: str, status: int, code: int) -> None:
    read = ExportTraceServiceRequest()
    read.ParseFromString(_otlp.to_protobuf([example(kind, status)], []))
    assert read.resource_spans[0].scope_spans[0].spans[0].status.code == code


def test_numbers_of_every_length_come_through() -> None:
    rng = random.Random(7)
    numbers = [sign * rng.getrandbits(bits) for bits in range(1, 63) for sign in (1, -1)]
    read = ExportTraceServiceRequest()
    read.ParseFromString(_otlp.to_protobuf([], [(f"{at}", value) for at, value in enumerate(numbers)]))
    assert [each.value.int_value for each in read.resource_spans[0].resource.attributes] == numbers


@pytest.mark.parametrize(
    ("hostname", "address", "port"),
    [
        ("example.com:8080", "example.com", 8080),
        ("example.com", "example.com", None),
        ("[::1]:80", "::1", 80),
        ("[::1]", "::1", None),
        ("", "", None),
        ("a:b:c", "a:b:c", None),
        ("a:123456789", "a:123456789", None),
        ("\n:80", "\n", 80),
    ],
)
def test_an_address_is_one_without_its_port(hostname: str, address: str, port: int | None) -> None:
    span = example()
    span.binary = [zipkin.BinaryAnnotation("http.hostname", zipkin.STRING, hostname.encode())]
    expected: Attributes = [("server.address", address)]
    assert _otlp.attributes(span) == (expected if port is None else [*expected, ("server.port", port)])


@pytest.mark.parametrize("encode", [_otlp.to_json, _otlp.to_protobuf])
def test_what_is_no_text_and_times_out_of_reach_are_sent_still(encode: Callable[..., bytes]) -> None:
    span = zipkin.span_new(name="\udcff", force=True)
    assert span is not None
    span.annotate("end of days", (1 << 63) - 1)
    span.bannotate_str("\udcfe", b"\xff")
    with pytest.raises(ValueError, match="-1 is no time"):
        span.annotate("before", -1)
    with pytest.raises(ValueError, match="is no time"):
        span.annotate("after", 1 << 63)
    body = encode([span], RESOURCE)
    read = ExportTraceServiceRequest()
    if encode is _otlp.to_protobuf:
        read.ParseFromString(body)
        assert read.resource_spans[0].scope_spans[0].spans[0].name == "\ufffd"
    else:
        assert json.loads(body)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"] == "\ufffd"
