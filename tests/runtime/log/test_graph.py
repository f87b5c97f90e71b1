"""Streams, outlets, flags, and the byte that tells whether logging does anything."""

import ctypes
from pathlib import Path

import pytest

from runtime import log


class Unprintable:
    def __mod__(self, _args: object) -> str:
        raise AssertionError("a disabled stream formats nothing")

    def __str__(self) -> str:
        raise AssertionError("a disabled stream formats nothing")


def byte(stream: log.LogStream) -> int:
    return ctypes.c_uint8.from_address(log.enabled_address() + stream.slot).value


def to_file(path: Path, name: str = "sink") -> log.LogStream:
    return log.new_stream(name, type="file", path=path)


def test_built_in_streams_lead_to_stderr_and_debug_is_disabled() -> None:
    built_in = log.streams()[:4]
    assert [stream.name for stream in built_in] == ["stderr", "error", "notice", "debug"]
    assert (log.stderr.type, log.stderr.path, log.stderr.outlets) == ("file", None, ())
    for stream in (log.error, log.notice, log.debug):
        assert (stream.type, stream.outlets) == (None, (log.stderr,))
    assert [stream.enabled for stream in built_in] == [True, True, True, False]


def test_init_can_enable_debug() -> None:
    log.init(debug_on=True)
    assert log.debug.enabled


def test_a_built_in_stream_writes_to_descriptor_2(capfd: pytest.CaptureFixture[str]) -> None:
    log.error.log("one\n")
    log.mtevL(log.notice, "two %d\n", 2)
    log.debug.log("three\n")
    assert capfd.readouterr() == ("", "one\ntwo 2\n")


def test_a_name_with_a_slash_gets_its_parent_as_outlet_recursively() -> None:
    stream = log.stream_find("debug/myapp/facility1")
    parent = log.stream_find("debug/myapp")
    assert stream.outlets == (parent,)
    assert parent.outlets == (log.debug,)
    assert stream.type is None
    assert log.stream_find("debug/myapp/facility1") is stream


def test_a_parent_that_is_missing_is_made_without_outlets() -> None:
    assert log.stream_find("a/b").outlets == (log.stream_find("a"),)
    assert log.stream_find("a").outlets == ()


def test_a_name_without_a_slash_gets_no_outlets_and_writes_nothing() -> None:
    stream = log.stream_find("awesome")
    assert stream.outlets == ()
    assert not stream.enabled


@pytest.mark.parametrize("name", ["/", "//", "/a", "a/", "a//b", "a/" * 5000 + "a"])
def test_odd_names_are_names_too(name: str) -> None:
    assert log.stream_find(name).name == name


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(log.LogError, match="needs a name"):
        log.stream_find("")
    with pytest.raises(log.LogError, match="needs a name"):
        log.new_stream("")


def test_asking_whether_a_stream_exists_makes_none() -> None:
    assert not log.stream_exists("nope")
    assert not log.stream_exists("nope")
    assert log.stream_exists("error")


def test_a_cycle_is_refused_and_named() -> None:
    a, b, c = (log.stream_find(name) for name in "abc")
    a.add_outlet(b)
    b.add_outlet(c)
    with pytest.raises(log.LogError, match=r"log 'c': outlet 'a' would make a cycle: c -> a -> b -> c$"):
        c.add_outlet(a)
    with pytest.raises(log.LogError, match=r"cycle: a -> a$"):
        a.add_outlet(a)
    assert c.outlets == ()


def test_a_line_goes_once_along_every_path(tmp_path: Path) -> None:
    sink, left, right, top = to_file(tmp_path / "f"), *map(log.stream_find, ("left", "right", "top"))
    for middle in (left, right):
        top.add_outlet(middle)
        middle.add_outlet(sink)
        middle.add_outlet(sink)
    top.log("x\n")
    assert (tmp_path / "f").read_text() == "x\nx\n"


def test_outlets_can_be_removed(tmp_path: Path) -> None:
    one, two, stream = to_file(tmp_path / "1", "one"), to_file(tmp_path / "2", "two"), log.stream_find("s")
    stream.add_outlet(one)
    stream.add_outlet(two)
    assert stream.remove_outlet(one)
    assert not stream.remove_outlet(one)
    stream.log("x")
    stream.remove_all_outlets()
    stream.log("y")
    assert ((tmp_path / "1").read_text(), (tmp_path / "2").read_text()) == ("", "x")


def test_a_typed_stream_writes_and_passes_on(tmp_path: Path) -> None:
    sink, below = to_file(tmp_path / "1", "one"), to_file(tmp_path / "2", "two")
    sink.add_outlet(below)
    sink.log("x")
    assert ((tmp_path / "1").read_text(), (tmp_path / "2").read_text()) == ("x", "x")


def test_a_disabled_stream_on_the_way_stops_the_line_there(tmp_path: Path) -> None:
    top, middle, other = log.stream_find("m/top"), log.stream_find("m"), log.stream_find("other")
    middle.add_outlet(to_file(tmp_path / "1", "one"))
    other.add_outlet(to_file(tmp_path / "2", "two"))
    top.add_outlet(other)
    middle.set_flags(0)
    top.log("x")
    assert ((tmp_path / "1").read_text(), (tmp_path / "2").read_text()) == ("", "x")


