"""What goes wrong at night, found with what the running program says: by curl, on the console, on the page.

docs/operations.md walks through the same.
"""

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from opsprogram import Ops
from waiting import until

BLOCKER = """\
import threading
from runtime import eventer

class Blocker:
    def configure(self, config):
        pass

    def init(self):
        never = threading.Event()
        for _ in range(30):
            eventer.simple_asynch(never.wait, queue=eventer.jobq_retrieve("slow"))
"""


@pytest.fixture
def ops(tmp_path: Path) -> Iterator[Ops]:
    (tmp_path / "blocker.py").write_text(BLOCKER)
    made = Ops(
        tmp_path,
        eventer="<jobq_slow>2</jobq_slow>",
        logs='<log name="audit" type="file" path="/dev/full"/><log name="error/audit"><outlet name="audit"/></log>',
        modules='<generic image="blocker" name="Blocker"/>',
    ).start()
    yield made
    made.kill()


def console(ops: Ops, line: str) -> str:
    """What a console says to one line."""
    with socket.create_connection(("127.0.0.1", ops.console), 20) as client:
        client.sendall(line.encode() + b"\r")
        client.shutdown(socket.SHUT_WR)
        said = b""
        while data := client.recv(1 << 16):
            said += data
    return said.decode()


def line_of(ops: Ops, text: str) -> str:
    """Where *text* is in the module, as the endpoints say it."""
    lines = (ops.directory / "web.lua").read_text().splitlines()
    number = next(at for at, line in enumerate(lines, 1) if text in line)
    return f"web.lua:{number}"


def test_a_leaked_socket_is_listed_with_the_line_that_made_it(ops: Ops) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=20) as peer:
        port = peer.getsockname()[1]
        for _ in range(5):
            ops.text(f"/web/leak-socket?{port}")
        rows = [each for each in ops.json("/eventer/sockets.json") if (each["remote"] or {}).get("port") == port]
        assert len(rows) == 5
        assert {each["callback"] for each in rows} == {"lua/idle"}
        assert all(each["made_at"].endswith(line_of(ops, 'mtev.socket("inet")')) for each in rows)
        assert all(each["source"].endswith(line_of(ops, 'mtev.waitfor("socket')) for each in rows)
        idle = [value for labels, value in ops.samples("mtev_lua_sockets").items() if 'state="idle"' in labels]
        assert sum(idle) == 5
        assert console(ops, "show eventer debug sockets").count("-> lua/idle(") == 5


def test_of_sockets_made_in_a_burst_many_say_where(ops: Ops) -> None:
    ops.text("/web/leak-many")
    rows = [each for each in ops.json("/eventer/sockets.json") if each["callback"] == "lua/idle"]
    assert len(rows) == 400
    told = [each["made_at"] for each in rows if each.get("made_at")]
    assert 100 <= len(told) < 400
    assert all(each.endswith(line_of(ops, "for i = 1, 400")) for each in told)


def test_a_leaking_coroutine_is_seen_by_what_all_of_them_wait_for(ops: Ops) -> None:
    for _ in range(5):
        ops.text("/web/leak-coroutine")
    (state,) = ops.json("/module/lua/state.json")["lua_web"].values()
    stuck = [each for each in state["coroutines"] if each["awaits"].startswith("waitfor an answer that never")]
    assert len(stuck) == 5
    assert all(each["age"] >= 0 and each["cpu"] >= 0 for each in stuck)
    assert all(line_of(ops, "an answer that never comes") in each["stack"] for each in stuck)
    waiting = {
        labels: value
        for labels, value in ops.samples("mtev_lua_coroutines").items()
        if 'module="lua_web"' in labels and 'state="waitfor"' in labels
    }
    assert list(waiting.values()) == [5]
    assert console(ops, "show lua").count(line_of(ops, "an answer that never comes")) == 5


def test_a_spinning_handler_is_seen_from_the_loop_of_the_operators(ops: Ops) -> None:
    console(ops, "log enable debug")
    console(ops, "log connect debug internal")
    spinning = threading.Thread(target=ops.text, args=("/web/stuck",))
    spinning.start()

    def lags() -> bool:
        found = {each["name"]: each["lag"] for each in ops.json("/ops/loops.json")["threads"]}
        return bool(found["e:default/0"] > 1 > found["e:ops/0"])

    until(lags)  # while the handler runs, and only then
    (ops.directory / "enough").write_text("")
    spinning.join()
    line = "callback lua coroutine of lua_web"
    told = [each["line"] for each in ops.json("/eventer/logs/internal.json") if line in each["line"]]
    assert any(re.search(r"took \d{4,}\.", each) for each in told), told
    with ops.spinning():
        profile = ops.text("/module/lua/profile?seconds=1&module=lua_web")
    assert "web.lua:spin" in profile
    scope = ops.json("/mtev/profile?seconds=0.2&format=speedscope")
    assert scope["$schema"].endswith("file-format-schema.json") and scope["profiles"][0]["type"] == "sampled"


def test_a_blocked_job_queue_is_seen_by_its_backlog(ops: Ops) -> None:
    until(lambda: ops.json("/eventer/jobq.json")["slow"]["inflight"] == 2)
    figures = ops.json("/eventer/jobq.json")["slow"]
    assert (figures["backlog"], figures["concurrency"]) == (28, 2)
    assert ops.samples("mtev_jobq_backlog")['{queue="slow"}'] == 28
    assert " backlog: 28\n inflight: 2\n" in console(ops, "show eventer debug jobq slow")
    names = {(each / "comm").read_text().strip() for each in Path(f"/proc/{_pid(ops)}/task").iterdir()}
    assert {"e:default/0", "e:ops/0", "j:slow/1", "j:slow/2"} <= names


def test_a_full_disk_is_counted_and_told_where_it_can_be(ops: Ops) -> None:
    for _ in range(3):
        assert console(ops, "log to error/audit kept for the auditor").endswith("logged.\ncli# ")
    assert ops.samples("mtev_log_lines_lost_total")['{stream="audit"}'] == 3
    stream = next(each for each in ops.json("/ops/logs.json") if each["name"] == "audit")
    assert (stream["path"], stream["write_errors"]) == ("/dev/full", 3)


def _pid(ops: Ops) -> int:
    assert ops.process is not None
    return ops.process.pid


def test_metrics_are_openmetrics_when_asked_and_each_family_is_described_once(ops: Ops) -> None:
    import urllib.request

    ops.text("/web/x")
    for accept, _kind in (
        ("text/plain", "text/plain"),
        ("application/openmetrics-text", "application/openmetrics-text"),
    ):
        request = urllib.request.Request(f"http://127.0.0.1:{ops.port}/metrics", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.headers["Content-Type"].startswith(accept)
            lines = answer.read().decode().splitlines()
        types = [each.split()[2] for each in lines if each.startswith("# TYPE ")]
        assert len(types) == len(set(types))
        assert types == [each.split()[2] for each in lines if each.startswith("# HELP ")]
        assert (lines[-1] == "# EOF") == (accept != "text/plain")
        series = [each.rpartition(" ")[0] for each in lines if not each.startswith("#")]
        assert len(series) == len(set(series))
        wanted = {"mtev_loop_lag_seconds", "mtev_lua_heap_bytes", "mtev_process_open_fds", "mtev_restarts_total"}
        assert wanted <= {each.partition("{")[0] for each in series}
    requests = ops.samples("mtev_http_requests_total")
    assert requests['{class="2xx",route="GET /web/ (.*)$"}'] == 1
