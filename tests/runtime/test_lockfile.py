"""Lock files among real processes."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import lockfile

HOLDER = """
import sys
from runtime import lockfile
print(lockfile.acquire(sys.argv[1]), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "program.lock"


@contextlib.contextmanager
def process_that_locks(path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that tried to lock *path*, and what it got."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
        process.kill()


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_a_lock_of_a_live_process_is_refused_and_its_owner_named(path: Path) -> None:
    with process_that_locks(path) as (process, answer):
        assert answer >= 0
        assert lockfile.acquire(path) == -1
        assert lockfile.acquire_owner(path) == (-1, process.pid)
    fd = lockfile.acquire(path)
    assert fd >= 0
    assert lockfile.release(fd) == 0


def test_a_lock_of_a_killed_process_is_taken(path: Path) -> None:
    with process_that_locks(path) as (process, _):
        process.send_signal(signal.SIGKILL)
        process.wait()
        fd, owner = lockfile.acquire_owner(path)
        assert fd >= 0
        assert owner == -1
        lockfile.release(fd)


def test_a_lock_held_here_is_refused_elsewhere_until_it_is_released(path: Path) -> None:
    fd = lockfile.acquire(path)
    with process_that_locks(path) as (_, answer):
        assert answer == -1
    assert lockfile.release(fd) == 0
    assert path.exists()
    with process_that_locks(path) as (_, answer):
        assert answer >= 0


def test_the_same_process_is_refused_and_keeps_its_lock(path: Path, tmp_path: Path) -> None:
    fd = lockfile.acquire(path)
    (tmp_path / "other name").symlink_to(path)
    (tmp_path / "hard link").hardlink_to(path)
    for name in (path, str(path), os.fsencode(path), tmp_path / "other name", tmp_path / "hard link"):
        assert lockfile.acquire_owner(name) == (-1, -1)
    with process_that_locks(path) as (_, answer):
        assert answer == -1
    assert lockfile.release(fd) == 0


def test_of_many_threads_one_gets_the_lock(path: Path) -> None:
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.append(lockfile.acquire(path))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [fd for fd in got if fd >= 0]
    assert len(winners) == 1
    assert lockfile.release(winners[0]) == 0


def test_release_closes_nothing_but_locks(path: Path) -> None:
    fd = lockfile.acquire(path)
    reader, writer = os.pipe()
    assert lockfile.release(reader) == -1
    assert lockfile.release(-1) == -1
    os.close(reader)  # still ours to close
    os.close(writer)
    assert lockfile.release(fd) == 0
    assert lockfile.release(fd) == -1
    with pytest.raises(OSError):
        os.fstat(fd)


def test_a_descriptor_closed_by_others_no_longer_counts(path: Path) -> None:
    fd = lockfile.acquire(path)
    os.close(fd)
    assert lockfile.release(fd) == -1
    fd = lockfile.acquire(path)
    os.close(fd)
    again = lockfile.acquire(path)
    assert again >= 0
    assert lockfile.release(again) == 0


def test_a_lock_file_that_was_replaced_is_another_lock(path: Path) -> None:
    first = lockfile.acquire(path)
    path.unlink()
    second = lockfile.acquire(path)
    assert second >= 0
    assert [lockfile.release(first), lockfile.release(second)] == [0, 0]


@pytest.mark.parametrize("name", ["", ".", "no such directory/lock", "zero\0byte"])
def test_what_cannot_be_opened_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert lockfile.acquire_owner(name) == (-1, -1)


def test_refusals_leave_no_descriptor_open(path: Path) -> None:
    with process_that_locks(path):
        before = open_descriptors()
        for _ in range(50):
            assert lockfile.acquire(path) == -1
        assert open_descriptors() == before


FORK = """
import os, sys
from runtime import lockfile
fd = lockfile.acquire(sys.argv[1])
child = os.fork()
if child == 0:
    os._exit(0 if lockfile.acquire_owner(sys.argv[1]) == (-1, os.getppid()) and lockfile.release(fd) == -1 else 1)
status = os.waitpid(child, 0)[1]
assert lockfile.acquire(sys.argv[1]) == -1
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_a_forked_child_holds_no_lock_of_its_parent(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
