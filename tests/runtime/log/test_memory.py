"""The log type `memory`."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import log
from runtime.log import LogError, Memory


def memory(path: str) -> tuple[log.LogStream, Memory]:
    stream = log.new_stream("internal", "memory", path)
    assert isinstance(stream.ctx, Memory)
    return stream, stream.ctx


@given(st.lists(st.binary(max_size=20)), st.integers(1, 8), st.integers(1, 60))
def test_neither_limit_is_exceeded_and_the_newest_are_kept(lines: list[bytes], most: int, size: int) -> None:
    stream, kept = memory(f"{most},{size}")
    expected: list[tuple[int, bytes]] = []
    for index, each in enumerate(lines):
        stream.log(each)
        if len(each) <= size:
            expected.append((index, each))
        while len(expected) > most or sum(len(text) for _, text in expected) > size:
            del expected[0]
    assert [(index, text) for index, _when, text in kept.entries()] == expected


def test_lines_after_an_index_and_the_newest() -> None:
    stream, kept = memory(" 100 , 1000 ")
    for number in range(10):
        stream.log(b"%d" % number, when=number)
    assert kept.entries(since=7) == [(8, 8, b"8"), (9, 9, b"9")]
    assert kept.entries(last=1) == [(9, 9, b"9")]
    assert kept.entries(since=5, last=2) == [(8, 8, b"8"), (9, 9, b"9")]
    assert kept.entries(last=0) == []
    assert kept.entries(since=100) == []


@pytest.mark.parametrize("path", [None, "", "10", "0,10", "10,0", "a,b", "1,2,3", "-1,5"])
def test_a_path_that_is_no_pair_of_limits_is_refused(path: str | None) -> None:
    with pytest.raises(LogError, match="'lines,bytes', two numbers above 0"):
        log.new_stream("internal", "memory", path)


def test_memory_is_written_at_once_even_when_files_are_not(tmp_path: Path) -> None:
    stream, kept = memory("10,100")
    log.go_asynch()
    try:
        stream.log(b"now")
        assert [text for _, _, text in kept.entries()] == [b"now"]
    finally:
        log.go_synch()
