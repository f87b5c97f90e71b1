"""The tutorial, typed as it stands: its files are written, its commands run in a shell, what they print is compared."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from launching import free_port

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
STEPS = re.split(r"^## ", TUTORIAL.read_text(), flags=re.MULTILINE)[1:]
FENCE = re.compile(r"^```(?P<kind>\w+)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"^(?:-- (?P<lua>\S+)|<!-- (?P<xml>\S+) -->)\n")
MARK = "=== "


def files_of(text: str) -> "dict[str, str]":
    found = {}
    for match in FENCE.finditer(text):
        named = NAME.match(match["body"])
        if named:
            found[named["lua"] or named["xml"]] = match["body"][named.end() :]
    return found


def commands_of(text: str) -> "list[tuple[str, str]]":
    """Each command, and what it prints."""
    found = []
    for match in FENCE.finditer(text):
        if match["kind"] == "console":
            for part in re.split(r"^\$ ", match["body"], flags=re.MULTILINE)[1:]:
                command, _, printed = part.partition("\n")
                found.append((command, printed))
    return found


@pytest.mark.parametrize("number", range(len(STEPS)), ids=lambda number: STEPS[number].partition("\n")[0])
def test_a_step_of_the_tutorial(number: int, tmp_path: Path) -> None:
    port = str(free_port())

    def here(text: str) -> str:
        return text.replace("8080", port)

    for step in STEPS[: number + 1]:
        for name, text in files_of(step).items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(here(text))
    commands = commands_of(STEPS[number])
    assert commands
    script = "".join(f"echo '{MARK}{at}'\n{here(command)}\n" for at, (command, _) in enumerate(commands))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PATH": path, "JUNIT_OUTPUT_FILE": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
    )
    said = re.split(rf"^{MARK}\d+\n", done.stdout, flags=re.MULTILINE)[1:]
    for (command, wanted), printed in zip(commands, said, strict=True):
        assert printed == here(wanted), f"{command}: {done.stderr}"


def test_there_are_four_steps() -> None:
    assert len(STEPS) == 4
