"""What specs start does not outlive the run."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def test_what_a_spec_leaves_running_is_ended_with_the_run(busted: Any) -> None:
    run = busted.spec(
        """
        it("a", function()
          local script = "trap 'echo ended > end; exit' TERM; echo ready >&2; read x"
          local child = start_child({ argv = { "sh", "-c", script }, boot_match = "ready" })
          io.open("pid", "w"):write(child:pid()):close()
          error("a failing test")
        end)
        """
    )
    assert run.status == 2
    assert not Path(f"/proc/{(busted.directory / 'pid').read_text()}").exists()


def test_an_interrupted_run_leaves_nothing_running(busted: Any) -> None:
    busted.write(
        "spec/one_spec.lua",
        """
        it("a", function()
          local child = start_child({ argv = { "sleep", "1000" } })
          io.stderr:write(child:pid(), "\\n")
          mtev.sleep(1000)
        end)
        """,
    )
    program = subprocess.Popen(
        [sys.executable, "-m", "mtev_busted.cli"],
        cwd=busted.directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stderr is not None
    with program.stderr:
        child = int(program.stderr.readline())
        program.send_signal(signal.SIGINT)
        assert program.wait(20) == 2
    try:
        os.kill(child, 0)
    except ProcessLookupError:
        return
    state = Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2][0]
    assert state == "Z"  # orphaned, and not yet reaped by whoever reaps orphans here


@pytest.mark.parametrize(
    ("child", "said"),
    [
        ("argv = { 'sh', '-c', 'echo oops >&2; exit 3' }", "ended with status 3, expected .* matches 'u.p';.*\noops"),
        ("argv = { 'sh', '-c', 'kill -9 $$' }", "was ended by signal 9, expected .* matches 'u.p'"),
        ("argv = { 'sh', '-c', 'exec sleep 100' }, timeout = 0.05", "not ready within 0.05 s, expected"),
        ("path = '/no/program'", "/no/program: cannot start proc: No such file"),
    ],
)
def test_a_child_that_does_not_get_ready_is_told_of_with_the_line_of_the_spec(
    busted: Any, child: str, said: str
) -> None:
    path = "" if "path" in child else "path = '/bin/sh', "
    start = f"start_child({{ {path}{child}, boot_match = 'u.p' }})"
    run = busted.spec(f"it('starts', function()\n  {start}\nend)")
    assert run.status == 0, run.out + run.err
    assert re.search(rf"_spec\.lua:2: start_child: .*{said}", run.out + run.err), run.out + run.err
