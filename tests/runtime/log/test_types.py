"""Log types of an application's own: registered, configured before they are there, rotated, reopened."""

import sys
from pathlib import Path

import pytest

from runtime import conf, log, main, modules
from runtime.conf import logs
from runtime.log import LogError, LogType

DID: list[object] = []


class Tape(LogType):
    """Notes what it is asked to do."""

    def open(self) -> None:
        if self.path == "jammed":
            raise LogError(f"log '{self.name}': the tape is jammed")
        self.held = 0

    def write(self, when: int, line: bytes) -> None:
        self.held += len(line)
        DID.append(line)

    def reopen(self) -> None:
        DID.append("reopen")
        self.held = 0

    def close(self) -> None:
        DID.append("close")


class Reel(Tape):
    """Takes part in rotation."""

    def size(self) -> int:
        return self.held

    def rename(self, target: str) -> bool:
        DID.append(("rename", target))
        return True

    def cull(self, age: int | None, size: int | None, now: float) -> list[str]:
        DID.append(("cull", age, size, now))
        return []


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    DID.clear()
    monkeypatch.setattr("runtime.log._types._types", dict(_types()))


def _types() -> dict[str, object]:
    from runtime.log import _types as module

    return dict(module._types)


def configured(inside: str) -> conf.Conf:
    return conf.loads(f"<app><logs>{inside}</logs></app>".encode(), "a.conf")


def test_a_type_may_be_registered_after_it_is_configured_and_no_line_is_lost() -> None:
    text = configured('<log name="error/taped" type="tape" path="p" facility="on"/>')
    logs.configure(text, later=True)
    stream = log.stream_find("error/taped")
    assert stream.type == "tape"
    stream.log(b"early\n")
    log.register_type("tape", Tape)
    logs.resolve_types(text)
    stream.log(b"late\n")
    assert DID == [b"[error/taped] early\n", b"[error/taped] late\n"]
    assert (stream.path, stream.write_errors) == ("p", 0)
    logs.resolve_types(text)  # nothing is left to do
    assert len(DID) == 2


def test_more_than_is_kept_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.log._pending.MOST", 2)
    text = configured('<log name="taped" type="tape"/>')
    logs.configure(text, later=True)
    for line in (b"1", b"2", b"3"):
        log.stream_find("taped").log(line)
    log.register_type("tape", Tape)
    logs.resolve_types(text)
    assert DID == [b"1", b"2"]
    assert log.stream_find("taped").write_errors == 1


def test_a_type_nobody_brings_and_one_that_does_not_open_are_named_with_their_place() -> None:
    text = configured('\n<log name="taped" type="tape" path="jammed"/>')
    logs.configure(text, later=True)
    with pytest.raises(conf.ConfError, match=r"^a.conf:2: log 'taped': unknown type 'tape'"):
        logs.resolve_types(text)
    log.register_type("tape", Tape)
    with pytest.raises(conf.ConfError, match=r"^a.conf:2: log 'taped': the tape is jammed"):
        logs.resolve_types(text)


def test_one_declared_off_by_the_environment_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAPE", raising=False)
    text = configured('<log name="taped" type="tape" require_env="TAPE"/>')
    logs.configure(text, later=True)
    logs.resolve_types(text)
    assert not log.stream_exists("taped")


class Module:
    """Brings the type, as an application's module would."""

    def configure(self, _config: object) -> None:
        log.register_type("tape", Tape)

    def init(self) -> None:
        log.stream_find("taped").log(b"from the module")
        main.signal.raise_signal(main.signal.SIGTERM)


def test_a_server_writes_through_a_type_of_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "the_tapes", sys.modules[__name__])
    modules.register("tapes", "tape", "the_tapes:Module")
    text = b"""<app><eventer><config><concurrency>1</concurrency></config></eventer>
        <logs><log name="taped" type="tape"/></logs>
        <modules><generic image="tapes" name="tape"/></modules></app>"""
    assert main.run(conf.loads(text)) == 0
    assert DID[0] == b"from the module"


