"""Programs load no utilities, no part of ffi.load("mtev") and none of what tells tracers, unless they use it."""

import re
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import luamtev.cli, luamtev.state, luamtev.modules, mtev_busted.cli, runtime.main, runtime.services
from luamtev import api
print([name for name in sys.modules if name.startswith(("runtime.util", "lmdb"))])
"""


def test_nothing_here_is_loaded_by_others() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_a_program_that_starts_and_ends_has_loaded_none_of_it(tmp_path: Path) -> None:
    """But for the object of the trace points, which is made before anybody can ask for it."""
    (tmp_path / "main.lua").write_text("function main() print(package.loaded.ffi ~= nil) os.exit(0) end")
    command = [sys.executable, "-X", "importtime", "-m", "luamtev", "main.lua"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    loaded = set(re.findall(r"^import time: .*\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "runtime.main" in loaded
    ours = {
        name
        for name in loaded
        if re.match(r"runtime\.(util|trace)\b|runtime\.eventer\._told|lmdb|luamtev\.api\.trace", name)
    }
    assert ours - {"luamtev.api.trace"} == {
        "runtime.trace",
        "runtime.trace._object",
        "runtime.trace._points",
        "runtime.trace._usdt",
    }
