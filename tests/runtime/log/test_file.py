"""The file type: opening, reopening, partial writes, failures, threads, signals and forks."""

import fcntl
import os
import pty
import resource
import signal
import socket
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from waiting import until

from runtime import log
from runtime.log import _file, _now

THREADS = 8
LINES = 500


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for fd in (reader, writer):
        try:
            os.close(fd)
        except OSError:
            pass


def slurp(fd: int, into: list[bytes]) -> threading.Thread:
    """Read *fd* to its end on a thread."""

    def run() -> None:
        while chunk := os.read(fd, 1 << 16):
            into.append(chunk)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def file_of(stream: log.LogStream) -> _file.File:
    assert isinstance(stream.ctx, _file.File)
    return stream.ctx


@pytest.mark.parametrize("kind", ["file", "file_synch"])
def test_a_file_is_made_with_mode_0664_and_appended_to(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    before = os.umask(0)
    try:
        log.new_stream("a", kind, path).log("1\n")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o7777 == 0o664
    log.new_stream("b", kind, str(path)).log("2\n")
    log.stream_find("a").log("3\n")
    assert path.read_text() == "1\n2\n3\n"
    assert log.stream_find("a").type == kind
    assert fcntl.fcntl(file_of(log.stream_find("a"))._fd, fcntl.F_GETFL) & os.O_APPEND


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(log.LogError, match=rf"log 'x': cannot open '{tmp_path}/no/log': No such file or directory"):
        log.new_stream("x", "file", tmp_path / "no" / "log")
    with pytest.raises(log.LogError, match=r"log 'x': cannot open .*: Is a directory"):
        log.new_stream("x", "file", tmp_path)
    with pytest.raises(log.LogError, match=r"log 'x': cannot open .*null"):
        log.new_stream("x", "file", "a\0b")
    assert not log.stream_exists("x")


def test_a_file_log_needs_one_place_to_write_to(tmp_path: Path) -> None:
    with pytest.raises(log.LogError, match="log 'x': a file log needs either a path or a descriptor"):
        log.new_stream("x", "file")
    with pytest.raises(log.LogError, match="either a path or a descriptor"):
        log.new_stream("x", "file", tmp_path / "f", fd=1)
    with pytest.raises(log.LogError, match="-1 is no descriptor"):
        log.new_stream("x", "file", fd=-1)
    with pytest.raises(log.LogError, match="a path or descriptor needs a type"):
        log.new_stream("x", path=tmp_path / "f")


def test_a_failed_change_of_type_leaves_the_stream_as_it_was(tmp_path: Path) -> None:
    stream = log.new_stream("x", "file", tmp_path / "f")
    with pytest.raises(log.LogError, match="cannot open"):
        log.new_stream("x", "file", tmp_path)
    stream.log("still here")
    assert (tmp_path / "f").read_text() == "still here"


def test_a_descriptor_is_written_to_and_stays_open(capfd: pytest.CaptureFixture[str]) -> None:
    stream = log.new_stream("stdout", type="file", fd=1)
    assert stream.path is None
    stream.log("plain\n")
    stream.reopen()
    log.close_all()
    assert capfd.readouterr().out == "plain\n"
    os.write(1, b"open\n")
    assert capfd.readouterr().out == "open\n"


def test_reopening_follows_a_moved_file(tmp_path: Path) -> None:
    path, moved = tmp_path / "log", tmp_path / "log.1"
    stream = log.new_stream("x", "file", path)
    stream.log("1\n")
    path.rename(moved)
    stream.log("2\n")
    log.reopen_all()
    stream.log("3\n")
    assert (moved.read_text(), path.read_text()) == ("1\n2\n", "3\n")


def test_reopening_does_nothing_while_the_inode_is_the_same(tmp_path: Path) -> None:
    stream = log.new_stream("x", "file", tmp_path / "log")
    os.set_inheritable(file_of(stream)._fd, True)  # a mark that a fresh descriptor would not have
    stream.reopen()
    assert os.get_inheritable(file_of(stream)._fd)


def test_a_failed_reopening_is_named_and_the_old_file_and_other_logs_go_on(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    lost, kept = log.new_stream("lost", "file", tmp_path / "d" / "f"), log.new_stream("kept", "file", tmp_path / "k")
    old = os.open(tmp_path / "d" / "f", os.O_RDONLY)
    (tmp_path / "d" / "f").unlink()
    (tmp_path / "d").rmdir()
    (tmp_path / "k").unlink()
    said = r"^log 'lost': cannot open '[^']*': No such file or directory: directory .* does not exist$"
    with pytest.raises(log.LogError, match=said):
        log.reopen_all()
    lost.log("a")
    kept.log("b")
    assert os.read(old, 10) == b"a"
    assert (tmp_path / "k").read_text() == "b"
    os.close(old)


def test_after_closing_lines_are_dropped_and_counted_until_reopened(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stream = log.new_stream("x", "file", tmp_path / "f")
    log.close_all()
    log.close_all()
    stream.log("lost\n")
    assert stream.write_errors == 1
    log.reopen_all()
    stream.log("kept\n")
    assert (tmp_path / "f").read_text() == "kept\n"
    assert capfd.readouterr().err == ""


def test_neither_logging_nor_closing_waits_for_a_reader(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_file, "CLOSE_TIMEOUT", 0.01)
    stream = log.new_stream("x", "file", fd=pipe[1])
    stream.log(b"")
    stream.log(b"x" * (1 << 20))
    stream.log(b"")
    log.close_all()
    stream.log(b"y")
    thread = slurp(pipe[0], chunks := [])
    written(stream)
    os.close(pipe[1])
    thread.join()
    assert b"".join(chunks) == b"x" * (1 << 20) + b"y"


def written(stream: log.LogStream) -> None:
    """Wait until all that *stream* took is written."""
    while not stream.flush():
        pass


def test_what_nobody_reads_is_kept_so_far_then_lost_counted_and_told_once(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_file, "MOST", 1 << 20)
    stream = log.new_stream("x", "file", fd=pipe[1])
    lines = [b"%06d %s\n" % (number, b"z" * 992) for number in range(3000)]
    for line in lines:
        stream.log(line)
    lost = stream.write_errors
    assert lost > 1000
    said = f"log 'x': nobody reads descriptor {pipe[1]}, 1048576 bytes wait; lines are lost until somebody does\n"
    assert capfd.readouterr().err == said
    thread = slurp(pipe[0], chunks := [])
    written(stream)
    stream.log("after\n")
    os.close(pipe[1])
    thread.join()
    assert b"".join(chunks) == b"".join(lines[: 3000 - lost]) + b"after\n"
    pieces: list[str] = []

    def is_said() -> bool:  # by the thread that writes, once it has written
        pieces.append(capfd.readouterr().err)
        return "".join(pieces).endswith("\n")

    until(is_said)
    assert "".join(pieces) == f"log 'x': descriptor {pipe[1]} is read again; {lost} lines were lost\n"


def test_who_can_wait_is_told_of_room(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_file, "MOST", 1 << 20)
    stream = log.new_stream("x", "file", fd=pipe[1])
    room = threading.Event()
    assert not stream.await_room(room.set), "there is some"
    line = b"z" * 999 + b"\n"
    while not stream.is_full:
        stream.log(line)
    assert stream.await_room(room.set)
    assert not room.is_set()
    thread = slurp(pipe[0], chunks := [])
    assert room.wait(30)
    assert not stream.is_full
    written(stream)
    os.close(pipe[1])
    thread.join()
    assert b"".join(chunks).count(line) == len(b"".join(chunks)) // len(line)
    assert stream.write_errors == 0


def test_nobody_waits_for_ever_for_room(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_file, "MOST", 1 << 20)
    monkeypatch.setattr(_file, "PATIENCE", 0.2)
    stream = log.new_stream("x", "file", fd=pipe[1])
    room = threading.Event()
    while not stream.await_room(room.set):  # on a busy machine the time may be up before it is asked
        stream.log(b"z" * 999 + b"\n")
        if stream.write_errors:
            monkeypatch.setattr(_file, "PATIENCE", 5.0)
    assert room.wait(30)
    assert stream.is_full
    assert not stream.await_room(room.set)


def test_a_named_pipe_without_a_reader_keeps_nobody_waiting(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    stream = log.new_stream("x", "file", path)
    for number in range(20_000):
        stream.log(b"%099d\n" % number)
    reader = os.open(path, os.O_RDONLY)
    got = b""
    while len(got) < 2_000_000:
        got += os.read(reader, 1 << 16)
    os.close(reader)
    assert got == b"".join(b"%099d\n" % number for number in range(20_000))
    assert stream.write_errors == 0


def test_a_terminal_that_was_stopped_keeps_nobody_waiting() -> None:
    master, terminal = pty.openpty()
    tty.setraw(terminal)
    stream = log.new_stream("x", "file", fd=terminal)
    for number in range(5_000):
        stream.log(b"%099d\n" % number)
    got = b""
    while len(got) < 500_000:
        got += os.read(master, 1 << 16)
    assert got == b"".join(b"%099d\n" % number for number in range(5_000))
    assert os.get_blocking(terminal)
    os.close(terminal)
    os.close(master)


def test_a_socket_that_nobody_reads_keeps_nobody_waiting() -> None:
    ours, theirs = socket.socketpair()
    stream = log.new_stream("x", "file", fd=ours.fileno())
    for number in range(20_000):
        stream.log(b"%099d\n" % number)
    got = b""
    while len(got) < 2_000_000:
        got += theirs.recv(1 << 16)
    assert got == b"".join(b"%099d\n" % number for number in range(20_000))
    assert ours.gettimeout() is None
    assert os.get_blocking(ours.fileno())
    ours.close()
    theirs.close()


@pytest.mark.parametrize("here", ["pipe", "socket"])
def test_where_the_system_knows_no_writing_without_waiting_it_is_asked_first(
    here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_now, "_NOWAIT", None)
    if here == "socket":
        left, right = socket.socketpair()
        reader, writer = left.detach(), right.detach()
    else:
        reader, writer = os.pipe()
    with pytest.raises(BlockingIOError):
        while True:
            assert 0 < _now.write_now(writer, b"x" * 100) <= 100
    assert os.read(reader, 10) == b"x" * 10
    os.close(reader)
    os.close(writer)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_counted_and_reported_once(capfd: pytest.CaptureFixture[str]) -> None:
    stream = log.new_stream("x", "file", "/dev/full")
    for _ in range(3):
        stream.log("m\n")
    assert stream.write_errors == 3
    assert log.error.write_errors == 0
    assert capfd.readouterr().err == (
        "log 'x': cannot write to /dev/full: No space left on device; lines are lost until it can be again\n"
    )


def test_a_failure_is_reported_again_after_a_write_that_succeeded(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    def told(data: str) -> int:
        return data.count("No space left")

    stream = log.new_stream("x", "file", tmp_path / "f")
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(_file, "os_write", lambda fd, data: os.write(fd, data) if fd == 2 else full(fd, data))
            stream.log("lost\n")
            stream.log("lost\n")
        assert told(capfd.readouterr().err) == 1
        stream.log("kept\n")
    assert stream.write_errors == 4
    assert (tmp_path / "f").read_text() == "kept\nkept\n"


def test_a_reader_that_went_away_does_not_disturb_the_caller(
    pipe: tuple[int, int], capfd: pytest.CaptureFixture[str]
) -> None:
    stream = log.new_stream("x", "file", fd=pipe[1])
    os.close(pipe[0])
    stream.log("m\n")
    stream.log("m\n")
    assert stream.write_errors == 2
    assert f"log 'x': cannot write to descriptor {pipe[1]}: Broken pipe" in capfd.readouterr().err


def test_a_failing_stderr_is_counted_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_fd: int, _data: bytes) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(_file, "os_write", gone)
    log.error.log("m\n")
    assert log.stderr.write_errors == 1
    log.new_stream("x", "file", fd=1).log("m\n")


@pytest.mark.parametrize("blocking", [True, False])
def test_a_line_the_system_takes_in_parts_is_written_whole(blocking: bool, pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], blocking)
    stream = log.new_stream("x", "file", fd=pipe[1])
    lines = [bytes([65 + i]) * 300_000 for i in range(4)]
    chunks: list[bytes] = []
    thread = slurp(pipe[0], chunks)
    writers = [threading.Thread(target=stream.log, args=(line,)) for line in lines]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    written(stream)
    os.close(pipe[1])
    thread.join()
    whole = b"".join(chunks)
    assert sorted(whole[i : i + 300_000] for i in range(0, len(whole), 300_000)) == lines
    assert stream.write_errors == 0


def test_a_signal_handler_may_log_in_the_middle_of_a_line(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = log.new_stream("x", "file", fd=pipe[1])

    def disturbed(fd: int, data: bytes) -> int:
        monkeypatch.undo()
        took = _now.write_now(fd, data)
        signal.raise_signal(signal.SIGUSR1)
        return took

    before = signal.signal(signal.SIGUSR1, lambda *_: stream.log(b"from the handler\n"))
    try:
        monkeypatch.setattr(_file, "write_now", disturbed)
        stream.log(b"x" * (1 << 20) + b"\n")
    finally:
        signal.signal(signal.SIGUSR1, before)
    thread = slurp(pipe[0], chunks := [])
    written(stream)
    os.close(pipe[1])
    thread.join()
    assert b"".join(chunks) == b"x" * (1 << 20) + b"\nfrom the handler\n"


def test_lines_of_threads_are_whole_and_in_order_of_each_thread(tmp_path: Path) -> None:
    sink = log.new_stream("sink", "file", tmp_path / "f")
    streams = [log.stream_find(f"s{n}/sub") for n in range(THREADS)]
    for n in range(THREADS):
        log.stream_find(f"s{n}").add_outlet(sink)
    start = threading.Barrier(THREADS)

    def speak(n: int) -> None:
        start.wait()
        for i in range(LINES):
            streams[n].log(f"{n} {i} {'x' * (i * 7 % 200)} end\n")

    threads = [threading.Thread(target=speak, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen: list[list[int]] = [[] for _ in range(THREADS)]
    for line in (tmp_path / "f").read_text().splitlines():
        speaker, number, padding, end = line.split(" ")
        assert (len(padding), end) == (int(number) * 7 % 200, "end")
        seen[int(speaker)].append(int(number))
    assert seen == [list(range(LINES))] * THREADS


def test_no_line_is_lost_while_files_are_moved_and_the_graph_changes(tmp_path: Path) -> None:
    sink, other = log.new_stream("sink", "file", tmp_path / "f"), log.new_stream("other", "file", tmp_path / "other")
    log.error.remove_all_outlets()
    log.error.add_outlet(sink)
    done = threading.Event()

    def speak() -> None:
        for i in range(2000):
            log.error.log(f"{i}\n")
        done.set()

    thread = threading.Thread(target=speak)
    thread.start()
    moves = 0
    while not done.is_set() or moves == 0:
        (tmp_path / "f").rename(tmp_path / f"f.{moves:06}")
        log.reopen_all()
        log.error.add_outlet(other)
        log.error.remove_outlet(other)
        moves += 1
    thread.join()
    files = [*sorted(tmp_path.glob("f.*")), tmp_path / "f"]
    assert [int(line) for each in files for line in each.read_text().splitlines()] == list(range(2000))


def test_a_file_that_takes_only_a_part_gets_that_and_the_loss_is_counted(tmp_path: Path) -> None:
    stream = log.new_stream("x", "file", tmp_path / "f")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        stream.log("0123456789abcdef\n")
        stream.log("lost\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    stream.log("\nkept\n")
    assert (tmp_path / "f").read_text() == "0123456789\nkept\n"
    assert stream.write_errors == 2


def test_threads_that_log_while_files_are_closed_write_to_nothing_else(tmp_path: Path) -> None:
    stream = log.new_stream("x", "file", tmp_path / "f")
    stop = threading.Event()

    def speak() -> None:
        while not stop.is_set():
            stream.log("m\n")

    threads = [threading.Thread(target=speak) for _ in range(2)]
    for thread in threads:
        thread.start()
    victims = []
    for i in range(200):
        stream.set_type("file", str(tmp_path / f"{i % 2}"))
        log.close_all()
        victims.append(os.open(tmp_path / "victim", os.O_RDWR | os.O_CREAT))
    stop.set()
    for thread in threads:
        thread.join()
    assert (tmp_path / "victim").read_text() == ""
    for fd in victims:
        os.close(fd)


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs /dev/fd")
def test_no_descriptor_is_left_of_a_stream_that_is_gone(tmp_path: Path) -> None:
    before = sorted(os.listdir("/dev/fd"))  # noqa: PTH208 - the shortest way to them
    for i in range(5):
        stream = log.new_stream("x", "file", tmp_path / f"{i}")
        stream.log("m\n")
        (tmp_path / f"{i}").unlink()
        log.reopen_all()
    log.close_all()
    log.reset()
    del stream
    assert sorted(os.listdir("/dev/fd")) == before  # noqa: PTH208


def test_a_forked_child_logs_although_another_thread_held_the_locks(pipe: tuple[int, int]) -> None:
    sink = log.new_stream("sink", "file", fd=pipe[1])
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with file_of(sink)._lock:
            held.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        try:
            sink.log("child\n")
            log.stream_find("sink/new").log("child, new stream\n")
            sink.set_flags(0)
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    release.set()
    thread.join()
    assert sink.enabled
    sink.log("parent\n")
    assert os.read(pipe[0], 100) == b"child\nchild, new stream\nparent\n"


def test_a_forked_child_has_a_table_of_its_own() -> None:
    import ctypes

    stream = log.stream_find("error/forked")
    address = log.enabled_address() + stream.slot
    child = os.fork()
    if child == 0:
        stream.set_flags(0)
        os._exit(ctypes.c_uint8.from_address(address).value + 7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert ctypes.c_uint8.from_address(address).value == 1


def failing_file(tmp_path: Path) -> None:
    log.new_stream("x", "file", "/dev/full").log("m\n")


def moved_directory(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    stream = log.new_stream("x", "file", tmp_path / "logs/f", config={"rotate_bytes": "1"})
    stream.log("m\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", _no_descriptors)
        log.maintain(1.0)


def _no_descriptors(*_: object, **__: object) -> int:
    raise OSError(24, "Too many open files")


@pytest.mark.parametrize(
    ("lose", "report"),
    [
        (failing_file, "log 'x': cannot write to /dev/full: No space left on device"),
        (moved_directory, "Too many open files"),
    ],
)
@pytest.mark.parametrize("console", [True, False])
def test_what_is_lost_is_told_in_the_error_log_and_where_a_console_would_show_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], lose: Callable[[Path], None], report: str, console: bool
) -> None:
    log.error.add_outlet(log.new_stream("errors", "file", tmp_path / "errors"))
    if not console:
        log.error.remove_outlet(log.stderr)
    lose(tmp_path)
    assert (tmp_path / "errors").read_text().count(report) == 1
    assert capfd.readouterr().err.count(report) == 1


def test_an_error_log_that_fails_itself_is_told_of_once(capfd: pytest.CaptureFixture[str]) -> None:
    log.error.remove_all_outlets()
    log.error.add_outlet(log.new_stream("x", "file", "/dev/full"))
    log.error.log("m\n")
    log.error.log("m\n")
    assert capfd.readouterr().err.count("cannot write to /dev/full") == 1
