"""Traces through the real program: requests in, spans out, whatever exports them."""

import contextlib
import socket
import struct
import subprocess
from functools import partial
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from fqbroker import Broker
from moduleprogram import Program
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as TheirSpan
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
    with Sink() as thrift, Sink() as open_telemetry, Broker(password=b"secret") as broker:
        fq = f"""<generic image="zipkin_fq" name="zipkin_fq">
          <config><port>{broker.port}</port><user>tracer</user><pass>secret</pass></config></generic>"""
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
            assert {each.user for each in broker.sessions.values()} == {b"tracer"}
            assert "secret" not in program.errors()
            assert route == f"zipkin.thrift.{span[0]:x}".encode()
            assert payload.startswith(b"\x0a\x00\x01" + struct.pack("!Q", span[0]))
            assert program.metric("mtev_zipkin_jaeger_sent_total") >= 1
            assert program.metric("mtev_zipkin_published_total") >= 1
            assert program.stop() == 0


def exported(sink: Sink, program: Program, count: int) -> "dict[str, TheirSpan]":
    """The first *count* spans by name."""

    def found() -> "list[TheirSpan]":
        spans = []
        for post in sink.posts:
            read = ExportTraceServiceRequest()
            read.ParseFromString(post.body)
            spans += read.resource_spans[0].scope_spans[0].spans
        return spans

    program.wait(lambda: len(found()) >= count)
    assert len(found()) == count
    return {each.name: each for each in found()}


def events(span: "TheirSpan") -> list[str]:
    return [each.name for each in span.events]


def tags(span: "TheirSpan") -> "dict[str, object]":
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


def the_server_span(spans: "dict[str, TheirSpan]") -> "TheirSpan":
    (found,) = [each for each in spans.values() if each.kind == TheirSpan.SPAN_KIND_SERVER]
    return found


def test_lua_annotates_the_span_it_works_for(tmp_path: Path) -> None:
    with Sink() as sink, Program(tmp_path, otlp(sink.port), ALL) as program:
        answer = program.run("""
          local span = mtev.zipkin.active()
          span:annotate("then", mtev.timeval.new(1700000000, 5))
          span:log("now")
          for _, seconds in ipairs({ -5, 1e18 }) do span:annotate("odd", mtev.timeval.new(seconds, 0)) end
          span:bannotate("text", "value")
          span:tag("whole", 7)
          span:tag("half", 7.5)
          span:tag("huge", 1e300)
          local said = { tostring(span) }
          for _, wrong in ipairs({ function() span:tag("a", true) end, function() span:annotate("a", "b") end,
              function() span:tag() end, function() span.annotate("a") end, function() span:log({}) end }) do
            said[#said + 1] = select(2, pcall(wrong)):gsub("^.-:%d+: ", "")
          end
          local trace = span:ids()
          mtev.coroutine_spawn(function()
            mtev.sleep(0.001)
            mtev.zipkin.active():log("from a coroutine of " .. trace:sub(1, 1))
            mtev.notify("over")
          end)
          mtev.waitfor("over", 10)
          coroutine.wrap(function() mtev.zipkin.active():log("from a coroutine of its own") end)()
          held = span
          return table.concat(said, "\\n")""")
        assert answer.split("\n") == [
            "mtev.zipkin_span",
            "bad argument #2 to 'tag' (number or string expected, got boolean)",
            "bad argument #2 to 'annotate' (mtev.timeval expected, got string)",
            "bad argument #1 to 'tag' (string expected, got nil)",
            "must be called as method",
            "bad argument #1 to 'log' (string expected, got table)",
        ]
        span = the_server_span(exported(sink, program, 1))
        assert events(span)[2:8] == [
            "then",
            "now",
            "odd",
            "odd",
            f"from a coroutine of {span.trace_id.hex().lstrip('0')[0] if span.trace_id[8] > 15 else 0}",
            "from a coroutine of its own",
        ]
        assert span.events[2].time_unix_nano == 1_700_000_000_000_005_000
        found = tags(span)
        assert (found["text"], found["whole"], found["half"], found["huge"]) == ("value", 7, 7.5, 1e300)
        assert program.run("held:tag('late', 1) return tostring(pcall(held.ids, held))") == "false"


