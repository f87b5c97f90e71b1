"""docs/reference/manual.md holds: what it points to is there, and says something of the name.

Each row has a name of the manual, the page of our reference that has it, and the test that holds it.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from runtime import log

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
ROW = re.compile(r"^\| `([^`]+)` \| (.*?) \| ?(.*?) ?\|$", re.MULTILINE)
ABSENT = "not in this release"
COUNTS = {  # as the manual has them
    "Configuration": 11,
    "Watchdog": 6,
    "Managed applications": 12,
    "Eventer": 14,
    "Log facilities": 40,
    "Trace points": 26,
    "Listeners": 17,
    "sslconfig": 8,
    "lua_general": 11,
    "Environment variables": 12,
    "Lua": 138,
}


def rows() -> list[tuple[str, str, str, str]]:
    found = []
    parts = SECTION.split((REFERENCE / "manual.md").read_text())
    for section, text in zip(parts[1::2], parts[2::2], strict=True):
        found += [(section, name, where, test.strip("`")) for name, where, test in ROW.findall(text)]
    return found


ROWS = rows()
IDS = [f"{section}: {name}" for section, name, _, _ in ROWS]


def essence(name: str) -> str:
    """What of a name must be found as it stands: without what stands for a user's own, and the object of a method."""
    name = re.split(r"NAME|default:", name)[0]
    return re.split(r"[.:]", name)[-1] if re.match(r"(mtev\b|Proc:|semaphore:)", name) and "/" not in name else name


@cache
def text_of(path: Path) -> str:
    return path.read_text()


@cache
def functions_of(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(text_of(path))) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("section", "name", "where", "test"), ROWS, ids=IDS)
def test_a_name_is_on_its_page_and_held_by_its_test(section: str, name: str, where: str, test: str) -> None:
    link = re.fullmatch(r"\[[^]]+\]\((\S+)\)", where)
    if link is None:
        assert where == ABSENT or where.startswith("nothing: ")
        assert where != ABSENT or not (REFERENCE / f"{section}.md").exists(), f"{section} has a page by now: link to it"
        return
    assert essence(name) in text_of(REFERENCE / link[1])
    where, _, function = test.partition("::")
    path = ROOT / where
    assert function in functions_of(path) if path.suffix == ".py" else not function
    if section == "Log facilities" and path.name == "test_facilities.py":
        assert name in log.FACILITIES
        return
    around = [path, *(path.parent / helper for helper in ("program.py", "conftest.py"))]
    wanted = {essence(name), essence(name).rpartition("_")[0] or essence(name)}  # specs make names of several endings
    assert any(each in text_of(file) for file in around if file.exists() for each in wanted)


def test_every_facility_is_listed() -> None:
    listed = {name for section, name, _, _ in ROWS if section == "Log facilities"}
    assert set(log.FACILITIES) - {"http"} <= listed


def test_no_entry_is_lost_or_listed_twice() -> None:
    keys = [(section, name) for section, name, _, _ in ROWS]
    assert len(keys) == len(set(keys))
    for section, count in COUNTS.items():
        assert len([each for each, _ in keys if each == section]) == count, section
