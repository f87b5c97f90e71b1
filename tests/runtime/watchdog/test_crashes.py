"""Servers that crash under the watchdog: what the glider finds of them, with real crashes of Lua programs."""

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import until
from watched import Started, ended, line, started

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the glider of these tests looks into /proc")

PROGRAM = """
local ffi = require("ffi")
ffi.cdef [[ void abort(void); ]]
function main()
  io.stderr:write("started ", mtev.getpid(), "\\n")
  if io.open("once") then return end
  io.open("once", "w"):close()
  mtev.sleep(0.01)
  HOW
end
"""
CRASHES = {
    "abort": ("ffi.C.abort()", "crash", "SIGABRT"),
    "a bad pointer in C": ("ffi.cast('char *', 16)[0] = 1", "crash", "SIGSEGV"),
    "a signal from outside": ("mtev.sleep(1000)", "crash", "SIGBUS"),
}
GLIDER = """\
#!/bin/sh
exec >> {found} 2>&1
echo "glided $*"
grep ^State: /proc/$1/status
echo "lines of maps: $(grep -c . /proc/$1/maps)"
ls /proc/$1/task | sed 's/^/task /'
echo "printed"
{more}
echo "over"
"""


class Monitors(Started):
    """Starts luamtev under its watchdog in a directory of the test's."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.found = directory / "found"

    def glider(self, more: str = "", text: str = GLIDER) -> Path:
        path = self.directory / "glider"
        path.write_text(text.format(found=self.found, more=more))
        path.chmod(0o755)
        return path

    def start(
        self, how: str, watchdog: str = "", *, first: str = "pass", options: str = "-m", **environment: str
    ) -> "subprocess.Popen[str]":
        """Run a program that comes to *how* once; *first* is Python that the monitor runs before anything else."""
        (self.directory / "main.lua").write_text(PROGRAM.replace("HOW", how))
        command = [sys.executable, "-m", "luamtev"]
        text = subprocess.run(
            [*command, "-T", "main.lua"], cwd=self.directory, capture_output=True, text=True, check=True
        ).stdout
        (self.directory / "c.xml").write_text(text.replace("</cli>", f"<watchdog {watchdog}/></cli>"))
        run = f"{first}\nimport sys\nfrom luamtev import cli\nsys.exit(cli.main())"
        return self.run(sys.executable, "-c", run, *options.split(), "-c", "c.xml", "main.lua", **environment)


@pytest.fixture
def monitors(tmp_path: Path) -> Iterator[Monitors]:
    made = Monitors(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("name", CRASHES)
def test_the_glider_sees_a_crash_with_its_memory_and_threads(monitors: Monitors, name: str) -> None:
    how, reason, ended = CRASHES[name]
    monitor = monitors.start(how, f'glider="{monitors.glider()}" tracedir="{monitors.directory}"')
    pid = started(monitor)
    if "outside" in name:
        os.kill(pid, signal.SIGBUS)
    thread = line(monitor, rf"^\[WATCHDOG\] cli {pid} crashed in thread (\d+) and is looked at\.$")[1]
    line(monitor, rf"^\[WATCHDOG\] cli {pid} ended with {ended} and is restarted\.$")
    assert started(monitor) != pid
    found = monitors.found.read_text().splitlines()
    assert found[:2] == [f"glided {pid} {reason}", "State:\tT (stopped)"]
    assert int(found[2].removeprefix("lines of maps: ")) > 50
    assert f"task {thread}" in found
    assert f"task {pid}" in found
    assert found[-1] == "over"
    trace = (monitors.directory / f"cli.{pid}.trc").read_text()
    assert "Fatal Python error: " in trace


@pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not here")
def test_a_debugger_attaches_to_a_crash_and_finds_where_it_happened(monitors: Monitors) -> None:
    glider = monitors.glider('gdb -p $1 -batch -ex "thread apply all backtrace" 2>&1')
    monitor = monitors.start("ffi.C.abort()", f'glider="{glider}"')
    pid = started(monitor)
    line(monitor, rf"cli {pid} ended with SIGABRT and is restarted")
    stacks = monitors.found.read_text()
    assert re.search(r"signal handler called.*\babort\b", stacks, re.DOTALL), stacks


def test_a_server_that_somebody_killed_still_has_its_place_among_the_processes(monitors: Monitors) -> None:
    monitor = monitors.start("mtev.sleep(1000)", f'glider="{monitors.glider()}"')
    pid = started(monitor)
    os.kill(pid, signal.SIGKILL)
    line(monitor, rf"^\[WATCHDOG\] cli {pid} ended with SIGKILL and is restarted\.$")
    assert monitors.found.read_text().splitlines()[:2] == [f"glided {pid} unknown", "State:\tZ (zombie)"]
    started(monitor)
    assert not Path(f"/proc/{pid}").exists()


def test_a_hang_is_looked_at_once_and_ends_by_its_abort(monitors: Monitors) -> None:
    monitor = monitors.start("while true do end", f'glider="{monitors.glider()}"', MTEV_WATCHDOG_TIMEOUT="1")
    pid = started(monitor)
    line(monitor, rf"cli {pid}: no heartbeat of e:default/0")
    line(monitor, "Fatal Python error: Aborted")
    line(monitor, rf"^\[WATCHDOG\] cli {pid} ended with SIGABRT and is restarted\.$")
    found = monitors.found.read_text()
    assert found.startswith(f"glided {pid} watchdog\n")
    assert found.count("glided") == 1


@pytest.mark.parametrize("tracedir", [True, False])
def test_without_saved_traces_none_is_written_and_the_stacks_go_to_the_log(monitors: Monitors, tracedir: bool) -> None:
    where = f'tracedir="{monitors.directory}"' if tracedir else ""
    watchdog = f'glider="{monitors.glider()}" save_trace_output="false" {where}'
    monitor = monitors.start("ffi.C.abort()", watchdog)
    pid = started(monitor)
    line(monitor, "Fatal Python error: Aborted")
    line(monitor, rf"cli {pid} ended with SIGABRT and is restarted")
    assert monitors.found.read_text().startswith(f"glided {pid} crash\n")
    assert not list(monitors.directory.glob("*.trc"))


def test_a_glider_that_takes_its_time_keeps_no_signal_waiting(monitors: Monitors) -> None:
    monitor = monitors.start("ffi.C.abort()", f'glider="{monitors.glider("sleep 1000")}"')
    pid = started(monitor)
    line(monitor, rf"cli {pid} crashed in thread")
    until(lambda: monitors.found.exists() and "printed" in monitors.found.read_text())
    monitor.terminate()
    line(monitor, r"glider .* is still running and is ended")
    assert monitor.wait(30) == 128 + signal.SIGABRT
    assert not Path(f"/proc/{pid}").exists()


LOOK = """\
#!/bin/sh
echo "looked at $*" >> {found}
{more}
"""


def test_the_program_for_crashes_is_run_by_the_monitor_too(monitors: Monitors) -> None:
    look = monitors.glider(text=LOOK)
    monitor = monitors.start("ffi.C.abort()", MTEV_DIAGNOSE_CRASH=str(look))
    pid = started(monitor)
    thread = line(monitor, rf"cli {pid} crashed in thread (\d+)")[1]
    line(monitor, rf"cli {pid} ended with SIGABRT and is restarted")
    assert monitors.found.read_text() == f"looked at {thread} {pid}\n"


def test_crashes_are_left_alone_where_the_environment_says_so(monitors: Monitors) -> None:
    monitor = monitors.start("ffi.C.abort()", f'glider="{monitors.glider()}"', MTEV_DIAGNOSE_CRASH="0")
    pid = started(monitor)
    stderr = line(monitor, rf"^(.*) cli {pid} ended with SIGABRT and is restarted\.$")
    assert stderr[1] == "[WATCHDOG]"
    assert monitors.found.read_text().splitlines()[:2] == [f"glided {pid} crash", "State:\tZ (zombie)"]


def test_a_glider_that_never_ends_is_ended_and_the_server_started_again(monitors: Monitors) -> None:
    first = "from runtime.watchdog import _monitor\n_monitor.GLIDER_TIMEOUT = 0.3"
    monitor = monitors.start("ffi.C.abort()", f'glider="{monitors.glider("sleep 1000")}"', first=first)
    pid = started(monitor)
    line(monitor, r"glider .* is still running and is ended")
    line(monitor, rf"cli {pid} ended with SIGABRT and is restarted")
    assert started(monitor) != pid


WITHOUT_PROCESSES = """
import os
fork, forks = os.fork, []
def failing():
    forks.append(1)
    if len(forks) in (1, 2, 4, 5):
        raise BlockingIOError(11, os.strerror(11))
    return fork()
