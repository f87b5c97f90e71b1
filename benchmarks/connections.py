"""10,000 connections from one process to one Lua state of another; prints the figures of ``connections.lua``."""

import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "luamtev", str(Path(__file__).with_suffix(".lua"))]


def main() -> None:
    """Start both and wait."""
    with subprocess.Popen([*COMMAND, "serve"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            subprocess.run([*COMMAND, server.stdout.readline().strip()], check=True)
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
