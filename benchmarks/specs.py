"""What the spec runner costs: 10,000 tests in ten files, here, in processes, with coverage, and under Debian's busted.

``python benchmarks/specs.py [-n ROUNDS]``: every way in turn, the fastest and the median of the rounds, in seconds.
"""

import argparse
import os
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
for i = 1, {tests} do it("t" .. i, function() assert.equal(10946, fib(21)) end) end
"""


def seconds(command: list[str], directory: Path) -> float:
    """How long *command* takes in *directory*."""
    start = time.perf_counter()
    environment = os.environ | {"JUNIT_OUTPUT_FILE": ""}
    subprocess.run(command, cwd=directory, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def compare(ways: dict[str, list[str]], directory: Path, rounds: int) -> dict[str, tuple[float, float]]:
    """The fastest and the median seconds of each way, one after the other in each round."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, command in ways.items():
            taken[name].append(seconds(command, directory))
    return {name: (min(each), statistics.median(each)) for name, each in taken.items()}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    ways = {"one process": OURS, "-j 1": [*OURS, "-j", "1"], "-j 2": [*OURS, "-j", "2"]}
    if shutil.which("busted"):
        ways["Debian's busted"] = ["busted", "--lua=/usr/bin/luajit", "-o", "TAP"]
    with tempfile.TemporaryDirectory() as name:
        for kind, source in (("trivial", TRIVIAL), ("computing", COMPUTING)):
            directory = Path(name, kind)
            (directory / "spec").mkdir(parents=True)
            for i in range(FILES):
                (directory / "spec" / f"f{i}_spec.lua").write_text(source.format(tests=TESTS))
            for way, (fastest, median) in compare(ways, directory, rounds).items():
                print(f"{kind}, {way}: {fastest:.2f} s, median {median:.2f} s, {FILES * TESTS / fastest:,.0f} tests/s")
        specs = [*OURS, "spec"]
        coverage = [*specs, "--coverage", f"--lcov={name}/lcov", f"--cobertura={name}/xml"]
        for way, (fastest, median) in compare({"without": specs, "with": coverage}, HERE.parent, rounds).items():
            print(f"our own specs, {way} coverage: {fastest:.2f} s, median {median:.2f} s")


if __name__ == "__main__":
    main()
