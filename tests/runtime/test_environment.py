"""Environment variables: the reference lists the manual's, and each does what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "environment.md"
MANUAL = {
    "EVENTER_DEBUGGING",
    "MTEV_DWARF",
    "MTEV_JIT_OFF",
    "MTEV_JIT_OPT",
    "MTEV_RDTSC_REQUIRE_INVARIANT",
    "MTEV_RDTSC_DISABLE",
    "MTEV_THREAD_BINDING_DISABLE",
    "MTEV_DIAGNOSE_CRASH",
    "MTEV_LOG_DEBUG",
    "MTEV_ASYNCH_CORE_DUMP",
    "MTEV_ALTSTACK_SIZE",
    "MTEV_WATCHDOG_TIMEOUT",
}


def test_the_reference_lists_all_of_the_manuals() -> None:
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", PAGE.read_text(), re.MULTILINE)) == MANUAL


def run(program: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    clean = {key: value for key, value in os.environ.items() if key not in MANUAL}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True, env=clean | environment
    )


EVENTER = """\
from runtime import conf, eventer, log
from runtime.conf import logs
c = conf.loads(b"<app><logs>LOGS</logs><eventer><config><concurrency>1</concurrency></config></eventer></app>")
logs.configure(c)
eventer.init(c)
eventer.start()
eventer.stop()
"""


@pytest.mark.parametrize(("value", "seen"), [("1", True), ("0", False), ("", False)])
def test_eventer_debugging_shows_what_the_eventer_does(value: str, seen: bool) -> None:
    done = run(EVENTER.replace("LOGS", ""), EVENTER_DEBUGGING=value)
    assert ("e:default/0 runs as thread" in done.stderr) is seen


def test_eventer_debugging_keeps_an_outlet_that_is_enabled(tmp_path: Path) -> None:
    log = f"<log name='debug/eventer' type='file' path='{tmp_path}/f' disabled='true'/>"
    done = run(EVENTER.replace("LOGS", log), EVENTER_DEBUGGING="1")
    assert done.stderr == ""
    assert "e:default/0 runs as thread" in (tmp_path / "f").read_text()


GRAPH = """\
from runtime import log
log.new_stream("here", "file", "PATH")
log.stream_find("error/there").add_outlet(log.stream_find("here"))
log.error.set_flags(log.ENABLED | log.TIMESTAMPS)
log.reopen_all()
"""


@pytest.mark.parametrize(("value", "seen"), [("1", True), ("-2", True), ("10", True), ("0", False), ("yes", False)])
def test_log_debug_says_what_happens_to_the_log_graph(value: str, seen: bool, tmp_path: Path) -> None:
    done = run(GRAPH.replace("PATH", str(tmp_path / "f")), MTEV_LOG_DEBUG=value)
    lines = done.stderr.splitlines()
    if not seen:
        assert lines == []
        return
    for each in (
        f"log: here: type file, path {tmp_path}/f",
        "log: error/there: new stream",
        "log: error/there: outlet here",
        "log: error: flags 0x5, before 0x1",
        "log: here: reopen",
    ):
        assert each in lines


THREADS = """\
import ctypes, os
from runtime import conf, crash, eventer, main, modules


class Module:
    def configure(self, config): pass
    def init(self): eventer.pool("default").threads[0].post(self.look)
    def look(self):
        before = crash._Stack()
        ctypes.CDLL(None).sigaltstack(None, ctypes.byref(before))
        print(before.size, os.sched_getaffinity(0) == os.sched_getaffinity(os.getpid()))
        os.kill(os.getpid(), 15)


modules.Module = Module
modules.register("test", "module", "runtime.modules:Module")
main.run(conf.loads(b"<app><modules><generic image='test' name='module'/></modules></app>"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads of Linux")
@pytest.mark.parametrize("binding", ["1", ""])
def test_loop_threads_get_their_stack_for_handlers_and_are_bound_to_no_processor(binding: str) -> None:
    done = run(THREADS, MTEV_ALTSTACK_SIZE="200000", MTEV_THREAD_BINDING_DISABLE=binding)
    assert done.stdout == "200000 True\n"
    assert run(THREADS, MTEV_DIAGNOSE_CRASH="0").stdout == "0 True\n"
