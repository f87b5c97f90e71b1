"""Lines as json and as flatbuffers, their pairs, hooks, counts and repetitions."""

import json
import uuid
from pathlib import Path
from typing import Any

import flatbuffers.encode
import flatbuffers.number_types as number
import flatbuffers.table
import pytest

from runtime import hooks, log
from runtime.log import LogError

IDENTITY = uuid.UUID("12345678-1234-5678-1234-567812345678")
PAIRS: dict[str, Any] = {"n": -3, "big": 2**63, "ratio": 0.5, "who": "joe", "id": IDENTITY}
WHEN = 1_700_000_000_123_456_789


@pytest.fixture
def sink(tmp_path: Path) -> Any:
    def make(form: str) -> tuple[log.LogStream, Path]:
        path = tmp_path / form
        stream = log.new_stream(f"sink/{form}", "file", path)
        stream.set_format(form)
        source = log.stream_find("error/formats")
        source.remove_all_outlets()
        source.add_outlet(stream)
        return source, path

    return make


def test_a_json_line_is_one_object_with_the_fields_in_order(sink: Any) -> None:
    source, path = sink("json")
    source.log(b'say "hi"\n', file="x.c", line=3, pairs=PAIRS, when=WHEN)
    source.log(b"\xff\n")
    first, second = path.read_bytes().splitlines()
    found = json.loads(first)
    assert list(found) == [
        *("timestamp", "facility", "threadid", "threadname", "file", "line", "message"),
        *PAIRS,
    ]
    assert found["timestamp"] == "1700000000.123456"
    assert (found["facility"], found["file"], found["line"]) == ("error/formats", "x.c", 3)
    assert found["message"] == 'say "hi"\n'
    assert {key: found[key] for key in PAIRS} == PAIRS | {"id": str(IDENTITY)}
    assert json.loads(second)["message"] == "\\xff\n"
    assert json.loads(second)["file"] == "test_formats.py"


def field(table: Any, slot: int) -> int | None:
    offset = table.Offset(4 + 2 * slot)
    return table.Pos + offset if offset else None


def text(table: Any, slot: int) -> str:
    at = field(table, slot)
    return table.String(at).decode() if at else ""


def value(kind: int, table: Any) -> Any:
    if kind in (4, 5):
        return text(table, 0)
    at = field(table, 0)
    flags = {1: number.Int64Flags, 2: number.Uint64Flags, 3: number.Float64Flags}[kind]
    return table.Get(flags, at)


def test_a_flatbuffer_line_holds_the_same(sink: Any) -> None:
    source, path = sink("flatbuffer")
    source.log(b"hello\n", file="x.c", line=3, pairs=PAIRS, when=WHEN)
    source.log(b"bare\n")
    data = path.read_bytes()
    size = flatbuffers.encode.Get(flatbuffers.packer.uint32, data, 0)
    root = flatbuffers.encode.Get(flatbuffers.packer.uoffset, data, 4) + 4
    line = flatbuffers.table.Table(bytearray(data[: 4 + size]), root)
    assert line.Get(number.Uint64Flags, field(line, 0)) == WHEN // 1000
    assert line.Get(number.Uint32Flags, field(line, 2)) == 3
    assert [text(line, slot) for slot in (3, 5, 6)] == ["x.c", "error/formats", "hello\n"]
    pairs = {}
    offset = line.Offset(4 + 2 * 7)
    for index in range(line.VectorLen(offset)):
        pair = flatbuffers.table.Table(line.Bytes, line.Indirect(line.Vector(offset) + 4 * index))
        inner = flatbuffers.table.Table(line.Bytes, 0)
        pair.Union(inner, pair.Offset(4 + 2 * 2))
        pairs[text(pair, 0)] = value(pair.Get(number.Uint8Flags, field(pair, 1)), inner)
    assert pairs == PAIRS | {"id": str(IDENTITY)}
    assert len(data) > 4 + size, "the next line follows"


def test_a_pair_of_another_type_is_refused(sink: Any) -> None:
    source, _path = sink("json")
    with pytest.raises(LogError, match="the value of 'list' is a list"):
        source.log(b"x", pairs={"list": []})


def test_the_manuals_functions_log_time_and_pairs(sink: Any) -> None:
    source, path = sink("json")
    log.mtevLT(source, WHEN, "at %d\n", 5)
    log.mtevEL(source, {"k": 1}, "with %s\n", "pairs")
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["timestamp"], first["message"]) == ("1700000000.123456", "at 5\n")
    assert (second["k"], second["message"]) == (1, "with pairs\n")


def test_hooks_see_lines_and_can_keep_them_back(sink: Any) -> None:
    source, path = sink("plain")
    seen: list[Any] = []

    def line(stream: log.LogStream, each: log.Line) -> int:
        seen.append((stream.name, each.message))
        return hooks.ABORT if b"secret" in each.message else hooks.CONTINUE

    def plain(stream: log.LogStream, when: int, data: bytes) -> int:
        seen.append((when > 0, data))
        return hooks.CONTINUE

    hook, plain_hook = hooks.find("mtev_log_line"), hooks.find("mtev_log_plain")
    assert hook is not None
    assert plain_hook is not None
    source.log(b"before\n")
    hook.register("test", line)
    plain_hook.register("test", plain)
    try:
        source.log(b"open\n")
        source.log(b"secret\n")
        hook.unregister("test")
        hook.register("test", lambda *_: 1 // 0)
        source.log(b"lost\n")
    finally:
        hook.unregister("test")
        plain_hook.unregister("test")
    source.log(b"after\n")
    assert path.read_bytes() == b"before\nopen\nafter\n"
    assert seen == [("sink/plain", b"open\n"), (True, b"open\n"), ("sink/plain", b"secret\n")]
    assert log.stream_find("sink/plain").write_errors == 1


def test_lines_are_counted_where_stats_are_on(sink: Any) -> None:
    source, _path = sink("plain")
    stream = log.stream_find("sink/plain")
    source.log(b"1\n")
    stream.set_stats(True)
    source.set_stats(True)
    source.log(b"2\n")
    source.log(b"3\n")
    stream.log(b"4\n")
    assert (source.lines, stream.lines) == (2, 3)
    source.set_stats(False)
    source.log(b"5\n")
    assert (source.lines, stream.lines) == (2, 4)


def test_repeated_lines_are_written_once_and_counted(sink: Any) -> None:
    source, path = sink("plain")
    stream = log.stream_find("sink/plain")
    stream.set_dedup(10)
    second = 1_000_000_000
    for after in (0, 1, 2, 3):
        source.log(b"same\n", when=WHEN + after * second)
    source.log(b"other\n", when=WHEN + 4 * second)
    source.log(b"other\n", when=WHEN + 5 * second)
    log.maintain(WHEN / second + 13)
    assert path.read_bytes() == b"same\nthe line before was repeated 3 times\nother\n"
    log.maintain(WHEN / second + 15)
    assert path.read_bytes().endswith(b"other\nthe line before was repeated 1 time\n")
    source.log(b"other\n", when=WHEN + 16 * second)
    stream.set_dedup(0)
    source.log(b"other\n", when=WHEN + 16 * second)
    assert path.read_bytes().endswith(b"1 time\nother\nother\n")
