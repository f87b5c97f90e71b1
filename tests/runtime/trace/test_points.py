"""Trace points and those who listen to them in this process."""

import re
import struct
import subprocess
import sys
import threading
from ctypes import string_at
from pathlib import Path

import pytest
from tracing import heard

from runtime import log, trace


def test_the_points_are_those_of_the_manual() -> None:
    names = [each.name for each in trace.points()]
    assert sorted(names) == sorted(trace.POINTS)
    assert {each.partition("-")[0] for each in names} == {"log", "eventer", "reverse", "http"}
    kinds = {name: [kind for _, kind in arguments] for name, arguments in trace.POINTS.items()}
    assert kinds["log"] == ["char *", "char *", "int", "char *"]
    assert kinds["eventer-callback-entry"] == ["void *", "void *", "char *", "int", "int", "int"]
    assert kinds["reverse-connect-ssl-success"] == ["int", "char *", "char *", "char *", "int"]
    assert kinds["http-log"] == ["int", "void *", "char *"]
    assert max(map(len, kinds.values())) == 6  # what registers of calling conventions hold


@pytest.mark.parametrize(
    "name", ["eventer-accept", "eventer-read", "eventer-write", "eventer-close", "eventer-callback"]
)
def test_a_pair_is_heard_when_one_of_its_points_is(name: str) -> None:
    pair = trace.call(name)
    assert (pair.entry.name, pair.leave.name) == (f"{name}-entry", f"{name}-return")
    for point in (pair.entry, pair.leave):
        assert not pair.heard[0]
        with heard(point.name):
            assert pair.heard[0]
    assert not pair.heard[0]


def test_a_subscriber_gets_what_is_told_until_it_has_enough() -> None:
    point = trace.point("http-close")
    assert not point.heard[0]
    with heard("http-close") as one:
        with heard("http-close") as other:
            point.tell(3, None)
        assert point.heard[0]
        point.tell(4, None)
    assert not point.heard[0]
    assert one == [("http-close", 3, None), ("http-close", 4, None)]
    assert other == [("http-close", 3, None)]


def test_an_unknown_point_is_named() -> None:
    with pytest.raises(ValueError, match=r"there is no trace point 'http-open'.*http-close"):
        trace.subscribe("http-open", print)


def test_ending_twice_ends_once() -> None:
    end = trace.subscribe("http-close", print)
    with heard("http-close") as told:
        end()
        end()
        trace.point("http-close").tell(1, None)
    assert told == [("http-close", 1, None)]


def test_a_subscriber_that_raises_is_reported_and_let_go_of() -> None:
    sink = log.new_stream("reports", type="memory", path="10,10000")
    log.error.add_outlet(sink)
    assert isinstance(sink.ctx, log.Memory)

    def fails(*_: object) -> None:
        raise ZeroDivisionError("never again")

    trace.subscribe("http-close", fails)
    with heard("http-close") as told:
        trace.point("http-close").tell(1, None)
        trace.point("http-close").tell(2, None)
    assert len(told) == 2
    (report,) = [line for _, _, line in sink.ctx.entries()]
    assert b"a subscriber of trace point http-close failed" in report
    assert b"ZeroDivisionError: never again" in report
    assert not trace.point("http-close").heard[0]


def test_what_a_subscriber_does_itself_is_not_told() -> None:
    told = []

    def logs(_facility: bytes, _file: str, _line: int, message: bytes) -> None:
        told.append(message)
        log.error.log("I heard something\n")

    end = trace.subscribe("log", logs)
    try:
        log.stream_find("debug/elsewhere").log("something\n")
    finally:
        end()
    assert told == [b"something\n"]


def test_subscribers_come_and_go_on_many_threads() -> None:
    point = trace.point("http-accept")

    def come_and_go() -> None:
        for _ in range(200):
            with heard("http-accept"):
                point.tell(1, None)

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not point.heard[0]


def test_the_cells_are_where_others_look() -> None:
    number = trace.ORDER["reverse-connect"]
    before = string_at(trace.address() + 4 * number, 4)
    with heard("reverse-connect"):
        during = string_at(trace.address() + 4 * number, 4)
    assert (before, during) == (bytes(4), struct.pack("=HH", 0, 1))


def test_logging_imports_no_object_and_no_tracer() -> None:
    program = (
        "import sys; from runtime import eventer, log; log.init(); eventer.pool_create('default', 1); eventer.start();"
        "print(sorted(name for name in sys.modules if name.startswith('runtime.trace'))); eventer.stop()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "['runtime.trace', 'runtime.trace._points']\n"


def test_the_page_has_every_point_and_its_program_prints_what_it_says() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "trace.md").read_text()
    rows = re.findall(r"^\| `([\w-]+)` \| (.*) \|$", page, re.MULTILINE)
    for name, shown in rows:
        kinds = [f"{kind} {argument}".replace("* ", "*") for argument, kind in trace.POINTS[name]]
        assert re.findall(r"`([^`]+)`", shown) == kinds
    assert [name for name, _ in rows] == list(trace.POINTS)
    (found,) = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    done = subprocess.run([sys.executable, "-c", found[0]], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout.rstrip(), done.stderr) == (found[1].rstrip(), "")
