"""The samples of the guide, run as a reader would: its files are written, its commands give what it shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "reference" / "mtev-busted.md"
FENCE = re.compile(r"^```(?P<kind>lua|console)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)


def bare(text: str) -> str:
    """*text* without what differs from run to run: times and addresses."""
    text = re.sub(r"\d+\.\d+ ms", "0 ms", text)
    text = re.sub(r"\d+\.\d+ seconds", "0 seconds", text)
    return re.sub(r"0x[0-9a-f]+", "0x0", text)


def test_the_samples_of_the_guide_work(tmp_path: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "JUNIT_OUTPUT_FILE": ""}
    commands = 0
    for match in FENCE.finditer(GUIDE.read_text()):
        first, _, rest = match["body"].partition("\n")
        if match["kind"] == "lua":
            path = tmp_path / first.removeprefix("-- ")
            path.parent.mkdir(exist_ok=True)
            path.write_text(rest)
            continue
        commands += 1
        command = first.removeprefix("$ ").split()
        done = subprocess.run(
            [sys.executable, "-m", "mtev_busted.cli", *command[1:]],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert bare(done.stdout) == bare(rest), f"{first}\n{done.stderr}"
    assert commands == 5
