"""The points as tracers outside the process see them: notes of a small object, and bpftrace where it may work."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tracing import tracer

from runtime import trace
from runtime.trace import _object, _usdt

needs_readelf = pytest.mark.skipif(shutil.which("readelf") is None, reason="readelf is not here: binutils")
needs_object = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in _object.MACHINES, reason="no USDT on this machine"
)
NOTE = re.compile(
    r"stapsdt\s+0x[0-9a-f]+\s+NT_STAPSDT.*?Provider: (\S+)\s+Name: (\S+)\s+"
    r"Location: (\S+), Base: (\S+), Semaphore: (\S+)\s+Arguments: (.*?)\s*$",
    re.MULTILINE | re.DOTALL,
)


def read_elf(path: Path, *options: str) -> str:
    done = subprocess.run(["readelf", "-W", *options, path], capture_output=True, text=True, timeout=60, check=True)
    assert "arning" not in done.stderr + done.stdout
    return done.stdout


@needs_readelf
@pytest.mark.parametrize(
    ("machine", "called", "arguments"),
    [
        ("x86_64", "Advanced Micro Devices X86-64", "-4@%edi 8@%rsi 8@%rdx -4@%ecx 8@%r8 -4@%r9d"),
        ("aarch64", "AArch64", "-4@x0 8@x1 8@x2 -4@x3 8@x4 -4@x5"),
    ],
)
def test_readelf_shows_every_point(tmp_path: Path, machine: str, called: str, arguments: str) -> None:
    path = tmp_path / "object.so"
    path.write_bytes(_usdt.object_for(machine))
    assert called in read_elf(path, "-h")
    notes = NOTE.findall(read_elf(path, "-n"))
    assert [name for _, name, *_ in notes] == [name.replace("-", "__") for name in trace.POINTS]
    assert {provider for provider, *_ in notes} == {"libmtev"}
    by_name = {name: (place, base, semaphore, said) for _, name, place, base, semaphore, said in notes}
    assert by_name["eventer__read__return"][3] == arguments
    places = {int(place, 16) for place, *_ in by_name.values()}
    semaphores = sorted(int(semaphore, 16) for _, _, semaphore, _ in by_name.values())
    assert len(places) == len(notes)
    assert [each - semaphores[0] for each in semaphores] == list(range(0, 4 * len(notes), 4))

    sections = read_elf(path, "-S")
    base = re.search(r"\.stapsdt\.base\s+PROGBITS\s+([0-9a-f]+)", sections)
    assert base is not None
    assert {int(each, 16) for _, each, _, _ in by_name.values()} == {int(base[1], 16)}
    probes = re.search(r"\.probes\s+PROGBITS\s+([0-9a-f]+)", sections)
    assert probes is not None
    assert int(probes[1], 16) == semaphores[0]
    symbols = dict(
        re.findall(r"([0-9a-f]{16})\s+\d+ FUNC .* luamtev_trace_(\w+)$", read_elf(path, "-D", "-s"), re.MULTILINE)
    )
    assert {name: int(place, 16) for place, name in symbols.items()} == {
        name: int(place, 16) for name, (place, *_) in by_name.items()
    }


@needs_object
def test_the_object_is_loaded_as_any_other_and_its_functions_return(tmp_path: Path) -> None:
    path = tmp_path / "object.so"
    path.write_bytes(_usdt.object_for(os.uname().machine))
    library = ctypes.CDLL(str(path))
    cells = (ctypes.c_uint32 * len(trace.POINTS)).in_dll(library, _object.CELLS)
    assert list(cells) == [0] * len(trace.POINTS)
    cells[-1] = 1
    for name in trace.POINTS:
        library[f"luamtev_trace_{name.replace('-', '__')}"](1, 2, 3, 4, 5, 6)
    assert str(path) in Path("/proc/self/maps").read_text()


def test_a_machine_without_a_form_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="riscv64"):
        _usdt.object_for("riscv64")


PROGRAM = """
import os, sys
from runtime import log, trace
{before}
print(os.getpid(), trace.expose(), trace.expose(), flush=True)
point, pair = trace.point("eventer-read-return"), trace.call("eventer-read")
log.init()
for line in sys.stdin:
    log.listen()
    if point.heard[0]:
        point.tell(7, b"some bytes", 1 << 40, -2, None, 10)
    log.stream_find("debug/quiet").log("a line of " + line)
    print(point.heard[0], pair.heard[0] != 0, flush=True)
