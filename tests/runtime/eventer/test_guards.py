"""Whatever a hub calls is guarded: a failure is logged, with the callback's name, and the loop goes on."""

import os
import re
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

import luamtev
import runtime
from runtime import eventer, log
from runtime.eventer import LoopThread, Pool

RAW = re.compile(r"\.run_callback\(|\bloop\.(io|timer|prepare|async_|check|idle|fork|child|signal|stat)\(")


@pytest.mark.parametrize("package", [runtime, luamtev], ids=["runtime", "luamtev"])
def test_nobody_but_the_eventer_touches_a_hub_by_hand(package: Any) -> None:
    top = Path(package.__path__[0])
    found = [
        f"{file.relative_to(top)}:{number}: {line.strip()}"
        for file in sorted(top.rglob("*.py"))
        if file.parent != top / "eventer"
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if RAW.search(line)
    ]
    assert found == []


def fail() -> None:
    raise ValueError("as asked")


def on(thread: LoopThread, way: str, ends: tuple[int, int], held: list[Any]) -> None:
    match way:
        case "soon":
            thread.soon(fail)
        case "after":
            held.append(thread.after(0.0, fail))
        case "watch":

            def ready() -> None:
                held.pop().close()
                fail()

            held.append(thread.watch(ends[0], 1, ready))
        case "post":
            thread.post(fail)


@pytest.mark.parametrize("way", ["soon", "after", "watch", "post"])
def test_a_failure_is_logged_and_the_loop_goes_on(loops: Pool, tmp_path: Path, way: str) -> None:
    path = tmp_path / "errors"
    log.error.remove_all_outlets()
    log.error.add_outlet(log.new_stream("test/errors", type="file", path=str(path)))
    thread = loops.threads[0]
    ends = os.pipe()
    os.write(ends[1], b"x")
    held: list[Any] = []
    thread.post(on, thread, way, ends, held)
    turned: Queue[bool] = Queue()
    while "as asked" not in path.read_text():
        thread.post(turned.put, True)
        assert turned.get(timeout=30)
    assert re.search(r"callback \S*test_guards\.\S+ failed on e:default/0", path.read_text())
    for each in ends:
        os.close(each)


def test_a_slow_one_is_shown(loops: Pool, tmp_path: Path) -> None:
    path = tmp_path / "slow"
    stream = log.stream_find("debug/eventer/callbacks/loop/default")
    stream.add_outlet(log.new_stream("test/slow", type="file", path=str(path)))
    stream.set_flags(stream.get_flags() | log.ENABLED)
    done: Queue[bool] = Queue()
    thread = loops.threads[0]
    eventer.settings().loop_threshold = 0.0
    thread.post(lambda: thread.soon(lambda: thread.soon(done.put, True)))
    assert done.get(timeout=30)
    assert "test_guards" in path.read_text()
