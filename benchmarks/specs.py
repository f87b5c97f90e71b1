"""What the spec runner costs: 10,000 tests in ten files, here, in processes, with coverage, and under Debian's busted.

``python benchmarks/specs.py [-n ROUNDS] [--suite DIRECTORY]``: every way in turn, the fastest and the median of the
rounds in seconds, and the median of the processor seconds of all its processes; *DIRECTORY* is a project written for
busted, run with coverage and without.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
OURS = [sys.executable, "-m", "mtev_busted.cli", "-o", "TAP"]
FILES, TESTS = 10, 1000

TRIVIAL = 'for i = 1, {tests} do it("t" .. i, function() assert.equal(i, i) end) end\n'
COMPUTING = """
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
for i = 1, {tests} do it("t" .. i, function() assert.equal({result}, fib({number})) end) end
"""
KINDS = {
    "trivial": (TRIVIAL, TESTS),
    "computing fib(21)": (COMPUTING.replace("{result}", "10946").replace("{number}", "21"), TESTS),
    "a tenth of them, computing fib(26)": (
        COMPUTING.replace("{result}", "121393").replace("{number}", "26"),
        TESTS // 10,
    ),
}


def seconds(command: list[str], directory: Path) -> tuple[float, float]:
    """How long *command* takes in *directory*, and what it takes of the processors."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}  # as it is installed
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = kept | {"JUNIT_OUTPUT_FILE": "", "PYTHONPYCACHEPREFIX": f"{tempfile.gettempdir()}/specs-bytecode"}
    subprocess.run(command, cwd=directory, env=environment, check=False, stdout=subprocess.DEVNULL)
    taken, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return taken, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def compare(kind: str, ways: dict[str, list[str]], directory: Path, rounds: int) -> None:
    """Print what each way takes, one after the other in each round."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, command in ways.items():
            taken[name].append(seconds(command, directory))
    first = statistics.median(wall for wall, _ in next(iter(taken.values())))
    for name, each in taken.items():
        wall, cpu = ([one[i] for one in each] for i in (0, 1))
        median = statistics.median(wall)
        times = f"fastest {min(wall):.3f} s, median {median:.3f} s, {first / median:.2f} times the first's rate"
        print(f"{kind}, {name}: {times}; processors {statistics.median(cpu):.3f} s")


def with_coverage(command: list[str], directory: str) -> dict[str, list[str]]:
    """*command* with coverage and without; the reports go to *directory*."""
    return {
        "without": command,
        "coverage": [*command, "-c", f"--lcov={directory}/lcov", f"--cobertura={directory}/xml"],
    }


def lines_counted(directory: str) -> int:
    """How many lines the report there has."""
    return Path(directory, "lcov").read_text().count("\nDA:")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--rounds", type=int, default=3)
    parser.add_argument("--suite", type=Path)
    arguments = parser.parse_args()
    ways = {"one process": OURS, "-j 1": [*OURS, "-j", "1"], "-j 2": [*OURS, "-j", "2"]}
    if shutil.which("busted"):
        ways["Debian's busted"] = ["busted", "--lua=/usr/bin/luajit", "-o", "TAP"]
    with tempfile.TemporaryDirectory() as name:
        for kind, (source, tests) in KINDS.items():
            directory = Path(name, kind)
            (directory / "spec").mkdir(parents=True)
            for i in range(FILES):
                (directory / "spec" / f"f{i}_spec.lua").write_text(source.replace("{tests}", str(tests)))
            compare(kind, ways, directory, arguments.rounds)
        for suite in filter(None, (HERE.parent, arguments.suite)):
            specs = [*OURS, "spec"] if suite == HERE.parent else OURS
            compare(f"specs of {suite.resolve().name}", with_coverage(specs, name), suite, arguments.rounds)
            print(f"{lines_counted(name):,} lines counted")


if __name__ == "__main__":
    main()
