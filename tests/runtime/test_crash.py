"""Processes that really crash: they write their stacks, halt until somebody has looked, and end by their signal."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import crash

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which thread halted")

CRASHES = {
    "abort": ("os.abort()", signal.SIGABRT),
    "a bad pointer in C": ("ctypes.string_at(8)", signal.SIGSEGV),
    "a bad pointer in Lua": (
        "__import__('lupa.luajit21').luajit21.LuaRuntime().execute("
        "'local ffi = require([[ffi]]) ffi.cast([[char *]], 16)[0] = 1')",
        signal.SIGSEGV,
    ),
    "a stack that overflows": ("overflow()", signal.SIGSEGV),
    "a signal from outside": ("os.kill(os.getpid(), signal.SIGBUS)", signal.SIGBUS),
}

PROGRAM = """\
import ctypes, os, signal, sys, threading, time
from runtime import crash

sys.setrecursionlimit(10**9)


def overflow():
    again = ctypes.CFUNCTYPE(None)(lambda: again())
    again()


def work():
    crash.prepare_thread()
    {how}


{prepare}
thread = threading.Thread(target=work)
thread.start()
threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
thread.join()
time.sleep(1000)
"""


@pytest.fixture(autouse=True)
def no_core_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, before[1]))
    monkeypatch.delenv("MTEV_DIAGNOSE_CRASH", raising=False)
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


def run(how: str, prepare: str, **environment: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(how=how, prepare=prepare)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | environment,
    )


@linux
@pytest.mark.parametrize("name", CRASHES)
def test_a_process_that_crashes_halts_with_its_memory_and_ends_by_its_signal(name: str) -> None:
    how, number = CRASHES[name]
    with run(how, f"crash.hold(2, {os.getpid()})") as process:
        thread = None
        while thread is None:
            assert process.poll() is None, process.communicate()
            thread = crash.halted_thread(process.pid)
        crash.freeze(process.pid)
        assert thread in {int(each.name) for each in Path(f"/proc/{process.pid}/task").iterdir()}
        assert len(Path(f"/proc/{process.pid}/maps").read_text()) > 1000  # a zombie has none
        crash.let_end(process.pid, number)
        _, text = process.communicate(timeout=30)
    assert process.returncode == -number
    assert crash.signal_of(text) == number
    assert b"(most recent call first):" in text


DIAGNOSER = """\
#!/bin/sh
echo "$# $1 $2"
grep -c . /proc/$2/maps >&2
exec {then}
"""


@pytest.fixture
def diagnoser(tmp_path: Path) -> Path:
    path = tmp_path / "look"
    path.write_text(DIAGNOSER.format(then="true"))
    path.chmod(0o755)
    return path


@linux
@pytest.mark.parametrize("name", ["abort", "a bad pointer in Lua"])
def test_without_a_monitor_the_program_named_is_run_on_the_process(name: str, diagnoser: Path) -> None:
    how, number = CRASHES[name]
    with run(how, "crash.watch()", MTEV_DIAGNOSE_CRASH=str(diagnoser)) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == -number
    match = re.fullmatch(rf"2 (\d+) {process.pid}\n", out.decode())
    assert match is not None
    assert int(match[1]) != process.pid, "the thread that crashed"
    assert b"Fatal Python error: " in err
    assert int(err.splitlines()[-1]) > 10, "there was memory to look at"


@linux
def test_a_program_that_cannot_be_run_is_named_and_the_process_ends(tmp_path: Path) -> None:
    with run("os.abort()", "crash.watch()", MTEV_DIAGNOSE_CRASH=str(tmp_path / "absent")) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGABRT
    assert f"MTEV_DIAGNOSE_CRASH {tmp_path}/absent: ".encode() in err


@linux
def test_a_program_that_takes_too_long_is_ended(diagnoser: Path) -> None:
    diagnoser.write_text(DIAGNOSER.format(then="sleep 1000"))
    prepare = "crash.TIMEOUT = 0.2; crash.watch()"
    with run("os.abort()", prepare, MTEV_DIAGNOSE_CRASH=str(diagnoser)) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGABRT
    assert b"timed out" in err


@linux
def test_who_stands_by_goes_when_the_process_ends_well(diagnoser: Path) -> None:
    with run("os._exit(3)", "crash.watch()", MTEV_DIAGNOSE_CRASH=str(diagnoser)) as process:
        assert process.communicate(timeout=60) == (b"", b"")  # it had the other ends of these
    assert process.returncode == 3


def test_stacks_are_written_unless_the_environment_says_not_to() -> None:
    for value, written in (("", True), ("1", True), ("0", False)):
        with run("os.abort()", "crash.watch()", MTEV_DIAGNOSE_CRASH=value) as process:
            _, err = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGABRT
        assert (b"Fatal Python error: Aborted" in err) is written


@linux
def test_a_child_of_a_process_that_is_held_is_not() -> None:
    program = f"crash.hold(2, {os.getpid()}); pid = os.fork() or os.abort(); print(os.waitpid(pid, 0)[1])"
    done = subprocess.run(
        [sys.executable, "-c", f"import os; from runtime import crash; {program}"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert int(done.stdout) & 0x7F == signal.SIGABRT


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", crash.ALTSTACK),
        ("1000000", 1000000),
        ("1", crash.ALTSTACK),
        ("lots", crash.ALTSTACK),
        ("-5", crash.ALTSTACK),
    ],
)
def test_the_stack_for_handlers_has_the_size_that_is_set_if_that_suffices(
    text: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTEV_ALTSTACK_SIZE", text)
    assert crash.altstack_size() == size


@linux
def test_no_thread_is_taken_for_halted_that_is_not() -> None:
    assert crash.halted_thread(os.getpid()) is None
    process = subprocess.Popen(["true"])
    time.sleep(0)
    process.wait()
    assert crash.halted_thread(process.pid) is None
    assert crash.signal_of(b"nothing known") == signal.SIGKILL
