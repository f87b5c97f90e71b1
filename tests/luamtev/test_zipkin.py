"""Traces through the real program: requests in, spans out, whatever exports them."""

import struct
from pathlib import Path

from fqbroker import Broker
from moduleprogram import Program
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from spansink import Sink

ALL = '<zipkin><probability new="1.0"/></zipkin>'


def jaeger(port: int) -> str:
    return f"""<generic image="zipkin_jaeger" name="zipkin_jaeger">
      <config><port>{port}</port><period>50</period></config></generic>"""


def otlp(port: int) -> str:
    return f"""<generic image="zipkin_otlp" name="zipkin_otlp">
      <config><url>http://127.0.0.1:{port}/v1/traces</url><period>50</period></config></generic>"""


def spans(sink: Sink) -> list[tuple[int, int, str]]:
    """Trace, id and name of what was posted in Thrift."""
    found = []
    for post in sink.posts:
        at = 0
        while (at := post.body.find(b"\x0a\x00\x01", at)) >= 0:
            trace = struct.unpack_from("!Q", post.body, at + 3)[0]
            if post.body[at + 11 : at + 14] == b"\x0b\x00\x03":
                (length,) = struct.unpack_from("!I", post.body, at + 14)
                name = post.body[at + 18 : at + 18 + length].decode()
                identity = struct.unpack_from("!Q", post.body, at + 18 + length + 3)[0]
                found.append((trace, identity, name))
            at += 3
    return found


def test_a_request_goes_to_every_exporter(tmp_path: Path) -> None:
    with Sink() as thrift, Sink() as open_telemetry, Broker() as broker:
        fq = f"""<generic image="zipkin_fq" name="zipkin_fq"><config><port>{broker.port}</port></config></generic>"""
        modules = jaeger(thrift.port) + otlp(open_telemetry.port) + fq
        with Program(tmp_path, modules, ALL) as program:
            assert program.run("return 1 + 1") == "2"
            program.wait(lambda: bool(thrift.posts and open_telemetry.posts and broker.published))
            (span,) = spans(thrift)
            assert span[2].startswith("/(")
            read = ExportTraceServiceRequest()
            read.ParseFromString(open_telemetry.posts[0].body)
            (theirs,) = read.resource_spans[0].scope_spans[0].spans
            assert theirs.trace_id[8:] == struct.pack("!Q", span[0])
            exchange, route, payload = broker.published[0]
            assert exchange == b"logging"
            assert route == f"zipkin.thrift.{span[0]:x}".encode()
            assert payload.startswith(b"\x0a\x00\x01" + struct.pack("!Q", span[0]))
            assert program.metric("mtev_zipkin_jaeger_sent_total") >= 1
            assert program.metric("mtev_zipkin_published_total") >= 1
            assert program.stop() == 0