def test_enabled_means_that_something_below_would_write(tmp_path: Path) -> None:
    top, bottom = log.stream_find("a/b/c"), log.stream_find("a")
    assert (top.enabled, byte(top)) == (False, 0)
    bottom.add_outlet(to_file(tmp_path / "f"))
    assert (top.enabled, byte(top)) == (True, 1)
    sink = log.stream_find("sink")
    assert sink.set_flags(0) == log.ENABLED
    assert (top.enabled, byte(top), byte(sink)) == (False, 0, 0)
    sink.set_flags(log.ENABLED)
    top.set_flags(0)
    assert (top.enabled, byte(top), byte(bottom)) == (False, 0, 1)


@pytest.mark.parametrize("which", ["sink", "m", "m/top"])
def test_the_byte_is_3_when_a_stream_on_the_way_wants_the_place(which: str, tmp_path: Path) -> None:
    top = log.stream_find("m/top")
    log.stream_find("m").add_outlet(to_file(tmp_path / "f"))
    log.stream_find(which).set_flags(log.ENABLED | log.DEBUG)
    assert byte(top) == 3
    log.stream_find(which).set_flags(log.DEBUG)
    assert byte(top) == 0
    log.stream_find(which).set_flags(log.ENABLED)
    assert byte(top) == 1


def test_a_stream_whose_byte_is_right_is_right_for_every_stream_above() -> None:
    above = [log.stream_find(f"error/{i}/{j}") for i in range(5) for j in range(5)]
    log.error.set_flags(0)
    assert {byte(stream) for stream in above} == {0}
    log.error.set_flags(log.ENABLED)
    assert {byte(stream) for stream in above} == {1}


def test_a_disabled_stream_looks_at_nothing_it_is_given() -> None:
    stream = log.stream_find("debug/quiet")
    stream.log(Unprintable())  # type: ignore[arg-type]
    stream.logf("%s %s", Unprintable())
    stream.logf(Unprintable(), 1)  # type: ignore[arg-type]
    log.mtevL(stream, "%s", Unprintable())


def test_no_slot_is_left_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    last = log.stream_find("last")
    monkeypatch.setattr("runtime.log._table.CAPACITY", last.slot + 1)
    with pytest.raises(log.LogError, match=r"log 'one': there are \d+ log streams already$"):
        log.stream_find("one/too/many")
    assert not log.stream_exists("one")


def test_flags_are_a_mask_and_setting_returns_the_one_before() -> None:
    stream = log.stream_find("s")
    assert stream.get_flags() == stream.flags == log.ENABLED
    assert stream.set_flags(log.FACILITY) == log.ENABLED
    assert stream.set_flags(log.ENABLED | log.TIMESTAMPS) == log.FACILITY
    with pytest.raises(log.LogError, match=r"log 's': 0x11 has bits that are no flags"):
        stream.set_flags(0x11)
    assert stream.get_flags() == log.ENABLED | log.TIMESTAMPS


def test_a_stream_carries_properties() -> None:
    assert log.error.get_property("color") is None
    log.error.set_property("color", "red")
    assert log.error.get_property("color") == "red"


def test_reset_leaves_what_a_process_starts_with(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sink, error, old = to_file(tmp_path / "f"), log.error, log.stream_find("error/old")
    error.remove_all_outlets()
    error.add_outlet(sink)
    error.set_property("a", 1)
    log.reset()
    assert log.error is error
    assert error.outlets == (log.stderr,)
    assert error.get_property("a") is None
    assert len(log.streams()) == 4 + len(log.FACILITIES)
    old.log("nobody hears\n")
    sink.log("nobody hears\n")
    error.log("heard\n")
    assert (tmp_path / "f").read_text() == ""
    assert capfd.readouterr().err == "heard\n"
    assert (byte(old), byte(error)) == (0, 1)
    assert log.stream_find("error/old").slot != old.slot


def test_an_existing_stream_can_be_given_a_type(tmp_path: Path) -> None:
    stream = log.stream_find("error/mine")
    stream.set_flags(log.ENABLED | log.FACILITY)
    assert log.new_stream("error/mine", "file", tmp_path / "f") is stream
    assert (stream.type, stream.path, stream.outlets) == ("file", str(tmp_path / "f"), ())
    stream.log("x\n")
    stream.set_type(None)
    assert (stream.type, stream.path, stream.enabled) == (None, None, False)
    assert (tmp_path / "f").read_text() == "[error/mine] x\n"


def test_a_type_of_ones_own_can_be_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.log._types._types", {})
    seen: list[object] = []

    class Recorder(log.LogType):
        def open(self) -> None:
            seen.append(("open", self.name, self.path))

        def write(self, when: int, line: bytes) -> None:
            seen.append((when > 1_600_000_000 * 10**9, line))

        def close(self) -> None:
            seen.append("close")

    log.register_type("recorder", Recorder)
    stream = log.new_stream("r", "recorder", "somewhere")
    stream.log("line")
    stream.reopen()
    log.close_all()
    assert seen == [("open", "r", "somewhere"), (True, b"line"), "close"]
    assert isinstance(stream.ctx, Recorder)


def test_an_unknown_type_or_format_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    with pytest.raises(log.LogError, match=r"log 'x': unknown type 'carrier' \(known: file"):
        log.new_stream("x", "carrier", "pigeon")
    assert not log.stream_exists("x")
    sink = to_file(tmp_path / "f")
    with pytest.raises(log.LogError, match="unknown type"):
        sink.set_type("carrier")
    with pytest.raises(log.LogError, match=r"log 'sink': unknown format 'morse' \(known: flatbuffer, json, plain\)"):
        sink.set_format("morse")
    sink.set_format("plain")
    assert (sink.type, sink.format) == ("file", "plain")
    sink.log("x")
    assert (tmp_path / "f").read_text() == "x"
