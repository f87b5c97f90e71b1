"""docs/reference/c-api.md names what exists, and every function of the manual's C section."""

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "c-api.md"
FUNCTIONS = Path(__file__).parents[1] / "data" / "c-functions.txt"
ROW = re.compile(r"^\| (`\w+`(?:, `\w+`)*) \| (.+) \|$", re.MULTILINE)
ROOMS = ["runtime.eventer", "runtime.watchdog", "builtins"]
PACKAGES = ("runtime", "os", "gevent", "threading", "time")


def names() -> list[str]:
    found: set[str] = set()
    for _, counterpart in ROW.findall(PAGE.read_text()):
        found |= set(re.findall(r"`([A-Za-z_][\w.]*)`", counterpart))
    return sorted(found)


def is_there(name: str) -> bool:
    path = name.split(".")
    modules = [importlib.import_module(room) for room in ROOMS]
    if path[0] in PACKAGES:
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


def listed() -> list[str]:
    return [name for functions, _ in ROW.findall(PAGE.read_text()) for name in re.findall(r"`(\w+)`", functions)]


def test_no_function_is_listed_twice() -> None:
    assert sorted(set(listed())) == sorted(listed())


def test_every_function_of_the_manual_is_listed() -> None:
    functions = [line for line in FUNCTIONS.read_text().splitlines() if not line.startswith("#")]
    assert len(functions) == len(set(functions)) > 400
    assert [name for name in functions if name not in set(listed())] == []


def test_a_row_tells_a_counterpart_or_a_reason() -> None:
    for functions, counterpart in ROW.findall(PAGE.read_text()):
        assert re.search(r"`[A-Za-z_][\w.]*`", counterpart) or re.match(r"none\b|the |its ", counterpart), functions
