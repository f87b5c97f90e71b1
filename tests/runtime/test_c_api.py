"""docs/reference/c-api.md names what exists."""

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "c-api.md"
ROW = re.compile(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \| (.+) \|$", re.MULTILINE)
ROOMS = ["runtime.eventer", "runtime.watchdog"]


def names() -> list[str]:
    found: set[str] = set()
    for _, counterpart in ROW.findall(PAGE.read_text()):
        found |= set(re.findall(r"`([A-Za-z_][\w.]*)`", counterpart))
    return sorted(found)


def is_there(name: str) -> bool:
    path = name.split(".")
    modules = [importlib.import_module(room) for room in ROOMS]
    if path[0] in ("runtime", "os"):
        depth = next(n for n, part in enumerate([*path, "Last"]) if part[0].isupper() or n == len(path) - 1)
        modules = [importlib.import_module(".".join(path[:depth]))]
        path = path[depth:]
    if name in ("gate",):  # an argument
        return "gate" in inspect.signature(modules[0].aco_run_asynch).parameters
    for module in modules:
        found: Any = module
        for part in path:
            owner, found = found, getattr(found, part, None)
        if found is not None:
            return True
        if inspect.isclass(owner) and f"self.{path[-1]}" in inspect.getsource(owner):
            return True
    return False


@pytest.mark.parametrize("name", names())
def test_a_counterpart_exists(name: str) -> None:
    assert is_there(name)


def test_no_function_is_listed_twice() -> None:
    listed = [name for functions, _ in ROW.findall(PAGE.read_text()) for name in re.findall(r"`(\w+)`", functions)]
    assert len(listed) == len(set(listed)) > 150
