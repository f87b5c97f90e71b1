"""Spans of the HTTP server, as recorded of the original."""

import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import traced
from waiting import until

from runtime import conf, eventer, log, sampling, stats, zipkin
from runtime import http as server
from runtime.http import Request, Response

RECORDED = json.loads((Path(__file__).parents[2] / "data" / "zipkin" / "jaeger-spans.json").read_text())
PLAIN = [
    each
    for each in RECORDED
    if each["posts"] and each["request"].get("path", "").startswith("/hello") and "events" not in each["case"]
]


@pytest.fixture
def port(loops: eventer.Pool) -> Iterator[int]:
    with traced.serving() as port:
        yield port


@pytest.mark.parametrize("case", PLAIN, ids=[each["case"] for each in PLAIN])
def test_requests_give_the_recorded_spans(port: int, case: dict[str, Any]) -> None:
    with traced.tracing():
        asked = case["request"]
        body = "hello" if asked["method"] == "POST" else None
        traced.ask(port, asked["path"], asked["method"], body, asked["headers"])
        (span,) = traced.published()
    (wanted,) = case["posts"][0]["decoded"]["spans"]
    mask = (1 << 64) - 1
    assert span.name == wanted["3:string"]
    assert span.debug == wanted.get("9:bool")
    for field, value in (("1:i64", span.trace_id), ("4:i64", span.id), ("5:i64", span.parent_id)):
        if field == "5:i64" or f"{wanted[field] & mask:x}" in json.dumps(asked) or wanted[field] == -1:
            expected = wanted.get(field)
            assert value == (None if expected is None else expected & mask)
    assert traced.notes(span)[::-1] == [each["2:string"].encode() for each in wanted["6:list"]]
    assert [each.key for each in span.binary][::-1] == [each["1:string"] for each in wanted["8:list"]]
    assert [each.type for each in span.binary][::-1] == [each["3:i32"] for each in wanted["8:list"]]
    assert span.annotations[0].endpoint == ("example1", "127.0.0.1", port)
    tags = traced.tags(span)
    assert (tags["http.uri"], tags["http.method"]) == (asked["path"].encode(), asked["method"].encode())
    assert tags["http.hostname"] == f"127.0.0.1:{port}".encode()
    times = [each.timestamp for each in span.annotations]
    assert times == sorted(times) and span.timestamp <= times[0] and span.duration > 0


def test_a_connection_that_closes_gives_its_span_too(port: int) -> None:
    with traced.tracing():
        traced.ask(port, "/hello", headers={"Connection": "close"})
        (span,) = traced.published()
        assert traced.tags(span)["http.status_code"] == 200


def test_the_span_of_a_client_that_leaves_is_dropped_and_counted(port: int) -> None:
    begun, dropped = threading.Event(), stats.counter("zipkin.dropped")

    def never(_request: Request, _response: Response) -> None:
        begun.set()

    server.mount("GET", "/never/", "", never)
    with traced.tracing():
        before = dropped.value
        with socket.create_connection(("127.0.0.1", port), 60) as client:
            client.sendall(b"GET /never/ HTTP/1.1\r\nHost: a\r\n\r\n")
            assert begun.wait(60)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        until(lambda: dropped.value == before + 1)
        traced.ask(port, "/hello")
        (span,) = traced.published()
        assert span.name == "/(^hello$)"


def test_bodies_and_failures_are_told(port: int) -> None:
    def fail(_request: Request, _response: Response) -> None:
        raise RuntimeError("on purpose")

    server.mount("POST", "/below/", "^fail$", fail)
    with traced.tracing():
        assert traced.ask(port, "/below/fail", "POST", "12345") == 500
        (span,) = traced.published()
        assert span.name == "/below/(^fail$)"
        tags = traced.tags(span)
        assert (tags["http.status_code"], tags["http.bytes_in"]) == (500, 5)
        assert traced.ask(port, "/none", "POST", "12345") == 404
        (span,) = traced.published()
        assert span.name == "/none"


def test_the_span_is_active_in_the_handler_and_its_acos(port: int) -> None:
    stream = log.new_stream("traced", "memory", "100,10000")

    def handle(_request: Request, response: Response) -> None:
        span = zipkin.active_span()
        assert span is not None
        eventer.aco_sleep(0.001)
        assert zipkin.active_span() is span
        span.annotate("in the aco")
        stream.log("a line\n")
        response.flush_end()

    server.mount("GET", "/", "^aco$", handle, aco=True)
    with traced.tracing():
        assert traced.ask(port, "/aco", headers={"X-mtev-Trace-Logs": "1"}) == 200
        (span,) = traced.published()
        assert traced.notes(span) == [b"sr", b"sr_done", b"in the aco", b"mtev_log a line\n", b"ss", b"ss_done"]
    assert zipkin.active_span() is None


def test_nothing_is_looked_at_while_nothing_can_be_traced(port: int) -> None:
    assert not zipkin.is_on() and server.surrounded_by() is None
    with traced.tracing(0, 0, 0):
        assert not zipkin.is_on() and server.surrounded_by() is None
        assert traced.ask(port, "/hello") == 200
        zipkin.set_sampling(0, 1, 0)
        assert zipkin.is_on() and server.surrounded_by() == "zipkin"
        assert traced.ask(port, "/hello") == 200
        traced.ask(port, "/hello", headers={"X-B3-TraceId": "77", "X-B3-ParentSpanId": "5"})
        (span,) = traced.published()
        assert span.trace_id == 0x77
    assert not zipkin.is_on() and server.surrounded_by() is None


