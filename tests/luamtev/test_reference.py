"""Every example of the Lua reference prints what the page says."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "reference" / "lua"
FENCE = re.compile(r"^```lua\n(?P<body>.*?)^```\n(?:```text\n(?P<output>.*?)^```)?", re.MULTILINE | re.DOTALL)


def examples() -> list[Any]:
    found = []
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text()
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(pytest.param(match["body"], match["output"], id=f"{page.stem}:{line}"))
    return found


@pytest.mark.parametrize(("body", "output"), examples())
def test_an_example_prints_what_the_page_says(luamtev: Callable[..., Any], body: str, output: str | None) -> None:
    assert output is not None, "an example is followed by its output"
    done = luamtev("main.lua", source=f"function main()\n{body}\nos.exit(0)\nend\n")
    assert done.stderr.decode() == ""
    assert done.stdout.decode() == output
    assert done.returncode == 0


def test_every_public_function_of_these_families_is_on_a_page() -> None:
    pages = "".join(page.read_text() for page in PAGES.glob("*.md"))
    sources = Path(__file__).parents[2] / "luamtev" / "lua" / "mtev"
    names = set()
    for source in sources.glob("*.lua"):
        names |= set(re.findall(r"^(?:function )?mtev\.(\w+)(?:\(|\s*=)", source.read_text(), re.MULTILINE))
    missing = {name for name in names if not re.search(rf"\b{name}\b", pages)}
    assert not missing


def test_the_program_in_the_readme_prints_what_it_says(luamtev: Callable[..., Any]) -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    match = re.search(
        r"```lua\n(?P<program>.*?)^```\n\n    \$ .*?\n(?P<output>(?:    [^\n]*\n)+)", text, re.MULTILINE | re.DOTALL
    )
    assert match is not None
    assert len(match["program"].splitlines()) <= 12
    done = luamtev("main.lua", source=match["program"])
    assert done.stdout.decode() == re.sub("^    ", "", match["output"], flags=re.MULTILINE)