def test_clients_pass_the_trace_on(tmp_path: Path) -> None:
    with Sink() as sink, Sink() as service, Program(tmp_path, otlp(sink.port), ALL) as program:
        service.status = 503
        program.run(f"""
          local client = mtev.HttpClient:new()
          client:connect("127.0.0.1", {service.port})
          client:do_request("POST", "/one?x=1", {{}}, "body")
          client:get_response()
          client:do_request("POST", "/own", {{ ["x-b3-traceid"] = "abc" }}, "body")
          client:get_response()
          client:close()
          mtev.coroutine_spawn(function()
            mtev.Api:http("127.0.0.1", {service.port}):post("/two", "x")
            mtev.notify("over")
          end)
          mtev.waitfor("over", 10)""")
        spans = exported(sink, program, 4)
        assert set(spans) >= {"POST"}
        server = the_server_span(spans)
        read = ExportTraceServiceRequest()
        for post in sink.posts:
            read.MergeFromString(post.body)
        all_of_them = [each for group in read.resource_spans for each in group.scope_spans[0].spans]
        clients = [each for each in all_of_them if each.kind == TheirSpan.SPAN_KIND_CLIENT]
        assert len(clients) == 3
        for each in clients:
            assert (each.trace_id, each.parent_span_id) == (server.trace_id, server.span_id)
            assert events(each) == ["cs", "cr"] and each.status.code == 2
            assert tags(each)["http.response.status_code"] == 503
        first, own = service.posts[0].headers, service.posts[1].headers
        (one,) = [each for each in clients if tags(each)["url.path"] == "/one"]
        assert first["X-B3-TraceId"] == server.trace_id[8:].hex()
        assert (first["X-B3-SpanId"], first["X-B3-ParentSpanId"]) == (one.span_id.hex(), server.span_id.hex())
        assert first["X-B3-Sampled"] == "1"
        assert first["traceparent"] == f"00-{server.trace_id.hex()}-{one.span_id.hex()}-01"
        assert own["x-b3-traceid"] == "abc" and "X-B3-TraceId" not in [each for each in own if each != "x-b3-traceid"]
        assert tags(one)["url.query"] == "x=1"


def test_a_client_without_an_answer_has_a_span_that_says_so(tmp_path: Path) -> None:
    with Sink() as sink, Sink() as service, Program(tmp_path, otlp(sink.port), ALL) as program:
        service.open.clear()
        program.run(f"""
          local client = mtev.HttpClient:new()
          client:connect("127.0.0.1", {service.port})
          client:set_timeout(0.05)
          client:do_request("POST", "/slow", {{}}, "body")
          return tostring(pcall(client.get_response, client))""")
        spans = exported(sink, program, 2)
        assert tags(spans["POST"])["error"] == "timeout"


def test_lines_that_lua_logs_are_in_the_span_once(tmp_path: Path) -> None:
    with Sink() as sink, Program(tmp_path, otlp(sink.port), ALL) as program:
        lua = b"mtev.log('error', 'before') mtev.sleep(0.001) mtev.log('error', 'after') print('printed')"
        asked = Request(f"http://127.0.0.1:{program.port}/run", lua, {"X-mtev-Trace-Logs": "1"}, method="POST")
        with urlopen(asked, timeout=60) as answer:
            answer.read()
        span = the_server_span(exported(sink, program, 1))
        lines = [each for each in events(span) if each.startswith("mtev_log ")]
        assert lines[:3] == ["mtev_log before\n", "mtev_log after\n", "mtev_log printed\n"]
        assert len(lines) == 3


def of_both_engines(tmp_path: Path, lua: str, headers: dict[str, str]) -> "list[TheirSpan]":
    """The spans of a request as the engine in Lua and the one in Python serve it."""
    found = []
    for engine in ("lua", "python"):
        directory = tmp_path / engine
        directory.mkdir()
        with Sink() as sink, Program(directory, otlp(sink.port), ALL, engine=engine) as program:
            asked = Request(f"http://127.0.0.1:{program.port}/run?in=1", lua.encode(), headers, method="POST")
            with contextlib.suppress(HTTPError), urlopen(asked, timeout=60) as answer:
                answer.read()
            found.append(the_server_span(exported(sink, program, 1)))
            assert program.metric("mtev_http_engine_taken_total") == (1 if engine == "lua" else 0)
    return found


