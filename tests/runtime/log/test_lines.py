"""What is written for a message."""

import inspect
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime import log
from runtime.log._plain import plain

SECOND = 10**9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lines"


@pytest.fixture
def sink(path: Path) -> log.LogStream:
    return log.new_stream("sink", type="file", path=path)


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "XXX-05:30")  # east of Greenwich
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(message=st.binary())
def test_bytes_come_out_exactly(sink: log.LogStream, path: Path, message: bytes) -> None:
    before = path.stat().st_size
    sink.log(message)
    assert path.read_bytes()[before:] == message


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(message=st.text(st.characters(codec="utf-8")), junk=st.binary())
def test_text_comes_out_as_utf8_and_escaped_bytes_as_they_were(
    sink: log.LogStream, path: Path, message: str, junk: bytes
) -> None:
    before = path.stat().st_size
    sink.log(message)
    sink.log(junk.decode("utf-8", "surrogateescape"))
    assert path.read_bytes()[before:] == message.encode() + junk


def test_no_text_is_refused(sink: log.LogStream, path: Path) -> None:
    sink.log("a\ud800b\n")
    assert path.read_bytes() == b"a\\ud800b\n"


def test_what_is_no_text_is_refused_by_name(sink: log.LogStream) -> None:
    with pytest.raises(TypeError, match="bytes or str, not int"):
        sink.log(42)  # type: ignore[arg-type]


def test_byte_arrays_are_bytes(sink: log.LogStream, path: Path) -> None:
    sink.log(bytearray(b"ab"))  # type: ignore[arg-type]
    sink.log(memoryview(b"cd"))  # type: ignore[arg-type]
    assert path.read_bytes() == b"abcd"


def test_messages_are_not_formatted_unless_asked(sink: log.LogStream, path: Path) -> None:
    sink.log("100 %s\n")
    sink.logf("100%% %s %03d\n", "a", 7)
    log.mtevL(sink, "%d-%s\n", 1, "sprintf")
    assert path.read_text() == "100 %s\n100% a 007\n1-sprintf\n"


def test_a_format_that_does_not_fit_raises(sink: log.LogStream) -> None:
    with pytest.raises(TypeError, match="not enough arguments"):
        sink.logf("%s %s", 1)


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    ("when", "text"),
    [
        (0, b"1970-01-01 05:30:00.000000"),
        (1_700_000_000 * SECOND + 1_999, b"2023-11-15 03:43:20.000001"),
        (1_700_000_000 * SECOND + 999_999_999, b"2023-11-15 03:43:20.999999"),
        (1_700_000_001 * SECOND, b"2023-11-15 03:43:21.000000"),
        (1_699_999_999 * SECOND, b"2023-11-15 03:43:19.000000"),
    ],
)
def test_timestamps_are_local_time_to_the_microsecond(when: int, text: bytes) -> None:
    plain(log.TIMESTAMPS, 1_700_000_000 * SECOND, b"", b"", "", 0)
    assert plain(log.TIMESTAMPS, when, b"f", b"message\n", "", 0) == b"[%b] message\n" % text


def test_a_timestamp_is_now(sink: log.LogStream, path: Path) -> None:
    sink.set_flags(log.ENABLED | log.TIMESTAMPS)
    before = time.strftime("[%Y-%m-%d %H:%M:%S")
    sink.log("m\n")
    after = time.strftime("[%Y-%m-%d %H:%M:%S.999999")
    line = path.read_text()
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\] m\n", line)
    assert before <= line <= after


def test_every_decoration_in_its_order(sink: log.LogStream, path: Path) -> None:
    sink.set_flags(log.ENABLED | log.TIMESTAMPS | log.FACILITY | log.DEBUG)

    def speak() -> None:
        sink.log("m\n", file="some/file.c", line=12)

    thread = threading.Thread(target=speak, name="e:default/0")
    thread.start()
    thread.join()
    assert re.fullmatch(
        rf"\[[-\d]{{10}} [:\d]{{8}}\.\d{{6}}\] \[sink\] \[t@{thread.native_id}/e:default/0,some/file\.c:12\] m\n",
        path.read_text(),
    )


def test_flags_of_every_stream_on_the_way_add_up_and_the_facility_is_the_first(sink: log.LogStream, path: Path) -> None:
    top, middle = log.stream_find("m/top"), log.stream_find("m")
    middle.add_outlet(sink)
    top.set_flags(log.ENABLED | log.FACILITY)
    middle.set_flags(log.ENABLED | log.TIMESTAMPS)
    top.log("1\n")
    middle.log("2\n")
    sink.log("3\n")
    sink.set_flags(log.ENABLED | log.FACILITY)
    middle.log("4\n")
    stamp = r"\[[^]]{26}\] "
    assert re.fullmatch(rf"{stamp}\[m/top\] 1\n{stamp}2\n3\n{stamp}\[m\] 4\n", path.read_text())


def test_flags_do_not_spread_to_other_ways(sink: log.LogStream, path: Path, tmp_path: Path) -> None:
    bare = log.new_stream("bare", "file", tmp_path / "bare")
    top = log.stream_find("top")
    top.add_outlet(sink)
    top.add_outlet(bare)
    sink.set_flags(log.ENABLED | log.FACILITY)
    top.log("x\n")
    assert (path.read_text(), (tmp_path / "bare").read_text()) == ("[top] x\n", "x\n")


def test_the_callers_place_is_found_out_where_it_is_not_given(sink: log.LogStream, path: Path) -> None:
    sink.set_flags(log.ENABLED | log.DEBUG)
    frame = inspect.currentframe()
    assert frame is not None
    first = frame.f_lineno + 1
    sink.log("a\n")
    sink.logf("%s\n", "b")
    log.mtevL(sink, "%s\n", "c")
    where = re.findall(r",([^,]+):(\d+)\] .\n", path.read_text())
    name = os.path.basename(__file__)  # noqa: PTH119
    assert where == [(name, str(first)), (name, str(first + 1)), (name, str(first + 2))]


def test_names_that_are_no_text_are_written_as_their_bytes(path: Path) -> None:
    stream = log.new_stream("n\udcff", "file", path)
    stream.set_flags(log.ENABLED | log.FACILITY)
    stream.log("x\n")
    assert path.read_bytes() == b"[n\xff] x\n"
