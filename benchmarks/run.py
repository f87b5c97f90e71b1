"""Runs the benchmark programs and prints medians: ``python benchmarks/run.py [-n RUNS] [PROGRAM...]``.

A program prints ``name value`` lines.  Absolute figures depend on the machine; compare rows of one run.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
LUAMTEV = [sys.executable, "-m", "luamtev"]
INTERRUPTIBLE = "<interrupt_time>60</interrupt_time><tragedy"


def figures(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """The figures one run of *command* prints, and the seconds and the memory it took as a whole."""
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True) as process:
            assert process.stdout is not None
            output = process.stdout.read()
            _pid, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        elapsed = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}\n{output}")
    found = {}
    for line in output.splitlines():
        name, _, value = line.partition(" ")
        if value:
            found[name] = float(value)
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return found | {"(process) seconds": elapsed, "(process) MB": usage.ru_maxrss * kilobyte / 1e6}


def report(title: str, command: list[str], runs: int, **environment: str) -> None:
    """Run *command* often enough and print the medians."""
    print(title)
    rows = [figures(command, os.environ | environment) for _ in range(runs)]
    for name in rows[0]:
        values = [row[name] for row in rows]
        print(f"  {name:32} {statistics.median(values):16,.2f}   ({min(values):,.2f} to {max(values):,.2f})")


def interruptible(program: Path, directory: str) -> list[str]:
    """The command that runs *program* with an interrupt_time, so with the JIT off."""
    generated = subprocess.run([*LUAMTEV, "-T", str(program)], capture_output=True, text=True, check=True).stdout
    configuration = Path(directory) / f"{program.stem}.xml"
    configuration.write_text(generated.replace("<tragedy", INTERRUPTIBLE))
    return [*LUAMTEV, "-c", str(configuration), str(program)]


def main() -> None:
    """Run what the command line names, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", dest="runs", type=int, default=5, help="runs of each program (5)")
    parser.add_argument("programs", nargs="*", default=["start", "coro", "echo", "transfer", "log", "interrupt"])
    arguments = parser.parse_args()
    for name in arguments.programs:
        program = HERE / f"{name}.lua"
        report(name, [*LUAMTEV, str(program)], arguments.runs)
        if name in ("coro", "interrupt"):
            with tempfile.TemporaryDirectory() as directory:
                report(f"{name}, interrupt_time set", interruptible(program, directory), arguments.runs)


if __name__ == "__main__":
    main()
