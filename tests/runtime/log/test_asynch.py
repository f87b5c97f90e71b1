"""Logging behind the caller's back."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from runtime import log
from runtime.log import LogType


@pytest.fixture(autouse=True)
def synchronous_again() -> Any:
    yield
    log.go_synch()


def test_eight_threads_lose_and_tear_nothing_and_keep_their_order(tmp_path: Path) -> None:
    path = tmp_path / "out"
    stream = log.new_stream("out", "file", path)
    log.go_asynch()

    def work(thread: int) -> None:
        for number in range(2000):
            stream.log(b"%d %d %s\n" % (thread, number, b"x" * (number % 50)))

    threads = [threading.Thread(target=work, args=(each,)) for each in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    log.go_synch()
    seen = dict.fromkeys(range(8), 0)
    for line in path.read_bytes().splitlines():
        thread, number, rest = line.split(b" ")
        assert int(number) == seen[int(thread)]
        assert rest == b"x" * (int(number) % 50)
        seen[int(thread)] += 1
    assert set(seen.values()) == {2000}


class Slow(LogType):
    """Writes only while its gate is open."""

    gate = threading.Event()

    def open(self) -> None:
        self.lines: list[bytes] = []
        self.begun = threading.Event()

    def write(self, when: int, line: bytes) -> None:
        self.begun.set()
        self.gate.wait(20)
        self.lines.append(line)

    def close(self) -> None: ...


def test_a_full_queue_counts_what_it_cannot_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.log._asynch.MOST", 5)
    log.register_type("slow", Slow)
    Slow.gate.clear()
    stream = log.new_stream("slow", "slow")
    log.go_asynch()
    ctx: Any = stream.ctx
    stream.log(b"first")
    assert ctx.begun.wait(20)
    for number in range(9):
        stream.log(b"%d" % number)
    assert stream.write_errors == 4
    assert not stream.flush(0.01)
    Slow.gate.set()
    assert stream.flush(20)
    assert ctx.lines == [b"first", b"0", b"1", b"2", b"3", b"4"]


def test_a_stream_made_later_is_asynchronous_too_and_file_synch_never_is(tmp_path: Path) -> None:
    log.go_asynch()
    late = log.new_stream("late", "file", tmp_path / "late")
    now = log.new_stream("now", "file_synch", tmp_path / "now")
    late.log(b"late\n")
    now.log(b"now\n")
    assert (tmp_path / "now").read_bytes() == b"now\n"
    assert late.flush(20)
    assert (tmp_path / "late").read_bytes() == b"late\n"
    assert "log/late" in [each.name for each in threading.enumerate()]
    log.go_synch()
    assert "log/late" not in [each.name for each in threading.enumerate()]


def run(program: str, path: Path) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-c", program, str(path)]
    return subprocess.run(command, capture_output=True, timeout=60)


PROGRAM = """
import os, sys
from runtime import log
stream = log.new_stream("out", "file", sys.argv[1])
log.go_asynch()
for number in range(5000):
    stream.log(b"%d\\n" % number)
"""


def test_what_is_queued_is_written_when_the_process_ends(tmp_path: Path) -> None:
    path = tmp_path / "out"
    assert run(PROGRAM, path).returncode == 0
    assert path.read_bytes() == b"".join(b"%d\n" % number for number in range(5000))


def test_fatal_writes_everything_and_aborts(tmp_path: Path) -> None:
    path = tmp_path / "out"
    done = run(PROGRAM + 'log.mtevFatal(stream, "the %s\\n", "end")', path)
    assert done.returncode == -signal.SIGABRT
    assert path.read_bytes().endswith(b"4999\nthe end\n")


def test_a_child_of_a_fork_writes_its_own_lines_once(tmp_path: Path) -> None:
    path = tmp_path / "out"
    child = """
if os.fork() == 0:
    stream.log(b"child\\n")
    log.close_all()
    os._exit(0)
os.wait()
"""
    assert run(PROGRAM + child, path).returncode == 0
    lines = path.read_bytes().split()
    assert len(lines) == 5001
    assert lines.count(b"child") == 1
