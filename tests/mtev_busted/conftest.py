"""Spec files in a directory of their own, and mtev-busted as users run it."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

LIMIT = 60  # seconds until a run counts as hung


@dataclass
class Run:
    """A run that ended."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out.rstrip("\n").rpartition("\n")[2])

    def lines(self, start: str) -> list[str]:
        return [line for line in self.out.splitlines() if line.startswith(start)]


@dataclass
class Busted:
    """Writes specs into *directory* and runs mtev-busted there."""

    directory: Path

    def write(self, name: str, source: str) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return path

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> Run:
        done = subprocess.run(
            [sys.executable, "-m", "mtev_busted.cli", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            env={k: v for k, v in os.environ.items() if k != "JUNIT_OUTPUT_FILE"} | (env or {}),
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def spec(self, source: str, *arguments: str) -> Run:
        """Run *source* as the only spec."""
        self.write("spec/one_spec.lua", source)
        return self.run(*arguments)

    def junit(self, name: str = "test_detail.xml") -> Any:
        return etree.parse(str(self.directory / name)).getroot()


@pytest.fixture
def busted(tmp_path: Path) -> Busted:
    return Busted(tmp_path)