"""


class Told:
    """A process whose points are passed for each line that is written to it."""

    def __init__(self, before: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(before=before)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid, *self.exposed = self.line().split()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def ask(self) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write("the test\n")
        self.process.stdin.flush()
        return self.line()

    def end(self) -> None:
        self.process.communicate(timeout=60)


@pytest.fixture
def told() -> Iterator[Told]:
    made = Told()
    yield made
    made.end()


@needs_object
def test_a_process_exposes_its_points_once(told: Told) -> None:
    assert told.exposed == ["True", "True"]
    assert told.ask() == "0 False\n"
    mapped = [line for line in Path(f"/proc/{told.pid}/maps").read_text().splitlines() if "libmtev_trace" in line]
    assert [line.split()[1] for line in mapped if "---p" not in line] == ["r-xp", "rw-p"]


@needs_object
def test_subscribers_from_before_are_heard_and_points_move_together() -> None:
    told = Told('trace.subscribe("eventer-read-return", print)')
    assert told.exposed == ["True", "True"]
    assert told.ask() == "7 b'some bytes' 1099511627776 -2 None 10\n"
    assert told.line() == f"{1 << 16} True\n"
    told.end()


@needs_object
def test_cells_that_somebody_knows_stay_where_they_are() -> None:
    told = Told("trace.address()")
    assert told.exposed == ["False", "False"]
    assert told.ask() == "0 False\n"
    told.end()


@needs_object
def test_bpftrace_lists_the_points(told: Told) -> None:
    bpftrace = tracer()
    done = subprocess.run(
        [bpftrace, "-p", told.pid, "-l", "usdt:*:libmtev:*"], capture_output=True, text=True, timeout=120, check=True
    )
    listed = {line.rpartition(":")[2] for line in done.stdout.splitlines()}
    assert listed >= {name.replace("-", "__") for name in trace.POINTS}


@needs_object
def test_bpftrace_reads_what_is_told(told: Told) -> None:
    bpftrace = tracer()
    program = (
        "usdt:*:libmtev:eventer__read__return { @ = 1;"
        ' printf("%d %s %lld %d %d\\n", arg0, str(arg1), arg2, arg3, arg5); }'
        'usdt:*:libmtev:log { printf("%s: %s", str(arg0), str(arg3)); if (@) { exit(); } }'
    )
    assert told.ask() == "0 False\n"
    command = [bpftrace, "-p", told.pid, "-e", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as tracing:
        while tracing.poll() is None:
            told.ask()
        assert tracing.stdout is not None
        lines = tracing.stdout.read().splitlines()
    assert told.ask() == "0 False\n"  # nobody listens any more
    assert "7 some bytes 1099511627776 -2 10" in lines
    assert "debug/quiet: a line of the test" in lines


@needs_object
def test_the_object_has_a_path_that_is_the_same_file_to_others() -> None:
    """Debuggers open what the loader calls a library: below /proc/self that would be a descriptor of their own."""
    program = """
import ctypes, os
from runtime import trace
trace.expose()
found = (ctypes.c_char_p * 4)()
ctypes.CDLL(None).dladdr(ctypes.c_void_p(trace.address()), found)
print(found[0].decode().startswith(f"/proc/{os.getpid()}/fd/"), os.readlink(found[0].decode()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True /memfd:libmtev_trace.so (deleted)\n"
