"""Lines that Lua writes to a file itself, where that stops working."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
function main()
  for i = 1, 200 do mtev.log("error", "%-99d\\n", i) end
  mtev.enable_log("error", false)
  mtev.log("error", "never\\n")
  print("done")
  os.exit(0)
end
"""


def test_a_file_that_cannot_grow_loses_lines_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "main.lua").write_text(PROGRAM)
    errors = tmp_path / "errors"
    with errors.open("ab") as file:
        done = subprocess.run(
            ["sh", "-c", 'ulimit -f 16; exec "$@"', "sh", sys.executable, "-m", "luamtev", str(tmp_path / "main.lua")],
            stdout=subprocess.PIPE,
            stderr=file,
            timeout=60,
        )
    assert done.returncode == 0
    assert done.stdout == b"done\n"
    written = errors.read_bytes()
    assert 50 * 100 < len(written) <= 16384
    assert [int(each) for each in written[: len(written) // 100 * 100].split()] == list(
        range(1, len(written) // 100 + 1)
    )
