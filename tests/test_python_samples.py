"""The Python samples of the documentation stand alone: each is run as a program, and prints what its page says."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[1] / "docs"
SAMPLE = re.compile(r"^```python\n(?P<program>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```$)?", re.DOTALL | re.MULTILINE)


def samples() -> list[Any]:
    found = []
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text()
        for match in SAMPLE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(pytest.param(match["program"], match["output"], id=f"{page.stem}:{line}"))
    return found


def test_there_are_some() -> None:
    assert len(samples()) > 10


@pytest.mark.parametrize(("program", "output"), samples())
def test_a_sample_prints_what_its_page_says(program: str, output: str | None, tmp_path: Path) -> None:
    assert output is not None, "a sample is followed by its output"
    path = tmp_path / "program.py"
    path.write_text(program)
    done = subprocess.run([sys.executable, str(path)], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert (done.stdout, done.stderr, done.returncode) == (output, "", 0)
