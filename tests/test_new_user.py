"""A new user's first hour, from the clone to the examples (scripts/new-user)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.soak  # fetches every dependency anew
@pytest.mark.timeout(1800)
def test_a_new_user_comes_as_far_as_the_examples() -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "new-user"],
        env=os.environ | {"PYTHON": sys.executable, "JUNIT_OUTPUT_FILE": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1700,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    assert done.stdout.endswith("the new user is happy\n")
