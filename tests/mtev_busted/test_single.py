"""A run without ``-j``: one process has the terminal and its death costs one error, as that of a worker does."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mtev_busted import leftovers
from mtev_busted.jobs import Job
from mtev_busted.worker import Child
from tests.mtev_busted.test_interrupts import has_ended
from tests.waiting import until

LIMIT = 60  # seconds until a run counts as hung
C = "ffi.cdef('int raise(int); void _exit(int); void exit(int); int pause(void); int getpid(void); int setsid(void);') "

SUITE = {
    "a": 'it("passes", function() print("a!") end) it("fails", function() assert.equal(1, 2) end) pending("later")',
    "b": C + 'describe("b", function() it("passes", function() end) it("dies", function() DEATH end) it("no") end)',
    "c": 'it("is next", function() print("c!") end)',
    "d": C + 'it("goes on", function() end) teardown(function() DEATH end)',
    "e": "error('no tests here')",
    "f": 'it("is last", function() end)',
}


def bare(text: str) -> str:
    """*text* without what differs from run to run."""
    for pattern in (
        r"\d+\.\d+ (ms|seconds)",
        r"(duration_ms: |time=\"|\"duration\":)[\d.e-]+",
        r"timestamp=\"[^\"]*\"",
    ):
        text = re.sub(pattern, "", text)
    return text


def write(busted: Any, death: str) -> None:
    for name, source in SUITE.items():
        busted.write(f"spec/{name}_spec.lua", source.replace("DEATH", death))


@pytest.mark.parametrize("output", ["gtest", "plain", "TAP", "tap14", "json", "jsonl", "junit", "github"])
def test_a_death_is_reported_as_that_of_a_worker_is(busted: Any, output: str) -> None:
    write(busted, "ffi.C.raise(9)")
    runs = []
    for jobs in ((), ("-j", "1")):
        run = busted.run("-o", output, "--seed=1", *jobs)
        runs.append(
            (
                run.status,
                bare(run.out).replace("after its", "after"),
                bare((busted.directory / "test_detail.xml").read_text()),
            )
        )
        (busted.directory / ".mtev-busted-failed").unlink()
    assert runs[0] == runs[1]
    assert runs[0][0] == 2


@pytest.mark.parametrize(
    ("death", "said"),
    [
        ("ffi.C.raise(11)", "was ended by signal 11 (Segmentation fault)"),
        ("ffi.C._exit(0)", "ended with status 0"),
        ("ffi.C.exit(3)", "ended with status 3"),
        ("os.execute('kill -9 ' .. ffi.C.getpid())", "was ended by signal 9 (Killed)"),
    ],
)
def test_whatever_ends_the_process_the_other_files_run(busted: Any, death: str, said: str) -> None:
    write(busted, death)
    run = busted.run("-o", "json")
    assert run.status == 2
    document = run.json()
    told = [(each["title"], each["message"]) for each in document["errors"]]
    message = f"the process that ran this file {said}"
    assert told[0] == ("spec/b_spec.lua @ 1: b dies", message)
    assert told[1] == ("spec/d_spec.lua", message)
    assert len(told) == 3
    assert [each["name"] for each in document["results"]] == [
        "passes", "fails", "later", "b passes", "b dies", "is next", "goes on", "is last",
    ]  # fmt: skip


@pytest.mark.parametrize("jobs", [(), ("-j", "1"), ("-j", "2")], ids=["one process", "a worker", "two workers"])
@pytest.mark.parametrize("where", ["--helper=help.lua", "-e=dofile('help.lua')"])
def test_a_death_before_the_first_file_is_one_error(busted: Any, jobs: tuple[str, ...], where: str) -> None:
    write(busted, "")
    busted.write("help.lua", "require('ffi').cdef('void _exit(int);') require('ffi').C._exit(0)")
    run = busted.run(where, "-o", "TAP", *jobs)
    assert run.status == 2
    message = "the process that was to run files, before the first of them, ended with status 0"
    assert run.out == f"TAP version 13\nnot ok 1 - suite\n# {message}\n1..1\n"


def test_a_death_stops_the_run_with_bail(busted: Any) -> None:
    busted.write("spec/a_spec.lua", C + 'it("dies", function() ffi.C._exit(0) end)')
    busted.write("spec/b_spec.lua", 'it("never", function() end)')
    for jobs in ((), ("-j", "1")):
        run = busted.run("-bail", "-o", "json", *jobs)
        assert [each["name"] for each in run.json()["results"]] == ["dies"]


def test_a_repeated_run_goes_on_where_it_died(busted: Any) -> None:
    busted.write("spec/a_spec.lua", 'it("a", function() print("ran a") end)')
    busted.write(
        "spec/b_spec.lua",
        C + 'it("b", function() if io.open("once") then ffi.C._exit(0) end io.open("once", "w"):close() end)',
    )
    run = busted.run("--repeat=3", "-o", "TAP", "--seed=1")
    assert run.status == 2
    assert run.out.count("ran a\n") == 3
    results = [line.partition(" - ")[0] for line in run.out.splitlines() if "ok " in line]
    assert results == ["ok 1", "ok 2", "ok 3", "not ok 4", "ok 5", "not ok 6"]


@pytest.mark.parametrize("limit", [("--timeout=0.2",), ("--file-timeout=1",), ()], ids=["test", "file", "its own"])
def test_a_hang_in_c_beyond_a_limit_is_ended(busted: Any, limit: tuple[str, ...]) -> None:
    busted.write("spec/a_spec.lua", C + f'it("hangs", function() {"" if limit else "timeout(0.2)"} ffi.C.pause() end)')
    busted.write("spec/b_spec.lua", 'it("fine", function() end)')
    run = busted.run("-o", "TAP", *limit)
    assert run.status == 2
    assert (
        "not ok 1 - spec/a_spec.lua @ 1: hangs\n# timeout: the file did not go on, its process was killed\n" in run.out
    )
    assert "ok 2 - spec/b_spec.lua @ 1: fine\n1..2\n" in run.out


def test_lines_counted_before_a_death_and_after_it_are_reported(busted: Any) -> None:
    write(busted, "ffi.C.raise(9)")
    busted.write("src/m.lua", "return 1\n")
    for name in ("a", "f"):
        busted.write(f"spec/{name}_spec.lua", 'it("counts", function() assert.equal(1, require("m")) end)')
    run = busted.run("-c", "-o", "json")
    assert [each["status"] for each in run.json()["results"]].count("success") == 5
    assert "DA:1,2\n" in (busted.directory / "lcov.info").read_text()


def test_the_terminal_is_that_of_the_specs(busted: Any) -> None:
    """A prompt without a newline is seen at once, and what is typed is read, as a debugger in a spec needs it."""
    busted.write(
        "spec/a_spec.lua",
        """
        ffi.cdef("int isatty(int);")
        it("asks", function()
          assert.same({ 1, 1, 1 }, { ffi.C.isatty(0), ffi.C.isatty(1), ffi.C.isatty(2) })
          io.write("name? ")
          io.flush()
          assert.equal("ada", io.read())
        end)
        """,
    )
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(busted.directory)
        os.execv(sys.executable, [sys.executable, "-m", "mtev_busted.cli", "-o", "TAP"])
    seen = b""

    def see() -> bool:
        nonlocal seen
        try:
            seen += os.read(terminal, 65536)
        except OSError:  # EIO: all have closed it
            return False
        return True

    while not seen.endswith(b"name? "):
        assert see(), seen
    os.write(terminal, b"ada\n")
    while see():
        pass
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, seen
    assert b"ok 1 - spec/a_spec.lua @ 3: asks\r\n" in seen


@contextmanager
def begun(busted: Any, *options: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A run, and the id of the process that runs specs, which one of these writes to stderr."""
    with subprocess.Popen(
        [sys.executable, "-m", "mtev_busted.cli", "-o", "TAP", *options],
        cwd=busted.directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stderr is not None
        yield program, int(program.stderr.readline())


def test_specs_end_with_who_looks_on(busted: Any) -> None:
    busted.write(
        "spec/a_spec.lua",
        C + 'it("waits", function() io.stderr:write(ffi.C.getpid(), "\\n") mtev.sleep(1000) end)',
    )
    with begun(busted) as (program, pid):
        program.send_signal(signal.SIGKILL)
        out, _ = program.communicate(timeout=LIMIT)
    assert "# spec/a_spec.lua:1: interrupted\n" in out
    until(lambda: has_ended(pid))


@pytest.mark.parametrize("jobs", [(), ("-j", "1")], ids=["one process", "a worker"])
@pytest.mark.parametrize("death", ["", "ffi.C.raise(9)"], ids=["an end", "a death"])
def test_programs_that_are_left_running_end_unless_they_lead_a_session(
    busted: Any, jobs: tuple[str, ...], death: str
) -> None:
    busted.write(
        "spec/a_spec.lua",
        C
        + """
        it("starts programs", function()
          local deaf = "trap '' TERM; echo $$ > spawned; while :; do sleep 1; done"
          local spawned = mtev.spawn("/bin/sh", { "sh", "-c", deaf })
          os.execute("sleep 1000 & echo $! > executed")
          piped = io.popen("echo $$ > piped; exec sleep 1000 > /dev/null")
          os.execute("setsid sh -c 'echo $$ > stays; exec sleep 1000' > /dev/null 2>&1 < /dev/null &")
          assert.eventually(function()
            for _, name in ipairs({ "spawned", "executed", "piped", "stays" }) do
              local file = io.open(name)
              if not file or not file:read("*n") then return false end
            end
            return true
          end, 30)
          DEATH
        end)
        """.replace("DEATH", death),
    )
    run = busted.run("-o", "TAP", *jobs)
    assert run.status == (2 if death else 0), run.out
    pids = {name: int((busted.directory / name).read_text()) for name in ("spawned", "executed", "piped", "stays")}
    stays = pids.pop("stays")
    try:
        assert Path(f"/proc/{stays}").exists()
        until(lambda: all(map(has_ended, pids.values())), lambda: pids)
    finally:
        os.kill(stays, signal.SIGKILL)


@pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not here")
def test_a_debugger_has_the_process_that_runs_specs(busted: Any) -> None:
    busted.write("spec/a_spec.lua", C + 'it("dies", function() ffi.C.raise(11) end)')
    command = ["gdb", "-batch", "-nx", "-ex", "run", "--args", sys.executable, "-m", "mtev_busted.cli", "-o", "TAP"]
    done = subprocess.run(
        command,
        cwd=busted.directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "received signal SIGSEGV" in done.stdout, done.stdout + done.stderr
    assert "Detaching after fork" not in done.stdout


def test_what_was_running_before_is_left_alone(busted: Any) -> None:
    """A shell starts a service, and then this program in its own place."""
    busted.write("spec/a_spec.lua", 'it("runs", function() end)')
    script = 'sleep 1000 & echo $! > service; exec "$0" -m mtev_busted.cli'
    subprocess.run(
        ["sh", "-c", script, sys.executable], cwd=busted.directory, stdout=subprocess.DEVNULL, check=True, timeout=LIMIT
    )
    os.kill(int((busted.directory / "service").read_text()), signal.SIGKILL)  # raises for one that is not there


class Clock:
    """Tells of time that passes at will."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)


def test_time_in_which_it_cannot_go_on_is_not_that_of_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    child = Child(0)
    child.begin(Job(1, 1, "spec/a_spec.lua", False, 0))
    list(child.heard_of(b"text", b"\1mark\2"))
    child.limit = 3.0
    before = child.deadline(file_timeout=20.0)[0], child.deadline(file_timeout=5.0)[0]
    clock.now += 60
    child.wait_longer(60)
    assert (child.deadline(file_timeout=20.0)[0], child.deadline(file_timeout=5.0)[0]) == tuple(x + 60 for x in before)


def test_a_process_that_is_stopped_is_known() -> None:
    with subprocess.Popen(["sleep", "1000"]) as program:
        assert not leftovers.is_stopped(program.pid)
        program.send_signal(signal.SIGSTOP)
        until(lambda: leftovers.is_stopped(program.pid))
        program.kill()


def test_a_process_that_was_stopped_beyond_its_limit_goes_on(busted: Any) -> None:
    busted.write(
        "spec/a_spec.lua",
        C
        + "ffi.cdef('int usleep(unsigned);') "
        + """
        it("waits", function()
          io.stderr:write(ffi.C.getpid(), "\\n")
          for _ = 1, 4 do ffi.C.usleep(50000) end
        end)
        it("follows", function() end)
        """,
    )
    with begun(busted, "--file-timeout=4") as (program, pid):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(6)
        os.kill(pid, signal.SIGCONT)
        out, _ = program.communicate(timeout=LIMIT)
    assert "ok 1 - spec/a_spec.lua @ 2: waits\nok 2 - spec/a_spec.lua @ 6: follows\n" in out


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_specs_have_no_pipe_of_who_looks_on(busted: Any) -> None:
    look = "ls -l /proc/$PPID/fd > mine; ls -l /proc/$(ps -o ppid= -p $PPID | tr -d ' ')/fd > theirs"
    busted.write("spec/a_spec.lua", f'it("looks", function() os.execute("{look}") end)')
    assert busted.run("-o", "TAP").status == 0
    pipes = [
        dict(re.findall(r" (\d+) -> (pipe:\S+)", (busted.directory / each).read_text())) for each in ("mine", "theirs")
    ]
    mine, theirs = ({pipe for number, pipe in each.items() if int(number) > 2} for each in pipes)
    assert theirs and not mine & theirs
