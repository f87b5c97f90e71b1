"""Specs and surroundings that work against the runner: descriptors that are closed, forks, output without measure."""

import fcntl
import os
import subprocess
import sys
import termios
import time
from array import array
from pathlib import Path
from typing import Any

import pytest
from waiting import until

JOBS = pytest.mark.parametrize("jobs", [(), ("-j", "2")], ids=["one process", "two workers"])
PASSES = 'it("passes", function() end)'
PROGRAM = [sys.executable, "-m", "mtev_busted.cli"]


@JOBS
def test_output_that_cannot_be_written_fails_the_run(busted: Any, jobs: tuple[str, ...]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    busted.write("spec/a_spec.lua", PASSES)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*PROGRAM, "-o", "TAP", *jobs],
            cwd=busted.directory,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "mtev-busted: cannot write to standard output: No space left on device\n"


@JOBS
def test_who_stops_reading_ends_the_run_with_one_line(busted: Any, jobs: tuple[str, ...]) -> None:
    busted.write("spec/a_spec.lua", 'for i = 1, 3000 do it("passes" .. i, function() end) end')
    program = subprocess.Popen(
        [*PROGRAM, "-o", "TAP", *jobs], cwd=busted.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with program:
        assert program.stdout is not None
        assert program.stderr is not None
        assert program.stdout.readline() == "TAP version 13\n"
        program.stdout.close()
        assert program.stderr.read() == "mtev-busted: cannot write to standard output: Broken pipe\n"
    assert program.returncode == 2


@JOBS
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_descriptors_may_be_closed(busted: Any, jobs: tuple[str, ...], closed: str) -> None:
    busted.write(
        "spec/a_spec.lua", 'it("runs", function() io.open("ran", "w"):close() print("x") io.stderr:write("y") end)'
    )
    command = f"exec {' '.join(PROGRAM)} {' '.join(jobs)} {closed}"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=busted.directory, capture_output=True, text=True, check=False)
    assert (done.returncode, (busted.directory / "ran").exists()) == (0, True)
    assert "Traceback" not in done.stderr
    assert busted.junit().get("tests") == "1"


def test_a_worker_that_closes_its_output_costs_its_file_only(busted: Any) -> None:
    busted.write(
        "spec/a_spec.lua", 'ffi.cdef("int close(int);") it("closes", function() ffi.C.close(1) mtev.sleep(1000) end)'
    )
    busted.write("spec/b_spec.lua", PASSES)
    run = busted.run("-j", "2", "-o", "TAP")
    assert (
        "not ok 1 - spec/a_spec.lua @ 1: closes\n# the process that ran this file closed its standard output" in run.out
    )
    assert "ok 2 - spec/b_spec.lua @ 1: passes\n" in run.out


def test_a_program_that_outlives_its_worker_does_not_hold_up_the_run(busted: Any) -> None:
    busted.write("spec/a_spec.lua", 'it("leaves", function() os.execute("sleep 1000 & echo $! > pid") end)')
    run = busted.run("-j", "1", "-o", "TAP")
    os.kill(int((busted.directory / "pid").read_text()), 9)
    assert run.status == 0
    assert run.out == "TAP version 13\nok 1 - spec/a_spec.lua @ 1: leaves\n1..1\n"


@pytest.mark.soak  # such a child may find locks that nobody gives back, and take its time
def test_a_child_that_a_test_forks_and_leaves_running_does_no_harm(busted: Any) -> None:
    busted.write("spec/a_spec.lua", 'ffi.cdef("int fork(void);") it("forks", function() ffi.C.fork() end)')
    busted.write("spec/b_spec.lua", PASSES)
    run = busted.run("-j", "2", "-o", "TAP")
    assert run.status == 0, run.err
    assert "ok 1 - spec/a_spec.lua @ 1: forks\n" in run.out
    assert "spec/b_spec.lua @ 1: passes\n" in run.out


@JOBS
def test_output_by_the_megabyte_comes_through(busted: Any, jobs: tuple[str, ...]) -> None:
    source = """
    it("prints lines", function() for _ = 1, 5000 do print(("x"):rep(99)) end end)
    it("prints no newline", function() for _ = 1, 20 do io.write(("y"):rep(100000)) end end)
    it("fails at length", function() error(("z"):rep(3000000), 0) end)
    """
    run = busted.spec(source, "-o", "TAP", *jobs)
    assert [run.out.count(each) for each in ("x" * 99 + "\n", "y" * 2000000, "z" * 3000000)] == [5000, 1, 1]


def test_what_a_test_prints_is_written_before_it_goes_on(busted: Any) -> None:
    """Though nobody reads it for a while: the process may die next."""
    lines = 5000
    prints = f'for _ = 1, {lines} do print(("x"):rep(99)) end'
    busted.write("spec/a_spec.lua", f'it("prints", function() {prints} io.open("gone on", "w"):close() end)')
    with subprocess.Popen([*PROGRAM, "-o", "TAP"], cwd=busted.directory, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        pipe, size = program.stdout, array("i", [0])

        def is_full() -> bool:
            fcntl.ioctl(pipe, termios.FIONREAD, size)
            return size[0] > 50_000

        until(is_full)
        time.sleep(0.3)  # for one that does go on
        assert not (busted.directory / "gone on").exists()
        assert pipe.read().count(b"x" * 99 + b"\n") == lines
    assert (busted.directory / "gone on").exists()


def test_links_that_lead_in_circles_are_not_followed(busted: Any) -> None:
    busted.write("spec/a_spec.lua", PASSES)
    (busted.directory / "spec/loop").symlink_to(".")
    (busted.directory / "spec/self_spec.lua").symlink_to("self_spec.lua")
    (busted.directory / "spec/gone_spec.lua").symlink_to("nowhere")
    run = busted.run("-j", "2", "-o", "TAP")
    assert run.status == 2
    assert "ok 1 - spec/a_spec.lua @ 1: passes\n" in run.out
    assert "cannot open spec/gone_spec.lua: No such file or directory" in run.out
    assert "cannot open spec/self_spec.lua: " in run.out
    assert run.lines("1..") == ["1..3"]


NO_FORKS = """
import errno, os, sys
from mtev_busted import cli

def fork():
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

os.fork = fork
raise SystemExit(cli.main(sys.argv[1:]))
"""


@JOBS
def test_where_no_process_can_be_had_one_line_says_so(busted: Any, jobs: tuple[str, ...]) -> None:
    busted.write("spec/a_spec.lua", PASSES)
    command = [sys.executable, "-c", NO_FORKS, *jobs]
    done = subprocess.run(command, cwd=busted.directory, capture_output=True, text=True, check=False, timeout=60)
    reason = "Resource temporarily unavailable"
    assert done.returncode == 2
    assert (done.stdout, done.stderr) == ("", f"mtev-busted: a process that runs specs cannot be had: {reason}\n")
