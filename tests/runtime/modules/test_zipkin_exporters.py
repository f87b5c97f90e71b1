"""Modules that hand spans to collectors: how they are configured, and that nothing gets lost on the way."""

import gzip
import ssl
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import spansink
from certificates import Authority
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from spansink import Sink
from waiting import until

from runtime import eventer, lifecycle, zipkin
from runtime.modules import _span_batches
from runtime.modules._span_batches import SpanBatches
from runtime.modules.zipkin_fq import ZipkinFq
from runtime.modules.zipkin_jaeger import ZipkinJaeger
from runtime.modules.zipkin_otlp import ZipkinOtlp
from runtime.zipkin import _headers


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_span_batches, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(_span_batches, "LAST_PAUSE", 0.1)
    monkeypatch.setattr(_headers._Settings, "wide", False)
    yield
    lifecycle.stop(lambda function: function())


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as made:
        yield made


def jaeger(port: int, **config: str) -> SpanBatches:
    module = ZipkinJaeger()
    module.configure({"port": str(port), "period": "20", **config})
    module.init()
    return module.batches


def publish(count: int = 1) -> None:
    for _ in range(count):
        span = zipkin.span_new(force=True, name="a span")
        assert span is not None
        span.publish()


def counts(sink: Sink) -> list[int]:
    """Of each post the spans, whose framing is checked."""
    found = []
    for post in sink.posts:
        kind, count = struct.unpack_from("!BI", post.body)
        assert kind == 12 and post.body.count(b"\x0b\x00\x03\x00\x00\x00\x06a span") == count
        found.append(count)
    return found


def test_spans_are_posted_as_recorded(loops: eventer.Pool, sink: Sink) -> None:
    batches = jaeger(sink.port)
    publish(3)
    until(lambda: batches.sent == 3)
    post = sink.posts[0]
    assert post.path == "/api/v1/spans"
    assert {name: post.headers[name] for name in ("Host", "Accept", "Content-Type", "Content-Length")} == {
        "Host": f"127.0.0.1:{sink.port}",
        "Accept": "*/*",
        "Content-Type": "application/x-thrift",
        "Content-Length": str(len(post.body)),
    }
    assert sum(counts(sink)) == 3


def test_batches_are_no_larger_than_allowed_and_full_ones_do_not_wait(loops: eventer.Pool, sink: Sink) -> None:
    batches = jaeger(sink.port, max_batch="4", period="100000000")
    publish(8)
    until(lambda: batches.sent == 8)
    publish(3)
    assert max(counts(sink)) == 4
    assert batches.waiting == 3
    batches.stop()
    assert sum(counts(sink)) == 11


def test_a_collector_that_is_away_gets_everything_later(loops: eventer.Pool) -> None:
    with Sink() as first:
        port = first.port
    batches = jaeger(port, backlog="10", max_batch="4")
    publish(12)
    until(lambda: batches.failures > 1)
    assert (batches.waiting, batches.sent, batches.dropped["backlog"]) == (10, 0, 2)
    with Sink(port) as second:
        until(lambda: batches.sent == 10)
        assert sum(counts(second)) == 10 and max(counts(second)) <= 4
        publish()
        until(lambda: batches.sent == 11)
    with_it_gone = batches.failures
    publish()
    until(lambda: batches.failures > with_it_gone)
    with Sink(port):
        until(lambda: batches.sent == 12)
    assert batches.dropped == {"backlog": 2, "refused": 0}


@pytest.mark.parametrize("retries", [0, 2])
def test_a_batch_that_is_refused_is_posted_so_often_again(loops: eventer.Pool, sink: Sink, retries: int) -> None:
    sink.status = 500
    batches = jaeger(sink.port, retries=str(retries))
    publish()
    until(lambda: batches.dropped["refused"] == 1)
    assert counts(sink) == [1] * (retries + 1)
    sink.status = 202
    publish()
    until(lambda: batches.sent == 1)
    assert batches.failures == retries + 1


def test_nobody_waits_for_a_slow_collector(loops: eventer.Pool, sink: Sink) -> None:
    sink.open.clear()
    batches = jaeger(sink.port, max_batch="2", backlog="6")
    publish(2)
    publish(6)
    assert batches.waiting == 6
    sink.open.set()
    until(lambda: batches.sent == 6)
    assert batches.dropped["backlog"] == 2