TRACE = {"X-B3-TraceId": "77", "X-B3-SpanId": "78", "X-B3-ParentSpanId": "5"}


@pytest.mark.parametrize(
    ("lua", "headers"),
    [
        ("return 'whole'", {}),
        ("return 'whole'", TRACE | {"X-B3-Sampled": "1"}),
        ("mtev.sleep(0.001) mtev.zipkin.active():log('here') return 'later'", TRACE),
        ("context:write('a') context:flush() mtev.sleep(0.001) context:write('b')", TRACE),
        ("context:status(404) context:header('Content-Length', '0') context:flush_end()", {}),
        ("error('on purpose')", {}),
        ("context:status(204) context:flush() context = nil error({})", {}),
        ("mtev.log('error', 'a line') return 'logged'", {"X-mtev-Trace-Logs": "1"}),
    ],
)
def test_both_engines_give_the_same_span(tmp_path: Path, lua: str, headers: dict[str, str]) -> None:
    one, other = of_both_engines(tmp_path, lua, headers)
    assert one.name == other.name
    assert events(one) == events(other)
    assert {"sr", "sr_done", "ss", "ss_done"} <= set(events(one))
    varying = {"server.port"}
    assert [each for each in tags(one).items() if each[0] not in varying] == [
        each for each in tags(other).items() if each[0] not in varying
    ]
    for each in (one, other):
        assert tags(each)["server.address"] == "127.0.0.1" and tags(each)["server.port"] in range(1 << 16)
        assert each.start_time_unix_nano < each.end_time_unix_nano
        if "X-B3-TraceId" in headers:
            told = (each.trace_id[8:], each.span_id, each.parent_span_id)
            assert told == (bytes(7) + b"\x77", bytes(7) + b"\x78", bytes(7) + b"\x05")