def reel(**config: str) -> log.LogStream:
    log.register_type("reel", Reel)
    return log.new_stream("reeled", "reel", "path", config=config)


def test_a_type_that_knows_its_size_is_rotated_and_culled() -> None:
    stream = reel(rotate_bytes="3", retain_bytes="100", retain_seconds="60")
    stream.log(b"ab")
    log.maintain(1000)
    stream.log(b"c")
    log.maintain(1001.5)
    assert DID == [
        b"ab",
        ("cull", 60, 100, 1000),
        b"c",
        ("rename", "path.1001"),
        "reopen",
        ("cull", 60, 100, 1001.5),
    ]


def test_a_type_is_rotated_by_time() -> None:
    stream = reel(rotate_seconds="10")
    log.maintain(1000)
    stream.log(b"a")
    log.maintain(1009)
    assert not [each for each in DID if each == "reopen"]
    log.maintain(1010)
    assert ("rename", "path.1010") in DID


def test_a_type_that_knows_no_size_is_left_alone(capfd: pytest.CaptureFixture[str]) -> None:
    log.register_type("tape", Tape)
    log.new_stream("taped", "tape", "path", config={"rotate_bytes": "1"}).log(b"abc")
    log.maintain(1000)
    assert DID == [b"abc"]


def test_one_that_cannot_be_moved_aside_says_so_once(capfd: pytest.CaptureFixture[str]) -> None:
    class Stuck(Reel):
        def rename(self, target: str) -> bool:
            return super(Reel, self).rename(target)

    log.register_type("stuck", Stuck)
    log.new_stream("held", "stuck", "path", config={"rotate_bytes": "1"}).log(b"abc")
    log.maintain(1000)
    log.maintain(1001)
    assert capfd.readouterr().err.count("log 'held': cannot rotate path: log 'held': this type cannot be moved") == 1


def test_the_streams_of_one_type_are_reopened(tmp_path: Path) -> None:
    log.register_type("tape", Tape)
    log.new_stream("taped", "tape", "path")
    file = log.new_stream("filed", "file", tmp_path / "f")
    (tmp_path / "f").rename(tmp_path / "g")
    log.reopen_type("tape")
    assert DID == ["reopen"]
    assert not (tmp_path / "f").exists()
    log.reopen_type("file")
    file.log(b"x")
    assert (tmp_path / "f").read_bytes() == b"x"
    log.reopen_type("nothing of that kind")


def test_all_that_could_not_be_reopened_is_named(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name in ("a", "b"):
        log.new_stream(name, "file", tmp_path / "d" / name)
    (tmp_path / "d").rename(tmp_path / "e")
    with pytest.raises(LogError, match=r"log 'a': cannot open .*; log 'b': cannot open"):
        log.reopen_type("file")


class Broken(Tape):
    """Does not keep its word."""

    def write(self, when: int, line: bytes) -> None:
        raise KeyError(line)


@pytest.mark.parametrize("way", ["plain", "json", "asynch"])
def test_a_type_that_raises_after_all_is_told_of_and_hurts_nobody_who_logs(way: str) -> None:
    log.register_type("broken", Broken)
    errors = log.new_stream("test/errors", "memory", "100,10000")
    log.error.add_outlet(errors)
    stream = log.new_stream("test/broken", "broken")
    if way == "json":
        stream.set_format("json")
    if way == "asynch":
        log.go_asynch()
    try:
        for _ in range(2):
            stream.log("x\n")
            assert stream.flush(60)
    finally:
        log.go_synch()
    assert stream.write_errors == 2
    assert isinstance(errors.ctx, log.Memory)
    told = [line for _, _, line in errors.ctx.entries()]
    assert told and all(line.startswith(b"log 'test/broken': KeyError: ") for line in told)
    assert way == "json" or len(told) == 1, "told once"