@pytest.mark.parametrize("protocol", ["protobuf", "json"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_otlp_is_posted(loops: eventer.Pool, sink: Sink, protocol: str, compression: str) -> None:
    module = ZipkinOtlp()
    url = f"http://127.0.0.1:{sink.port}/v1/traces"
    module.configure(
        {"url": url, "protocol": protocol, "compression": compression, "period": "20", "service_name": "ours"}
        | {"header_authorization": "Bearer xyz", "resource_deployment.environment": "test", "resource_host.name": "h"}
    )
    module.init()
    publish()
    until(lambda: module.batches.sent == 1)
    (post,) = sink.posts
    assert post.headers["Content-Type"] == {"protobuf": "application/x-protobuf", "json": "application/json"}[protocol]
    assert post.headers["authorization"] == "Bearer xyz"
    body = gzip.decompress(post.body) if compression == "gzip" else post.body
    if protocol == "protobuf":
        read = ExportTraceServiceRequest()
        read.ParseFromString(body)
        named = {each.key: each.value.string_value for each in read.resource_spans[0].resource.attributes}
        assert named["service.name"] == "ours" and named["deployment.environment"] == "test"
        assert named["host.name"] == "h" and len(named) == len(read.resource_spans[0].resource.attributes)
    else:
        assert b'"stringValue":"ours"' in body


def started(port: int, **more: str) -> ZipkinOtlp:
    module = ZipkinOtlp()
    module.configure({"url": f"http://127.0.0.1:{port}/v1/traces", "period": "20", **more})
    module.init()
    return module


@pytest.mark.parametrize(("status", "posts"), [(400, 1), (401, 1), (413, 1), (429, 3), (408, 3), (500, 3), (503, 3)])
def test_what_will_never_be_taken_is_not_posted_again(loops: eventer.Pool, sink: Sink, status: int, posts: int) -> None:
    sink.status = status
    batches = started(sink.port, retries="2").batches
    publish()
    until(lambda: batches.dropped["refused"] == 1)
    assert len(sink.posts) == posts
    sink.status = 200
    publish()
    until(lambda: batches.sent == 1)


def test_a_collector_is_left_alone_for_as_long_as_it_asks(loops: eventer.Pool, sink: Sink) -> None:
    sink.status, sink.answer = 503, ({"Retry-After": "2"}, b"")
    batches = started(sink.port).batches
    begun = time.monotonic()
    publish()
    until(lambda: batches.failures == 1)
    sink.status = 200
    until(lambda: batches.sent == 1)
    assert time.monotonic() - begun >= 2


@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_spans_that_a_collector_leaves_out_are_counted(loops: eventer.Pool, sink: Sink, form: str) -> None:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 2
    answer.partial_success.error_message = "too old"
    if form == "json":
        sink.answer = ({"Content-Type": "application/json"}, json_format.MessageToJson(answer).encode())
    else:
        sink.answer = ({"Content-Type": "application/x-protobuf"}, answer.SerializeToString())
    batches = started(sink.port, protocol=form, period="100000", max_batch="5").batches
    publish(5)
    until(lambda: batches.sent == 3)
    assert batches.dropped["refused"] == 2
    for nonsense in (b"\xff", b"{}", b"[]", b"\x0a\x7f\x08", b'{"partialSuccess": {"rejectedSpans": "x"}}', b"ok"):
        sink.answer = (sink.answer[0], nonsense)
        before = batches.sent
        publish(5)
        until(lambda sent=before: batches.sent == sent + 5)  # type: ignore[misc]


def test_otlp_goes_over_tls_to_who_is_known(loops: eventer.Pool, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("localhost", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    with Sink() as sink:
        sink.wrap(context)
        url = f"https://localhost:{sink.port}/v1/traces"
        strangers = started(sink.port, url=url).batches
        publish()
        until(lambda: strangers.failures > 0)
        assert not sink.posts
        strangers.stop()
        known = started(sink.port, url=url, ca_chain=str(authority.issued.certificate)).batches
        publish()
        until(lambda: known.sent == 1)


def test_several_exporters_get_every_span(loops: eventer.Pool, sink: Sink) -> None:
    with spansink.Sink() as other:
        batches = jaeger(sink.port)
        module = ZipkinOtlp()
        module.configure({"url": f"http://127.0.0.1:{other.port}/v1/traces", "period": "20"})
        module.init()
        publish(5)
        until(lambda: (batches.sent, module.batches.sent) == (5, 5))


@pytest.mark.parametrize(
    ("module", "config", "complaint"),
    [
        (ZipkinJaeger, {"port": "http"}, "port: expected a number from 1 to 65535, got 'http'"),
        (ZipkinJaeger, {"port": "65536"}, "port: "),
        (ZipkinJaeger, {"host": ""}, "host: "),
        (ZipkinJaeger, {"host": "a b"}, "host: "),
        (ZipkinJaeger, {"host": "a/b"}, "host: "),
        (ZipkinJaeger, {"period": "0.5"}, "period: "),
        (ZipkinJaeger, {"max_batch": "0"}, "max_batch: "),
        (ZipkinJaeger, {"backlog": "-1"}, "backlog: "),
        (ZipkinJaeger, {"retries": "many"}, "retries: "),
        (ZipkinOtlp, {"url": "localhost:4318"}, "url: "),
        (ZipkinOtlp, {"url": "http://host:port/"}, "url: "),
        (ZipkinOtlp, {"protocol": "grpc"}, "protocol: expected protobuf or json, got 'grpc'"),
        (ZipkinOtlp, {"compression": "br"}, "compression: "),
        (ZipkinOtlp, {"ca_chain": "/nowhere"}, "ca_chain: "),
        (ZipkinOtlp, {"header_a b": "c"}, "header_a b: "),
        (ZipkinOtlp, {"header_ab": "c\nd"}, "header_ab: "),
        (ZipkinOtlp, {"resource_": "c"}, "resource_: "),
        (ZipkinOtlp, {"timeout": "0"}, "timeout: "),
        (ZipkinFq, {"port": "0"}, "port: "),
        (ZipkinFq, {"exchange": ""}, "exchange: "),
        (ZipkinFq, {"exchange": "x" * 128}, "exchange: expected 1 to 127 bytes, got 128"),
        (ZipkinFq, {"routing_prefix": "x" * 112}, "routing_prefix: "),
        (ZipkinFq, {"route_prefix": "x" * 112}, "route_prefix: "),
    ],
)
def test_what_cannot_be_used_is_named(module: type, config: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{complaint}"):
        module().configure(config)
