"""Compares two builds: ``python benchmarks/compare.py [-n RUNS] LUAMTEV [PROGRAM...]`` runs this and LUAMTEV in turn.

Prints the median of each figure, and how it stands here to there: above 1 is more a second.
"""

import argparse
import os
import statistics

from run import HERE, LUAMTEV, figures


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", dest="runs", type=int, default=5, help="runs of each program on each side (5)")
    parser.add_argument("other", metavar="LUAMTEV", help="the other build's program")
    parser.add_argument("programs", nargs="*", default=["cpu"])
    arguments = parser.parse_args()
    for name in arguments.programs:
        program = str(HERE / f"{name}.lua")
        ours, theirs = [], []
        for _ in range(arguments.runs):
            ours.append(figures([*LUAMTEV, program], dict(os.environ)))
            theirs.append(figures([arguments.other, program], dict(os.environ)))
        print(f"{name:32} {'here':>16} {'there':>16}   ratio")
        for figure in ours[0]:
            here, there = (statistics.median(each[figure] for each in side) for side in (ours, theirs))
            print(f"  {figure:30} {here:16,.2f} {there:16,.2f} {here / there:7.2f}")


if __name__ == "__main__":
    main()
