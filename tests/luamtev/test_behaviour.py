"""What the original answers, probe by probe (tests/data/behaviour), is what comes out here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "data" / "behaviour"
FAMILIES = (
    "processes",
    "proc",
    "sockets",
    "tls",
    "http",
    "api",
    "regex",
    "xml",
    "json",
    "zones",
    "texts",
    "coroutines",
)
FAMILIES += ("config", "logs", "files", "crypto")

DIFFERENT = {"cancel reading"}
"""Probes whose answer differs on purpose; docs/compatibility.md says why."""


def results(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    name = None
    for line in text.splitlines():
        if match := re.match(r"^([A-Za-z0-9_ .:/()'+*=,<>-]+?) -> (.*)$", line):
            name = match[1]
            found[name] = match[2]
        elif name is not None:
            found[name] += "\n" + line
    return {name: re.sub(r"\S*behaviour\.lua:\d+: ", "", each).rstrip() for name, each in found.items()}


RECORDED = results((FOLDER / "behaviour.expected").read_text(errors="replace"))


def differing(family: str, directory: Path) -> dict[str, tuple[str, str]]:
    """What came out otherwise than recorded: name -> recorded, ours."""
    command = [sys.executable, "-m", "luamtev", str(FOLDER / "behaviour.lua"), "", family]
    done = subprocess.run(command, cwd=directory, capture_output=True, timeout=100, umask=0o022)
    assert done.returncode == 0, done.stderr
    ours = results(done.stdout.decode(errors="replace"))
    known = {name: each for name, each in ours.items() if name in RECORDED and name not in DIFFERENT}
    assert known
    return {name: (RECORDED[name], each) for name, each in known.items() if each != RECORDED[name]}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_behaves_as_the_original_does(family: str, tmp_path: Path) -> None:
    different = differing(family, tmp_path)
    for _ in range(3):  # the probes have patience of their own, which a busy machine may use up
        if different:
            again = differing(family, tmp_path)
            different = {name: each for name, each in different.items() if name in again}
    assert different == {}


def test_every_recorded_behaviour_is_asked_for() -> None:
    probes = (FOLDER / "behaviour.lua").read_text()
    names = set(re.findall(r'\bP\("([^"]+)"', probes))
    assert set(RECORDED) <= names and names >= DIFFERENT
