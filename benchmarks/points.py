"""What trace points cost while nobody listens: ``python benchmarks/points.py [--rounds N] BEFORE``, with wrk.

BEFORE is a checkout of the program without them.  Both are measured in turn, medians of all rounds, all by CPU: a
request of a Lua handler as the engine in Lua and as the server in Python serve it; a callback of a timer; start and end
of an empty module.  Then what a point costs by itself: unheard, with a subscriber, and the object for tracers.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable
from pathlib import Path

from tracing import HERE, WEB, Row, measured

CALLBACKS = """
import threading, time
from runtime import eventer, log
log.init()
eventer.pool_create("default", 1)
eventer.start()
done, left = threading.Event(), 100_000
def again(event, mask, closure, now):
    global left
    left -= 1
    if left:
        eventer.add_in(again, None, 0)
    else:
        done.set()
eventer.pool().threads[0].post(lambda: eventer.add_in(again, None, 0))
began = time.process_time()
done.wait()
print((time.process_time() - began) / 100_000 * 1e6)
eventer.stop()
"""


def of_requests(engine: str, directory: Path) -> Callable[[Path], float]:
    """Microseconds a request."""
    return lambda tree: measured(Row("", engine=engine, tree=tree), directory, 0, 2.0)[1]


def of_a_callback(tree: Path) -> float:
    """Microseconds from one to the next."""
    return float(subprocess.run([sys.executable, "-c", CALLBACKS], cwd=tree, check=True, capture_output=True).stdout)


def of_a_start(tree: Path) -> float:
    """Milliseconds of an empty module, from start to end."""
    child = subprocess.Popen([sys.executable, "-m", "luamtev", str(HERE / "benchmarks" / "start.lua")], cwd=tree)
    _, _, used = os.wait4(child.pid, 0)
    return (used.ru_utime + used.ru_stime) * 1e3


def main() -> None:
    """Print a row of Markdown for each figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("before", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "web.lua").write_text(WEB)
        (directory / "main.lua").write_text("module(..., package.seeall)\nfunction main() end\n")
        figures = {
            "a request, in LuaJIT, µs": of_requests("lua", directory),
            "a request, in Python, µs": of_requests("python", directory),
            "a callback of a timer, µs": of_a_callback,
            "start to end of an empty module, ms": of_a_start,
        }
        print("| CPU of | before | with points | ratio |\n| --- | --- | --- | --- |")
        for label, figure in figures.items():
            pairs = [(figure(given.before), figure(HERE)) for _ in range(given.rounds)]
            before, now = (statistics.median(each) for each in zip(*pairs, strict=True))
            ratio = statistics.median(after / first for first, after in pairs)
            print(f"| {label} | {before:.2f} | {now:.2f} | {ratio:.3f} |")

    sys.path.insert(0, str(HERE))
    from runtime import trace
    from runtime.trace import _usdt

    point, number = trace.point("http-close"), 200_000
    unheard = min(timeit.repeat("if point.heard[0]: pass", globals={"point": point}, number=number)) / number
    trace.subscribe("http-close", lambda fd, session: None)
    told = min(timeit.repeat("point.tell(1, None)", globals={"point": point}, number=number)) / number
    made = min(timeit.repeat(lambda: _usdt.object_for("x86_64"), number=20)) / 20
    print(f"unheard {unheard * 1e9:.0f} ns, told to a subscriber {told * 1e9:.0f} ns, object {made * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
