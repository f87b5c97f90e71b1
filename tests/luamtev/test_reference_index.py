"""The index of the Lua reference names every page, and every function a page has a heading for."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
ROW = re.compile(r"^\| \[[^\]]+\]\(lua/(?P<page>\w+)\.md\) \| [^|]+ \| (?P<names>[^|]+) \|$", re.MULTILINE)


def rows() -> dict[str, set[str]]:
    index = (REFERENCE / "lua.md").read_text()
    return {match["page"]: set(re.findall(r"`(\w+)`", match["names"])) for match in ROW.finditer(index)}


def test_the_index_lists_every_page() -> None:
    assert set(rows()) == {page.stem for page in (REFERENCE / "lua").glob("*.md")}


def test_what_the_index_names_exists(luamtev: Callable[..., Any]) -> None:
    names = sorted(set().union(*rows().values()))
    found = "mtev[name] ~= nil or pcall(require, 'mtev.' .. name)"
    checks = f"for name in ('{' '.join(names)}'):gmatch('%S+') do if not ({found}) then print(name) end end"
    done = luamtev("main.lua", source=f"function main() {checks} os.exit(0) end")
    assert (done.stdout, done.stderr) == (b"", b"")


def test_what_a_page_has_a_heading_for_is_in_the_index() -> None:
    for page, names in rows().items():
        headings = re.findall(r"^## .*", (REFERENCE / "lua" / f"{page}.md").read_text(), re.MULTILINE)
        assert set(re.findall(r"\bmtev\.(\w+)", " ".join(headings))) - names == set(), page