def test_a_client_that_leaves_drops_its_span(tmp_path: Path) -> None:
    with Sink() as sink, Program(tmp_path, otlp(sink.port), ALL) as program:
        lua = b"arrived = true mtev.waitfor('never', 60)"
        with socket.create_connection(("127.0.0.1", program.port), 20) as sock:
            sock.sendall(b"POST /run HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(lua) + lua)
            program.wait(lambda: program.run("return tostring(arrived)") == "true")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        program.wait(lambda: program.metric("mtev_zipkin_dropped_total") == 1)
        assert program.run("mtev.notify('never') return 'goes on'") == "goes on"
        assert program.errors().count("error") == 0


def test_what_is_not_traced_stays_in_lua(tmp_path: Path) -> None:
    parented = '<zipkin><probability new="0" parented="1" debug="1"/></zipkin>'
    with Sink() as sink, Program(tmp_path, otlp(sink.port), parented) as program:
        for _ in range(5):
            assert program.run("return tostring(mtev.zipkin.active())") == "nil"
        url = f"http://127.0.0.1:{program.port}/run"
        ask = b"return mtev.zipkin.active():ids()"
        for headers in ({"X-B3-Sampled": "1"}, TRACE, {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}):
            with urlopen(Request(url, ask, headers, method="POST"), timeout=60) as answer:
                assert len(answer.read()) in (16, 32)
        exported(sink, program, 3)
        assert program.metric("mtev_http_engine_taken_total") == 8
        assert program.metric("mtev_zipkin_published_total") == 3


def says(program: Program, lua: str, expected: str) -> bool:
    return program.run(lua) == expected


def test_probabilities_change_while_requests_are_served(tmp_path: Path) -> None:
    none = '<zipkin><probability new="0" parented="0" debug="0"/></zipkin>'
    with Sink() as sink, Program(tmp_path, otlp(sink.port), none) as program:
        traced = "return tostring(mtev.zipkin.active() ~= nil)"
        with socket.create_connection(("127.0.0.1", program.console), 20) as console:
            for percent, expected in (("100", "true"), ("0", "false"), ("100", "true")):
                console.sendall(f"mtev zipkin {percent} 0 0\r\n".encode())
                program.wait(partial(says, program, traced, expected))


def test_at_0_percent_lua_serves_as_if_nothing_traced(tmp_path: Path) -> None:
    none = '<zipkin><probability new="0" parented="0" debug="0"/></zipkin>'
    with Sink() as sink, Program(tmp_path, otlp(sink.port), none) as program:
        before = program.metric("mtev_http_engine_taken_total")
        assert program.run("return tostring(mtev.zipkin.active())") == "nil"
        assert program.metric("mtev_http_engine_taken_total") > before
        assert program.metric("mtev_zipkin_published_total") == 0
        assert sink.posts == []


def test_a_probability_that_is_none_stops_the_start(tmp_path: Path) -> None:
    program = Program(tmp_path, "", '<zipkin><probability new="2"/></zipkin>')
    with pytest.raises(AssertionError, match="probability new is a number from 0 to 1, not '2'"), program:
        pass


def test_a_collector_that_comes_back_gets_what_was_published(tmp_path: Path) -> None:
    with Sink() as sink:
        port = sink.port
    with Program(tmp_path, jaeger(port), ALL) as program:
        for _ in range(3):
            program.run("return 1")
        program.wait(lambda: program.metric("mtev_zipkin_jaeger_failures_total") > 0)
        published = program.metric("mtev_zipkin_published_total")
        assert published >= 3
        with Sink(port) as sink:
            program.wait(lambda: len(spans(sink)) >= published)
            names = [name for _, _, name in spans(sink)]
            assert names.count(names[0]) == 3
        assert program.metric("mtev_zipkin_jaeger_dropped_total") == 0
        assert f"http://127.0.0.1:{port}/api/v1/spans is not reached" in program.errors()
        assert "takes spans again" in program.errors()


def test_requests_of_http2_are_traced(tmp_path: Path) -> None:
    with Sink() as sink, Program(tmp_path, otlp(sink.port), ALL) as program:
        curl = ["curl", "-sS", "--http2-prior-knowledge", "-H", "X-B3-TraceId: 77", "-H", "X-B3-SpanId: 78"]
        lua = "mtev.sleep(0.001) mtev.zipkin.active():tag('inside', 2) return mtev.zipkin.active():ids()"
        done = subprocess.run(
            [*curl, "-d", lua, f"http://127.0.0.1:{program.port}/run"], capture_output=True, timeout=60
        )
        assert done.stdout == b"0000000000000077"
        span = the_server_span(exported(sink, program, 1))
        assert (span.trace_id[8:], span.span_id) == (bytes(7) + b"\x77", bytes(7) + b"\x78")
        assert tags(span)["inside"] == 2


@pytest.mark.parametrize(
    ("module", "key", "value"),
    [
        ("zipkin_jaeger", "port", "http"),
        ("zipkin_jaeger", "retries", "-1"),
        ("zipkin_jaeger", "max_bach", "5"),
        ("zipkin_otlp", "url", "nowhere"),
        ("zipkin_fq", "port", "8765x"),
    ],
)
def test_what_a_module_cannot_use_stops_the_start(tmp_path: Path, module: str, key: str, value: str) -> None:
    element = f'<generic image="{module}" name="{module}"><config><{key}>{value}</{key}></config></generic>'
    with pytest.raises(AssertionError, match=rf"(?s)({module}|{key}).*({key}|max_batch)"), Program(tmp_path, element):
        pass


def test_spans_of_several_loops(tmp_path: Path) -> None:
    with Sink() as sink, Program(tmp_path, jaeger(sink.port), ALL, threads=2) as program:
        found = {program.run("return mtev.zipkin.active():ids()") for _ in range(8)}
        program.wait(lambda: len(spans(sink)) >= 8)
        assert {f"{trace:016x}" for trace, _, _ in spans(sink)} >= found and len(found) == 8
