"""What each output prints of a run in which everything happens, with and without ``-j``.

tests/data/mtev_busted has it, recorded from mtev-busted itself: RECORD=1 in the environment writes the files anew.
"""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mtev_busted.options import USAGE

JOBS = pytest.mark.parametrize("jobs", [(), ("-j2",)], ids=["one process", "two processes"])
RECORDED = Path(__file__).parents[1] / "data" / "mtev_busted"

SPEC = """\
local n = 0
it("passes", function() end)
it("fails", function() assert.same({ at = { "london", 1 } }, { at = { "london", 2 } }) end)
it("errs", function() error("oops") end)
it("gets there #flaky", function()
  n = n + 1
  assert.equal(3, n)
end)
it("never does #flaky", function() error("no") end)
pending("later")
it("not now", function() pending("a reason") end)
it("leads back to itself", function()
  local a, b = { x = 1 }, { x = 2 }
  a.me, b.me = a, b
  assert.same(a, b)
end)
describe("what is left:", function()
  it("a coroutine", function() mtev.coroutine_spawn(function() mtev.waitfor("never") end) end)
  it("a timer", function()
    mtev.coroutine_spawn(function() mtev.sleep(1000) end)
  end)
  it("a socket", function() mtev.socket("inet"):bind("127.0.0.1", 0) end)
  it("a program", function() mtev.spawn("/bin/sleep", { "sleep", "5" }) end)
end)
"""
MODULE = """\
local M = {}
function M.f(x)
  if x then
    return 1
  end
  local y = 2
  return y
end
function M.g() return 3 end
return M
"""
ANSI = {"\x1b[31m": "<red>", "\x1b[32m": "<green>", "\x1b[33m": "<yellow>", "\x1b[35m": "<magenta>"}
ANSI |= {"\x1b[36m": "<cyan>", "\x1b[1m": "<bold>", "\x1b[0m": "<>", "\r\x1b[K": "<clear>"}


def bare(text: str, directory: Path) -> str:
    """*text* without what differs from run to run."""
    for pattern, instead in (
        (r"\d+\.\d+ ms", "0.00 ms"),
        (r"\d+\.\d+ seconds", "0.000 seconds"),
        (r"(?m)^ +\d+\.\d+ s  spec/.*$", "    0.000 s  (a test)"),  # the slowest
        (r"(duration_ms: |time=\"|\"duration\":)[\d.e-]+", r"\g<1>0"),
        (r"\"seed\":\d+", '"seed":1'),
        (r"timestamp=\"[^\"]*\"", 'timestamp=""'),
        (r"hostname=\"[^\"]*\"", 'hostname=""'),
        (r"LuaJIT 2[\d.]*", "LuaJIT 2"),
        (r"0x[0-9a-f]+", "0x0"),
        (re.escape(str(directory.resolve())), "/here"),
    ):
        text = re.sub(pattern, instead, text)
    return text


def compare(name: str, text: str) -> None:
    """Compare *text* with what was recorded."""
    path = RECORDED / name
    if "RECORD" in os.environ:
        path.write_text(text)
    assert text == path.read_text()


@JOBS
@pytest.mark.parametrize("output", ["gtest", "plain", "TAP", "tap14", "json", "jsonl", "junit", "github"])
def test_everything_that_happens_is_told(busted: Any, output: str, jobs: tuple[str, ...]) -> None:
    run = busted.spec(SPEC, "-o", output, "--leaks=warn", "--slowest=2", *jobs)
    assert run.status == 2
    assert run.err == ""
    compare(f"{output}.txt", bare(run.out, busted.directory))
    if output == "junit":
        assert (busted.directory / "test_detail.xml").read_text() == run.out


def test_a_leak_may_be_an_error(busted: Any) -> None:
    run = busted.spec(SPEC, "-o", "plain", "--leaks=fail", "--filter=left:")
    assert run.status == 2
    compare("leaks.txt", bare(run.out, busted.directory))


def test_coverage_is_summed_up_and_written(busted: Any) -> None:
    busted.write("src/m.lua", MODULE)
    busted.write("src/n.lua", "return 1\n")
    run = busted.spec('it("f", function() require("m").f(require("n")) end)', "--coverage")
    assert run.status == 0, run.err
    compare("coverage.txt", run.out.partition(" ms total)\n[  PASSED  ] 1 test.\n\n")[2])
    for name in ("lcov.info", "cobertura.xml"):
        compare(name, bare((busted.directory / name).read_text(), busted.directory))


def test_help_is_in_groups(busted: Any) -> None:
    run = busted.run("--help")
    assert (run.status, run.out, run.err) == (0, USAGE, "")
    groups = [each for each in run.out.splitlines() if re.match("[A-Z]", each)]
    assert groups[:5] == [
        "Which tests", "How they run", "When they fail", "What is reported", "Where things are",
    ]  # fmt: skip


SLOW = """\
it("passes", function() mtev.sleep(2.1) end)
it("fails", function() assert.is_true(false) end)
pending("later")
"""


def on_a_terminal(directory: Path, *arguments: str) -> str:
    """What mtev-busted writes to a terminal, both of its outputs."""
    master, slave = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm"}
    command = [sys.executable, "-m", "mtev_busted.cli", *arguments]
    with subprocess.Popen(
        command, cwd=directory, stdout=slave, stderr=slave, stdin=subprocess.DEVNULL, env=environment
    ) as process:
        os.close(slave)
        data = b""
        with open(master, "rb", buffering=0) as terminal:
            while True:
                try:
                    chunk = terminal.read(65536)
                except OSError:  # EIO: the last writer is gone
                    break
                if not chunk:
                    break
                data += chunk
        assert process.wait(60) == 2
    text = data.decode().replace("\r\n", "\n")
    for code, name in ANSI.items():
        text = text.replace(code, name)
    assert "\x1b" not in text
    return bare(text, directory)


@JOBS
def test_a_terminal_has_colours_and_a_line_that_says_how_far_a_long_run_is(busted: Any, jobs: tuple[str, ...]) -> None:
    progress = re.compile(r"<clear>… file 1 of 1, (\d) tests?, (\d) failed, \d+ s")
    for seconds in ("2.1", "5", "20"):  # whoever reports may have begun late
        busted.write("spec/one_spec.lua", SLOW.replace("2.1", seconds))
        text = on_a_terminal(busted.directory, *jobs)
        if progress.search(text):
            break
    assert ("1", "0") in progress.findall(text)
    compare("terminal.txt", progress.sub("", text).replace("<clear>", ""))
    busted.write("spec/one_spec.lua", SLOW.replace("mtev.sleep(2.1)", ""))
    compare("terminal-utf.txt", on_a_terminal(busted.directory, "-o", "utfTerminal", *jobs))