def test_trace_context_is_taken_once_an_exporter_can_tell_of_it(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime.zipkin import _headers

    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
    with traced.tracing():
        traced.ask(port, "/hello", headers={"traceparent": f"{parent}-01"})
        (span,) = traced.published()
        assert span.parent_id is None
        monkeypatch.setattr(_headers._Settings, "wide", True)
        traced.ask(port, "/hello", headers={"traceparent": f"{parent}-01"})
        (span,) = traced.published()
        assert (span.trace_high, span.trace_id) == (0x0AF7651916CD43DD, 0x8448EB211C80319C)
        assert span.parent_id == 0xB7AD6B7169203331 and span.id != span.parent_id
        sent = zipkin.outgoing(span)
        assert sent["traceparent"] == f"00-0af7651916cd43dd8448eb211c80319c-{span.id:016x}-01"
        assert sent["X-B3-TraceId"] == "0af7651916cd43dd8448eb211c80319c"
        traced.ask(port, "/hello", headers={"traceparent": f"{parent}-00"})
        for bad in (f"ff{parent[2:]}-01", f"{parent}-01-more", f"00-{'0' * 32}-b7ad6b7169203331-01", "x" * 10000):
            traced.ask(port, "/hello", headers={"traceparent": bad})
            (span,) = traced.published()
            assert span.parent_id is None
        traced.ask(port, "/hello", headers={"X-B3-TraceId": "463ac35c9f6413ad48485a3953bb6124"})
        (span,) = traced.published()
        assert (span.trace_high, span.trace_id) == (0x463AC35C9F6413AD, 0x48485A3953BB6124)


@pytest.mark.parametrize(
    ("element", "complaint"),
    [
        ("<zipkin><probability new='1.5'/></zipkin>", "probability new is a number from 0 to 1, not '1.5'"),
        ("<zipkin><probability new='much'/></zipkin>", "probability new is a number from 0 to 1, not 'much'"),
        ("<zipkin><probability new='nan'/></zipkin>", "probability new is a number from 0 to 1, not 'nan'"),
        ("<zipkin trace_event='lifetime'/>", "trace_event is 0, 1 or 2, not 'lifetime'"),
        ("<zipkin trace_event='3'/>", "trace_event is 0, 1 or 2, not '3'"),
        ("<zipkin trace_event=''/>", "trace_event is 0, 1 or 2, not ''"),
        ("<zipkin trace_events='1'/>", "unknown attribute trace_events, expected trace_event"),
        ("<zipkin><probability nwe='1'/></zipkin>", "unknown attribute nwe, expected new"),
        ("<zipkin><probabilty new='1'/></zipkin>", "there is no element probabilty, expected probability"),
        ("<zipkin><probability new=''/></zipkin>", "probability new is a number from 0 to 1, not ''"),
        ("<zipkin><probability parented='-0.1'/></zipkin>", "probability parented is a number from 0 to 1, not '-0.1'"),
        ("<zipkin><probability debug='1%'/></zipkin>", "probability debug is a number from 0 to 1, not '1%'"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line(element: str, complaint: str) -> None:
    before = zipkin.get_sampling(), zipkin.default_level()
    with pytest.raises(conf.ConfError, match=f":2:.*{complaint}"):
        zipkin.configure(conf.loads(f"<app>\n{element}</app>".encode()))
    assert (zipkin.get_sampling(), zipkin.default_level()) == before


def test_probabilities_come_from_the_configuration() -> None:
    try:
        zipkin.configure(conf.loads(b"<app><zipkin trace_event='1'><probability new='0.25' debug='0'/></zipkin></app>"))
        assert zipkin.get_sampling() == (0.25, 1.0, 0.0)
        assert zipkin.default_level() == 1
    finally:
        zipkin.event_trace_level(0)
        zipkin.configure(conf.loads(b"<app/>"))
        sampling.change(0.0, 100.0, 100.0)


def test_many_requests_on_one_connection(port: int) -> None:
    with traced.tracing():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for _ in range(3):
            connection.request("GET", "/hello")
            connection.getresponse().read()
        connection.close()
        assert len({span.trace_id for span in traced.published(3)}) == 3


def test_what_the_server_says_of_a_request_is_there_however_much_others_say(port: int) -> None:
    def handle(_request: Request, response: Response) -> None:
        span = zipkin.active_span()
        assert span is not None
        for each in range(2000):
            span.annotate("again")
            span.bannotate_i32(f"tag {each}", each)
        response.flush_end()

    server.mount("GET", "/", "^much$", handler=handle)
    with traced.tracing():
        assert traced.ask(port, "/much") == 200
        (span,) = traced.published()
    assert traced.notes(span)[-2:] == [b"ss", b"ss_done"] and len(span.annotations) <= 1003
    assert traced.tags(span)["http.status_code"] == 200
