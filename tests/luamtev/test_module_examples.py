"""The examples of the reference's page of modules, run; that of amqp is run where its broker is (test_amqp.py)."""

import json
import os
from pathlib import Path
from urllib.request import Request, urlopen

from consulagent import Agent
from fqbroker import Broker
from moduleexamples import Example, example
from moduleprogram import Program
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from spansink import Sink

ALL = '<zipkin><probability new="1"/></zipkin>'


def program(directory: Path, shown: Example, more: str = "") -> Program:
    acl = {"acl": shown.acl} if shown.acl else {}
    return Program(directory, shown.modules, shown.more + more, logs=shown.logs, **acl)


def test_fq(tmp_path: Path) -> None:
    with Broker(password=b"secret") as broker:
        shown = example("fq").at("<user>reader</user>", f"<user>reader</user><port>{broker.port}</port>")
        with program(tmp_path, shown) as running:
            running.run(shown.lua)
            broker.wait(lambda: (b"logs", b"in.one", b"hello") in broker.published)
            running.run("mtev.log('tofq', 'a line')")
            broker.wait(lambda: (b"logs", b"host1.tofq", b"a line\n") in broker.published)
            broker.wait(lambda: bool(broker.bindings) and all(each.data for each in broker.sessions.values()))
            running.run("mtev.fq.send('logs', 'in.two', 'again')")
            running.wait(lambda: "127.0.0.1\t0\tlogs\tin.two\treader\tagain\n" in running.errors())


def test_consul(tmp_path: Path) -> None:
    with Agent(myapp__texts__greeting="good morning") as agent:
        shown = example("consul").at("<kv_prefix>", f"<agent>{agent.url}</agent><kv_prefix>")
        with program(tmp_path, shown) as running:
            running.wait(lambda: len(agent.services) == 1)
            web = agent.services[f"cli-{os.uname().nodename}"]
            assert (web["Name"], web["Port"], web["Tags"], web["Meta"]) == ("web", 8080, ["bar:baz"], {"key": "value"})
            assert web["Check"]["DeregisterCriticalServiceAfter"] == "10m"
            running.run(shown.lua)
            agent.wait("PUT /v1/agent/check/warn/service:worker-1:1?note=slow+today")
            assert agent.services["worker-1"]["Tags"] == ["role:front"]
            assert running.run("return mtev.conf_get_string('//greeting')") == "good morning"
            assert running.stop() == 0
            assert not agent.services


def test_http_hmac_cookie(tmp_path: Path) -> None:
    with program(tmp_path, example("http_hmac_cookie")) as running:
        assert '<form method="POST" action="/login"' in running.get("/capa")[1]
        body = b"username=alice&password=for+tests+only&whereto=%2Fcapa"
        with urlopen(Request(f"http://127.0.0.1:{running.port}/login", body), timeout=60) as answer:
            assert answer.url.endswith("/login?whereto=%2Fcapa"), "urlopen keeps no cookies"
        no_follow = Request(f"http://127.0.0.1:{running.port}/login", body, method="POST")
        cookie = first_cookie(no_follow)
        asked = Request(f"http://127.0.0.1:{running.port}/capa", headers={"Cookie": cookie})
        with urlopen(asked, timeout=60) as answer:
            assert answer.status == 200 and b"mtev_capabilities" in answer.read()


def first_cookie(request: Request) -> str:
    import http.client

    assert request.host is not None and isinstance(request.data, bytes)
    connection = http.client.HTTPConnection(request.host, timeout=60)
    try:
        connection.request("POST", request.selector, request.data)
        return (connection.getresponse().getheader("Set-Cookie") or "").partition(";")[0]
    finally:
        connection.close()


def test_http_observer(tmp_path: Path) -> None:
    with program(tmp_path, example("http_observer")) as running:
        url = f"http://127.0.0.1:{running.port}"
        for _ in range(2):
            asked = Request(f"{url}/run?from=lua", b"return 1", {"User-Agent": "examples"})
            with urlopen(asked, timeout=60) as answer:
                assert answer.read() == b"1"
        path = "/module/http_observer/requests.json?eq_agent=examples&re_uri=^/run"
        running.wait(lambda: len(json.loads(running.get(path)[1])) == 2)
        first = json.loads(running.get(path)[1])[0]
        assert (first["method"], first["status"], first["querystring"]) == ("POST", "200", "from=lua")
        assert (first["received_bytes"], first["agent"]) == (8, "examples")
        assert 0 < first["response_start_offset_ns"] <= first["response_complete_offset_ns"]


def test_tracing(tmp_path: Path) -> None:
    with Sink() as sink:
        shown = example("Tracing").at("http://127.0.0.1:4318", f"http://127.0.0.1:{sink.port}")
        with program(tmp_path, shown) as running:
            asked = Request(f"http://127.0.0.1:{running.port}/run", b"return 1", {"X-B3-Sampled": "1"})
            with urlopen(asked, timeout=60) as answer:
                answer.read()
            running.wait(lambda: bool(sink.posts))
            assert sink.posts[0].path == "/v1/traces"


def test_zipkin_jaeger(tmp_path: Path) -> None:
    with Sink() as sink:
        shown = example("zipkin_jaeger").at("9411", str(sink.port))
        with program(tmp_path, shown, ALL) as running:
            running.run("return 1")
            running.wait(lambda: bool(sink.posts))
            assert sink.posts[0].path == "/api/v1/spans"
            assert sink.posts[0].headers["Content-Type"] == "application/x-thrift"


def test_zipkin_otlp(tmp_path: Path) -> None:
    with Sink() as sink:
        shown = example("zipkin_otlp").at("https://collector.example.com:4318", f"http://127.0.0.1:{sink.port}")
        with program(tmp_path, shown, ALL) as running:
            running.run("return 1")
            running.wait(lambda: bool(sink.posts))
            read = ExportTraceServiceRequest()
            read.ParseFromString(sink.posts[0].body)
            told = {each.key: each.value.string_value for each in read.resource_spans[0].resource.attributes}
            assert told["deployment.environment"] == "production"
            assert sink.posts[0].headers["authorization"] == "Bearer TOKEN"


def test_zipkin_fq(tmp_path: Path) -> None:
    with Broker(password=b"mtev") as broker:
        shown = example("zipkin_fq").at("<exchange>", f"<port>{broker.port}</port><exchange>")
        with program(tmp_path, shown, ALL) as running:
            running.run("return 1")
            broker.wait(lambda: bool(broker.published))
            exchange, route, _ = broker.published[0]
            assert exchange == b"logging" and route.startswith(b"zipkin.thrift.")
