"""The operations endpoints, asked over HTTP."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from lxml import etree

from runtime import conf, eventer, http, log, net, ops, stats
from runtime.eventer import Pool

ALLOW = b'<app><rest><acl><rule type="deny" url="^/mtev/rest"/><rule type="allow"/></acl></rest></app>'


@pytest.fixture(autouse=True)
def port(loops: Pool) -> Iterator[int]:
    http.configure(conf.loads(ALLOW))
    ops.mount()
    listener = net.open_listener("control_dispatch", "127.0.0.1")
    listener.start()
    yield listener.port
    eventer.stop()
    net.stop_accepting()
    http.configure(None)


def ask(port: int, path: str, method: str = "GET") -> tuple[int, Any]:
    request = Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except OSError as refused:
        if not hasattr(refused, "code"):
            raise
        with refused as answer:  # type: ignore[attr-defined]
            body = answer.read()
            return answer.code, json.loads(body) if body.startswith((b"{", b"[")) else body


def test_capa_tells_what_runs_here(port: int) -> None:
    status, found = ask(port, "/capa.json")
    assert status == 200
    assert set(found) == {
        "version", "mtev_version", "unameBuild", "unameRun", "features", "current_time", "services", "modules",
    }  # fmt: skip
    assert found["unameRun"]["bitwidth"] == 64
    assert set(found["unameRun"]) == {"bitwidth", "sysname", "nodename", "release", "version", "machine"}
    assert re.fullmatch(r"\d{13}", found["current_time"])
    (service,) = found["services"].values()
    assert service["control_dispatch"] == "control_dispatch"
    wire = {"name": "mtev_wire_rest_api", "version": "1.0"}
    words = ["0x47455420", "0x48454144", "0x504f5354", "0x50555420", "0x44454c45", "0x4d455247", "0x4f505449"]
    assert {word: service["commands"][word] for word in words} == dict.fromkeys(words, wire)
    assert service["commands"]["0x43415041"] == {"name": "capabilities_transit", "version": "1.0"}
    with urlopen(f"http://127.0.0.1:{port}/capa", timeout=20) as answer:
        document = etree.fromstring(answer.read())
    assert document.findtext("mtev_version") == found["mtev_version"]
    (element,) = document.findall("services/service[@name='control_dispatch']")
    assert element.get("connected") is None
    assert {each.get("code"): (each.get("name"), each.get("version")) for each in element} == {
        code: (command["name"], command["version"]) for code, command in service["commands"].items()
    }


def exchange(port: int, *pieces: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        for each in pieces:
            client.sendall(each)
        if not pieces[-1].startswith((b"GET", b"T ")):
            client.shutdown(socket.SHUT_WR)
        data = b""
        while chunk := client.recv(65536):
            data += chunk
        return data


def test_the_bare_command_gives_capabilities(port: int) -> None:
    document = etree.fromstring(exchange(port, b"CAPA"))
    assert document.tag == "mtev_capabilities"
    (service,) = document.findall("services/service")
    assert (service.get("name"), service.get("connected")) == ("control_dispatch", "true")
    (transit,) = service.findall("command[@code='0x43415041']")
    assert (transit.get("name"), transit.get("version")) == ("capabilities_transit", "1.0")
    assert etree.fromstring(exchange(port, b"C", b"AP", b"A")).tag == "mtev_capabilities"


def test_other_words_are_http_and_silence_is_nothing(port: int) -> None:
    request = b"GET /capa.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert exchange(port, request).startswith(b"HTTP/1.1 200 OK\r\n")
    assert exchange(port, request[:2], request[2:]).startswith(b"HTTP/1.1 200 OK\r\n")
    assert exchange(port, b"XXXX\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert exchange(port, b"CA") == b""


def test_commands_are_four_bytes_and_registered_once() -> None:
    with pytest.raises(ValueError, match="a command has 4 bytes"):
        net.register_command(b"ABC", "abc", lambda _: b"")
    with pytest.raises(ValueError, match="a command b'CAPA' already"):
        net.register_command(b"CAPA", "again", lambda _: b"")


def test_a_command_that_fails_closes_the_connection(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime.net import _commands

    monkeypatch.setitem(_commands._commands, b"FAIL", ("fail", lambda _: 1 / 0, None))
    assert exchange(port, b"FAIL") == b""


def test_sockets_and_timers_are_on_the_loops(port: int) -> None:
    eventer.add_in(lambda *_: None, None, 3600)
    status, sockets = ask(port, "/eventer/sockets.json")
    assert status == 200
    listening = [each for each in sockets if each["callback"] == "listener(control_dispatch)"]
    assert [each["local"] for each in listening] == [{"address": "127.0.0.1", "port": port}]
    assert {"callback", "fd", "local", "remote", "impl", "mask", "eventer_pool"} <= set(listening[0])
    asking = [each for each in sockets if each["callback"] == "http"]
    assert asking[0]["remote"]["address"] == "127.0.0.1"
    status, timers = ask(port, "/eventer/timers.json")
    assert status == 200
    assert all(set(each) == {"callback", "whence", "eventer_pool"} for each in timers)
    assert len(timers) >= 1


def test_job_queues_and_events_are_counted(port: int) -> None:
    status, queues = ask(port, "/eventer/jobq.json")
    assert status == 200
    for figures in queues.values():
        assert {"concurrency", "desired_concurrency", "total_jobs", "backlog", "inflight", "timeouts"} <= set(figures)
    assert queues["default_queue"]["concurrency"] == queues["default_queue"]["desired_concurrency"] == 10
    backs = [name for name in queues if name.startswith("default_back_queue/")]
    assert backs == [
        f"default_back_queue/{number}" for number in range(sum(each.concurrency for each in eventer.pools()))
    ]
    assert all(queues[name]["concurrency"] == 0 for name in backs)
    status, memory = ask(port, "/eventer/memory.json")
    assert memory["eventer_t"]["current"] >= 2
    assert memory["eventer_t"]["total"] >= memory["eventer_t"]["current"]


def test_memory_logs_are_read(port: int) -> None:
    stream = log.new_stream("kept/here", type="memory", path="10,1000")
    for number in range(5):
        stream.log(f"line {number}\n")
    status, lines = ask(port, "/eventer/logs/kept/here.json")
    assert (status, [each["idx"] for each in lines]) == (200, [0, 1, 2, 3, 4])
    assert re.fullmatch(r"\d{13}", lines[0]["whence"])
    assert lines[4]["line"].endswith("line 4\n")
    assert [each["idx"] for each in ask(port, "/eventer/logs/kept/here.json?last=2")[1]] == [3, 4]
    assert [each["idx"] for each in ask(port, "/eventer/logs/kept/here.json?since=2&last=1")[1]] == [4]
    assert ask(port, "/eventer/logs/kept/here.json?last=x") == (400, {"error": "last: expected a whole number"})
    for name in ("none", "stderr"):
        assert ask(port, f"/eventer/logs/{name}.json") == (404, {"error": f"there is no memory log '{name}'"})
    assert not log.stream_exists("none")


def test_stats_are_read_in_every_form_and_reset(port: int) -> None:
    stats.reset()
    stats.counter("things", {"kind": 'a "b"'}).add(3)
    for value in (0.0012, 0.00123, 0.5):
        stats.histogram("waits").add(value)
    stream = log.new_stream("counted", type="memory", path="10,1000")
    stream.set_stats(True)
    stream.log("one\n")
    log.new_stream("full", type="file", path="/dev/full").log("lost\n")
    status, found = ask(port, "/mtev/stats.json")
    assert status == 200
    assert found["waits"] == {"_type": "h", "_value": ["H[1.2e-03]=2", "H[5.0e-01]=1"]}
    assert found['things|ST[kind:b"YSAiYiI="]'] == {"_type": "L", "_value": 3}
    assert found["log_lines|ST[stream:counted]"]["_value"] == 1
    _, found = ask(port, "/mtev/stats.json?format=simple")
    assert found["waits"] == {"count": 3, "sum": pytest.approx(0.50243), "p50": 0.0012, "p99": 0.5, "max": 0.5}
    assert found["things"] == {'a "b"': 3}
    assert any(route.startswith("GET /mtev/") for route in found["http_latency"])
    assert ask(port, "/mtev/stats.json?format=other")[0] == 400
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    assert 'mtev_things_total{kind="a \\"b\\""} 3' in lines
    assert "# TYPE mtev_things_total counter" in lines
    assert 'mtev_waits_seconds_bucket{le="0.001"} 0' in lines
    assert 'mtev_waits_seconds_bucket{le="0.0025"} 2' in lines
    assert 'mtev_waits_seconds_bucket{le="+Inf"} 3' in lines
    assert "mtev_waits_seconds_count 3" in lines
    assert 'mtev_log_lines_lost_total{stream="full"} 1' in lines
    assert lines.count("# TYPE mtev_http_latency_seconds histogram") == 1
    assert ask(port, "/mtev/stats.json?reset=1")[1]["waits"]["_value"] != []
    assert ask(port, "/mtev/stats.json")[1]["waits"]["_value"] == []
    stats.counter("things").add()
    assert ask(port, "/mtev/stats.json", "DELETE") == (200, {})
    assert stats.counter("things").value == 0


def test_what_goes_up_and_down_is_a_gauge(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "_sources", [*stats._sources])
    for level in (2, 3):
        stats.source(lambda level=level: iter([stats.Reading("pool.size", (("name", "a"),), level, is_level=True)]))  # type: ignore[misc]
    for accept in ("text/plain", "application/openmetrics-text"):
        request = Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept})
        with urlopen(request, timeout=20) as answer:
            lines = answer.read().decode().splitlines()
        assert "# TYPE mtev_pool_size gauge" in lines
        assert 'mtev_pool_size{name="a"} 5' in lines


def test_memory_and_routes_are_shown_behind_access_control(port: int) -> None:
    status, memory = ask(port, "/mtev/memory.json")
    assert status == 200
    assert memory["process"]["resident"] > 1 << 20 or "jemalloc" in memory
    status, answer = ask(port, "/mtev/heap_profile?active=true")
    assert status == 501
    assert "LD_PRELOAD" in answer["error"]
    assert ask(port, "/mtev/rest.json")[0] == 403
    http.configure(conf.loads(b'<app><rest><acl><rule type="allow"/></acl></rest></app>'))
    status, routes = ask(port, "/mtev/rest.json")
    assert {"method": "GET", "public": False, "expression": r"^/capa\.json$"} in routes


def test_mounting_twice_changes_nothing() -> None:
    before = len(http.router.mountpoints)
    ops.mount()
    assert len(http.router.mountpoints) == before


def test_jemalloc_statistics_are_shown_where_it_is_preloaded(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime.ops import _process

    def show(callback: Any, _closure: Any, options: bytes) -> None:
        assert options == b"J"
        for piece in (b'{"jemalloc": ', b'{"version": "5"}}'):
            callback(None, piece)

    monkeypatch.setattr(_process, "_symbol", lambda name: show if name == "malloc_stats_print" else None)
    assert ask(port, "/mtev/memory.json") == (200, {"jemalloc": {"version": "5"}})
    assert Path("/proc/self/statm").exists()


@pytest.mark.parametrize("query", ["trigger_dump=true", "active=true&trigger_dump=true"])
def test_a_heap_profile_needs_jemalloc_and_says_so(port: int, query: str) -> None:
    status, answer = ask(port, f"/mtev/heap_profile?{query}")
    assert status == 501
    assert "LD_PRELOAD" in answer["error"]
