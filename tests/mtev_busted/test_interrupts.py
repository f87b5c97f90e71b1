"""INT and TERM in the midst of a run: what ran is reported, what was started has ended."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until

LIMIT = 60  # seconds until a run counts as hung
JOBS = pytest.mark.parametrize("jobs", [(), ("-j", "1"), ("-j", "2")], ids=["one process", "a worker", "two workers"])

HANGS = """
describe("a", function()
  local child
  setup(function()
    child = start_child({ path = "sh", argv = { "sh", "-c", "echo up >&2; exec sleep 1000" }, boot_match = "up" })
    io.stderr:write("child ", child:pid(), "\\n")
  end)
  teardown(function() print("torn down") end)
  it("passes", function() end)
  it("hangs", function() io.stderr:write("now\\n") WAIT end)
  it("never", function() end)
end)
"""


def interrupted(busted: Any, number: signal.Signals, *arguments: str, times: int = 1) -> tuple[int, str, list[int]]:
    """Run the specs, and send a signal to all of the group, as a terminal does, once one says "now"; the status, what
    was printed, and the processes that specs have started."""
    program = subprocess.Popen(
        [sys.executable, "-m", "mtev_busted.cli", *arguments],
        cwd=busted.directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert program.stderr is not None
    said = ""
    while "now\n" not in said:
        line = program.stderr.readline()
        assert line, said
        said += line
    for _ in range(times):
        os.killpg(program.pid, number)
    out, err = program.communicate(timeout=LIMIT)
    assert "Traceback" not in err
    return program.returncode, out, [int(each) for each in re.findall(r"child (\d+)\n", said)]


def has_ended(pid: int) -> bool:
    """Whether a process has ended; nobody may have waited for it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@JOBS
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_ran_is_reported_and_what_was_started_is_gone(
    busted: Any, jobs: tuple[str, ...], number: signal.Signals
) -> None:
    busted.write("spec/a_spec.lua", HANGS.replace("WAIT", "mtev.sleep(1000)"))
    status, out, children = interrupted(busted, number, "-o", "TAP", *jobs)
    assert status == 2
    assert "ok 1 - spec/a_spec.lua @ 9: a passes\nnot ok 2 - spec/a_spec.lua @ 10: a hangs\n" in out
    assert "# spec/a_spec.lua:10: interrupted\n" in out
    assert "torn down\n" in out
    assert "never" not in out
    assert children
    assert all(map(has_ended, children))
    cases = busted.junit().findall(".//testcase")
    assert [each.get("name") for each in cases][:2] == ["a passes", "a hangs"]


def test_files_that_were_not_run_are_counted(busted: Any) -> None:
    busted.write("spec/a_spec.lua", HANGS.replace("WAIT", "mtev.sleep(1000)"))
    for each in "bcd":
        busted.write(f"spec/{each}_spec.lua", 'it("other", function() end)')
    status, out, _ = interrupted(busted, signal.SIGINT, "-o", "TAP", "-j", "1")
    assert status == 2
    assert "# interrupted (SIGINT): 3 of 4 files were not run\n" in out
    assert "other" not in out


@pytest.mark.parametrize("jobs", [(), ("-j", "2")], ids=["one process", "two workers"])
def test_who_asks_twice_is_in_a_hurry(busted: Any, jobs: tuple[str, ...]) -> None:
    busted.write("spec/a_spec.lua", HANGS.replace("WAIT", "while true do end"))
    status, out, children = interrupted(busted, signal.SIGINT, "-o", "TAP", *jobs, times=2)
    assert status == 2
    assert "ok 1 - spec/a_spec.lua @ 9: a passes\n" in out
    until(lambda: all(map(has_ended, children)))


@JOBS
def test_what_a_process_that_died_has_started_is_ended(busted: Any, jobs: tuple[str, ...]) -> None:
    busted.write("spec/a_spec.lua", HANGS.replace("WAIT", "ffi.cdef('int raise(int);') ffi.C.raise(9)"))
    run = busted.run("-o", "TAP", *jobs)
    assert "not ok 2 - spec/a_spec.lua @ 10: a hangs\n" in run.out
    (child,) = re.findall(r"child (\d+)\n", run.err)
    until(lambda: has_ended(int(child)))


EARLY = """
import os, signal
from mtev_busted import cli, parallel

start = parallel.Parallel._start_reporter

def interrupted(self, read):
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
    start(self, read)

parallel.Parallel._start_reporter = interrupted
raise SystemExit(cli.main(["-j", "1", "-o", "TAP"]))
"""


def test_who_asks_twice_before_anybody_reports_is_heard(busted: Any) -> None:
    busted.write("spec/a_spec.lua", HANGS.replace("WAIT", "mtev.sleep(1000)"))
    done = subprocess.run(
        [sys.executable, "-c", EARLY], cwd=busted.directory, capture_output=True, text=True, check=False, timeout=LIMIT
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "# interrupted (SIGINT)" in done.stdout  # the file may have begun meanwhile