os.fork = failing
"""


def lines_until_started(monitor: "subprocess.Popen[str]") -> list[str]:
    assert monitor.stderr is not None
    return list(itertools.takewhile(lambda each: not each.startswith("started "), monitor.stderr))


def test_a_server_that_finds_no_process_left_is_started_once_there_is_one(monitors: Monitors) -> None:
    monitor = monitors.start("ffi.C.abort()", first=WITHOUT_PROCESSES, MTEV_DIAGNOSE_CRASH="0")
    first, second = lines_until_started(monitor), lines_until_started(monitor)
    told = "[WATCHDOG] cli cannot be started: Resource temporarily unavailable; it is tried again.\n"
    assert (first.count(told), second.count(told)) == (1, 1)
    assert "ended with SIGABRT and is restarted" in "".join(second)


WITHOUT_MEMORY = """
from runtime.watchdog import _monitor
seen, serve = [], _monitor.serve_pipes
def failing(*asked):
    seen.append(1)
    if len(seen) in (3, 4):
        raise MemoryError
    return serve(*asked)
_monitor.serve_pipes = failing
"""


def test_a_monitor_that_fails_goes_on(monitors: Monitors) -> None:
    monitor = monitors.start("ffi.C.abort()", first=WITHOUT_MEMORY, MTEV_DIAGNOSE_CRASH="0")
    told = {
        "[WATCHDOG] the monitor failed and goes on\n": 2,
        "MemoryError\n": 2,
        " ended with SIGABRT and is restarted.\n": 1,
    }
    assert monitor.stderr is not None
    seen = ""
    while any(seen.count(each) < times for each, times in told.items()):  # in whatever order
        text = monitor.stderr.readline()
        assert text, seen
        seen += text


def test_a_monitor_that_finds_no_process_left_can_be_ended(monitors: Monitors) -> None:
    first = WITHOUT_PROCESSES.replace("in (1, 2, 4, 5)", "> 1")
    monitor = monitors.start("ffi.C.abort()", first=first, MTEV_DIAGNOSE_CRASH="0")
    line(monitor, r"^\[WATCHDOG\] cli cannot be started")
    monitor.terminate()
    status, rest = ended(monitor)
    assert status == 0 and "cannot be started" not in rest, rest


def test_without_a_monitor_the_program_for_crashes_sees_the_crash_of_a_lua_program(monitors: Monitors) -> None:
    look = monitors.glider(text=LOOK, more=f"grep -c . /proc/$2/maps >> {monitors.found}")
    process = monitors.start("ffi.cast('char *', 16)[0] = 1", options="-n 2", MTEV_DIAGNOSE_CRASH=str(look))
    pid = started(process)
    status, rest = ended(process)
    assert "Fatal Python error: Segmentation fault" in rest
    assert status == -signal.SIGSEGV
    looked, maps = monitors.found.read_text().splitlines()
    assert re.fullmatch(rf"looked at \d+ {pid}", looked)
    assert int(maps) > 50
