"""The pages of the documentation: links lead somewhere, and README says first what this is and where the rest is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from lupa import luajit21

from runtime import cluster, conf, eventer, http, net, ops, watchdog
from runtime.conf import names

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "benchmarks" / "README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
SAMPLE = re.compile(r"^```(?P<kind>xml|lua)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
ROOMS = (cluster, eventer, http, net, ops, watchdog)
"""They know what their elements may have."""


def anchors(page: Path) -> set[str]:
    """What can stand behind a #, as GitHub makes it of headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        number, base = 0, slug
        while slug in found:
            number += 1
            slug = f"{base}-{number}"
        found.add(slug)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            lost.append(link)
    assert not lost


def test_readme_says_in_ten_lines_what_this_is() -> None:
    text = (ROOT / "README.md").read_text()
    introduction = text.partition("\n[Tutorial]")[0].partition("# luamtev\n")[2].strip()
    assert len(introduction.splitlines()) <= 10
    (command,) = re.findall(r"`\.venv/bin/python (benchmarks/\S+) (\w+)`", introduction)
    done = subprocess.run([sys.executable, ROOT / command[0], "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert f'"{command[1]}"' in (ROOT / command[0]).read_text()
    links = re.search(r"^\[Tutorial\].*?\n\n", text, re.MULTILINE | re.DOTALL)
    assert links is not None
    for name in ("tutorial", "reference/lua", "operations", "deployment", "moving", "security"):
        assert f"(docs/{name}.md)" in links[0]


def test_files_that_are_named_inside_are_there() -> None:
    named = set(re.findall(r"`([\w./-]+\.(?:py|lua))`", (ROOT / "docs" / "internals.md").read_text()))
    rooms = [ROOT / each for each in ("runtime", "luamtev", "mtev_busted", "tests")]
    there = [str(each) for room in rooms for each in room.rglob("*.*") if each.suffix in (".py", ".lua")]
    assert len(named) > 20
    assert not [each for each in named if not any(path.endswith(f"/{each}") for path in there)]


def samples(kind: str) -> list[object]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in SAMPLE.finditer(text):
            if match["kind"] == kind:
                line = text.count("\n", 0, match.start()) + 1
                found.append(pytest.param(match["text"], id=f"{page.stem}:{line}"))
    return found


@pytest.mark.parametrize("text", samples("xml"))
def test_a_sample_of_a_configuration_has_names_that_there_are(text: str) -> None:
    text = re.sub(r"<\?xml.*?\?>", "", text)
    top = re.match(r"\s*<(\w+)", text)
    around = {"generic": "<modules>{}</modules>", "listener": "<listeners>{}</listeners>"}
    loaded = conf.loads(f"<cli>{around.get(top[1] if top else '', '{}').format(text)}</cli>".encode())
    if top is not None and top[1] in ("cli", "application"):  # a whole one
        loaded = conf.loads(text.encode())
    with loaded.collecting() as mistakes:
        names.check(loaded)
    assert not mistakes


@pytest.mark.parametrize("text", samples("lua"))
def test_a_sample_of_lua_is_lua(text: str) -> None:
    lua = luajit21.LuaRuntime()
    fine, why = lua.execute("local chunk, why = loadstring(...) return chunk ~= nil, why", text)
    assert fine, why
