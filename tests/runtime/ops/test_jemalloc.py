"""The real program with jemalloc preloaded: its statistics and its profiler."""

import ctypes.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from opsprogram import Ops

LIBRARY = ctypes.util.find_library("jemalloc")

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="no jemalloc here: scripts/install-debian-packages")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Ops]:
    monkeypatch.setenv("LD_PRELOAD", str(LIBRARY))
    monkeypatch.setenv("MALLOC_CONF", request.param)
    started = Ops(tmp_path).start()
    monkeypatch.undo()
    yield started
    started.kill()


@pytest.mark.parametrize("program", ["prof:true,prof_active:false"], indirect=True)
def test_a_profile_is_taken_while_the_program_runs(program: Ops) -> None:
    statistics = program.json("/mtev/memory.json")["jemalloc"]
    assert statistics["stats"]["allocated"] > 1 << 20
    assert program.json("/mtev/heap_profile") == {
        "opt.prof": True,
        "prof.active": False,
        "prof.thread_active_init": True,
    }
    assert program.json("/mtev/heap_profile?active=true") == {"active": True}
    assert program.json("/mtev/heap_profile")["prof.active"] is True
    assert program.text("/mtev/heap_profile?trigger_dump=true").startswith("heap_v2/")
    assert program.json("/mtev/heap_profile?active=false") == {"active": False}
    assert program.json("/mtev/heap_profile")["prof.active"] is False
    assert program.status("/mtev/heap_profile?active=perhaps") == 400


@pytest.mark.parametrize("program", ["prof:false"], indirect=True)
def test_a_profiler_that_is_off_says_so(program: Ops) -> None:
    assert program.json("/mtev/heap_profile")["opt.prof"] is False
    assert program.status("/mtev/heap_profile?active=true") == 409
    assert program.status("/mtev/heap_profile?trigger_dump=true") == 409
    assert program.json("/mtev/memory.json")["jemalloc"]["version"]
