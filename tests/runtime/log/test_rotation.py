"""Rotation and retention of files, on a clock of the test's own."""

import os
from pathlib import Path
from typing import Any

import pytest

from runtime import log
from runtime.log import LogError


@pytest.fixture
def rotated(tmp_path: Path) -> Any:
    def make(**config: str) -> tuple[log.LogStream, Path]:
        path = tmp_path / "app.log"
        return log.new_stream("rotated", "file", path, config=config), path

    return make


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


def test_a_file_is_moved_aside_when_it_has_its_bytes(rotated: Any) -> None:
    stream, path = rotated(rotate_bytes="10", retain_bytes="1000")
    log.maintain(1000)
    assert names(path) == ["app.log"], "an empty file stays"
    stream.log(b"123456789")
    log.maintain(1001)
    assert names(path) == ["app.log"]
    stream.log(b"0")
    log.maintain(1002)
    stream.log(b"next")
    assert names(path) == ["app.log", "app.log.1002"]
    assert path.read_bytes() == b"next"
    assert (path.parent / "app.log.1002").read_bytes() == b"1234567890"


def test_a_file_that_was_moved_aside_when_no_other_could_be_opened_is_left_once_one_can(
    rotated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, path = rotated(rotate_bytes="1")
    stream.log(b"before")

    def no_descriptor(*_: object, **__: object) -> int:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as short:
        short.setattr(os, "open", no_descriptor)
        log.maintain(1000)
    stream.log(b", meanwhile")
    log.maintain(1001)
    stream.log(b"after")
    assert names(path) == ["app.log", "app.log.1000"]
    assert (path.parent / "app.log.1000").read_bytes() == b"before, meanwhile"
    assert path.read_bytes() == b"after"


def test_two_rotations_in_one_second_do_not_overwrite(rotated: Any) -> None:
    stream, path = rotated(rotate_bytes="1")
    for text in (b"a", b"b"):
        stream.log(text)
        log.maintain(1000.5)
    assert (path.parent / "app.log.1000").read_bytes() == b"a"
    assert path.read_bytes() == b"b"
    log.maintain(1001)
    assert (path.parent / "app.log.1001").read_bytes() == b"b"


def test_a_file_is_moved_aside_when_it_has_its_seconds(rotated: Any) -> None:
    stream, path = rotated(rotate_seconds="60", retain_seconds="120")
    log.maintain(1000)
    stream.log(b"first")
    log.maintain(1059.9)
    assert names(path) == ["app.log"]
    log.maintain(1060)
    assert names(path) == ["app.log", "app.log.1060"]
    stream.log(b"second")
    log.maintain(1119)
    assert names(path) == ["app.log", "app.log.1060"]
    log.maintain(1120)
    assert names(path) == ["app.log", "app.log.1060", "app.log.1120"]
    log.maintain(1180)
    assert names(path) == ["app.log", "app.log.1060", "app.log.1120"], "exactly as old as allowed"
    log.maintain(1181)
    assert names(path) == ["app.log", "app.log.1120"]


def test_a_file_of_before_the_start_counts_from_its_last_line(rotated: Any, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(b"old")
    os.utime(tmp_path / "app.log", (900, 900))
    _stream, path = rotated(rotate_seconds="60")
    log.maintain(959)
    assert names(path) == ["app.log"]
    log.maintain(960)
    assert names(path) == ["app.log", "app.log.960"]


def test_the_oldest_beyond_the_bytes_are_removed_and_nothing_else(rotated: Any) -> None:
    _stream, path = rotated(rotate_bytes="1000", retain_bytes="10")
    for name in (
        "app.log.100",
        "app.log.200",
        "app.log.300",
        "app.log.x",
        "app.log.4x",
        "other.log.100",
        "app.log.1.gz",
    ):
        (path.parent / name).write_bytes(b"12345")
    log.maintain(1000)
    assert names(path) == [
        *("app.log", "app.log.1.gz", "app.log.200", "app.log.300"),
        *("app.log.4x", "app.log.x", "other.log.100"),
    ]


def test_what_cannot_be_rotated_is_told_once(rotated: Any, capfd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, path = rotated(rotate_bytes="1")
    stream.log(b"x")

    def refuse(*_args: Any) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", refuse)
        log.maintain(1000)
        log.maintain(1001)
    assert capfd.readouterr().err.count("log 'rotated': cannot rotate") == 1
    stream.log(b"y")
    log.maintain(1002)
    assert (path.parent / "app.log.1002").read_bytes() == b"xy"


@pytest.mark.parametrize("key", ["rotate_bytes", "rotate_seconds", "retain_bytes", "retain_seconds"])
def test_a_limit_that_is_no_number_is_refused(rotated: Any, key: str) -> None:
    with pytest.raises(LogError, match=f"log 'rotated': {key}='lots': expected a whole number"):
        rotated(**{key: "lots"})


def test_a_descriptor_cannot_be_rotated() -> None:
    with pytest.raises(LogError, match="a descriptor cannot be rotated"):
        log.new_stream("rotated", "file", fd=1, config={"rotate_bytes": "5"})
