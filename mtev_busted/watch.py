"""Runs specs again when files change: those that changed and those that failed, or all when other code did."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mtev_busted.plan import Plan

EVERY = 0.3
"""Seconds between two looks at the files."""


def _stamps() -> dict[str, tuple[int, int]]:
    """Time of change and size of every Lua file below the working directory, hidden directories left out."""
    found = {}
    for directory, directories, names in os.walk("."):
        directories[:] = [each for each in directories if not each.startswith(".") and each != "__snapshots__"]
        for name in names:
            if name.endswith(".lua"):
                path = os.path.normpath(os.path.join(directory, name))  # noqa: PTH118
                try:
                    status = os.stat(path)  # noqa: PTH116
                except OSError:
                    continue
                found[path] = (status.st_mtime_ns, status.st_size)
    return found


def _failed_files(plan: Plan) -> set[str]:
    path = Path(plan.failed_file)
    if not path.exists():
        return set()
    return {line.partition("\t")[0] for line in path.read_text(errors="surrogateescape").splitlines()}


def chosen(plan: Plan, changed: set[str]) -> list[str]:
    """The files of *plan* to run after the files *changed*."""
    specs = {os.path.normpath(each): each for each in plan.files}
    if changed - set(specs):
        return list(plan.files)
    again = {specs[each] for each in changed} | _failed_files(plan)
    return [each for each in plan.files if each in again]


def watch(plan: Plan, resolve: Callable[[], Plan], run: Callable[[Plan], int]) -> int:
    """Run *plan*, and again whenever files change, until interrupted.  *resolve* finds the spec files anew."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as INT
    stamps = _stamps()
    try:
        run(replace(plan, workers=plan.workers or 1))
        while True:
            print("\nWaiting for changes ...", flush=True)  # noqa: T201
            now = stamps
            while now == stamps:
                time.sleep(EVERY)
                now = _stamps()
            changed = {each for each in now.keys() | stamps.keys() if now.get(each) != stamps.get(each)}
            stamps = now
            fresh = resolve()
            files = chosen(fresh, changed)
            run(replace(fresh, workers=fresh.workers or 1, files=files))
    except KeyboardInterrupt:
        return 0
