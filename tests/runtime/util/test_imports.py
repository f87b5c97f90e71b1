"""Programs that use no utilities do not load them."""

import subprocess
import sys

PROGRAM = """
import sys
import luamtev.cli, luamtev.state, luamtev.modules, mtev_busted.cli, runtime.main, runtime.services
from luamtev import api
print([name for name in sys.modules if name.startswith(("runtime.util", "lmdb"))])
"""


def test_nothing_here_is_loaded_by_others() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
