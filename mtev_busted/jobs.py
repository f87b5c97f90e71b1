"""The files of a run as work to be handed out: which there are, which want to run alone, and which go first.

Knows nothing of processes (:mod:`mtev_busted.parallel`).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mtev_busted.plan import Plan

SERIAL = b"#serial"
"""Stands in a file that is to run when no other does."""

LARGE = 4
"""A file is large when its size is more than one of so many parts of what each process gets on the average."""


@dataclass(eq=False)
class Job:
    """A file in a run."""

    run: int
    seed: int
    path: str
    serial: bool
    size: int
    events: list[bytes] = field(default_factory=list)  # that were not reported yet
    done: bool = False

    @property
    def command(self) -> bytes:
        """What tells a worker to do it."""
        return b"%d %d %s\n" % (self.run, self.seed, os.fsencode(self.path))


def seeds(plan: Plan) -> Iterator[int]:
    """The seed of each run."""
    seed = plan.seed
    for _ in range(plan.runs):
        yield seed
        if not plan.seed_given:
            seed = seed * 48271 % 2147483647 + 1


@dataclass
class Work:
    """The files of all runs, in the order of reports, and what came of them so far."""

    jobs: list[Job]
    counts: list[bytes] = field(default_factory=list)  # how often lines of files ran, as it was told
    interrupted: int = 0  # by which signal
    stopped: bool = False  # nothing more is to begin


def work(plan: Plan, files: Callable[[int], Sequence[str]]) -> Work:
    """The work of *plan*; *files* are those of a seed."""
    looked_at = {path: _look_at(path) for path in plan.files}
    each = ((run, seed, path) for run, seed in enumerate(seeds(plan), 1) for path in files(seed))
    return Work([Job(run, seed, path, *looked_at[path]) for run, seed, path in each])


def _look_at(path: str) -> tuple[bool, int]:
    """Whether a file wants to run alone, and its size."""
    try:
        source = Path(path).read_bytes()
    except OSError:
        return False, 0  # the worker says what is wrong with it
    return SERIAL in source, len(source)


def handed_out(waiting: Sequence[Job], count: int) -> list[Job]:
    """*waiting* as *count* workers get them: in the order of the reports, but in each run the large ones, for which all
    would wait at the end, come first, the largest before the others."""
    if count == 1:
        return list(waiting)
    total: dict[int, int] = {}
    for each in waiting:
        total[each.run] = total.get(each.run, 0) + each.size
    larger = {run: size / (LARGE * count) for run, size in total.items()}
    return sorted(waiting, key=lambda each: (each.run, -each.size if each.size > larger[each.run] else 0))
