"""Sockets of Lua where the system runs short."""

import subprocess
import sys
from pathlib import Path

EXHAUST = """
function main()
  local server = mtev.socket("inet")
  server:bind("127.0.0.1", 0)
  server:listen(100)
  local address, port = server:sock_name()
  local sockets, why = {}, nil
  while true do
    local socket
    socket, why = mtev.socket("inet")
    if not socket then break end
    sockets[#sockets + 1] = socket
  end
  print(why, #sockets > 10)
  print(sockets[1]:connect(address, port))
  print(server:accept())
  sockets[2]:close()
  local peer = server:accept()
  peer:write("ok")
  print(sockets[1]:read(2))
  print(mtev.HttpClient:new():connect(address, port))
  os.exit(0)
end
"""


def test_running_out_of_descriptors_is_an_error_like_any_other(tmp_path: Path) -> None:
    program = tmp_path / "main.lua"
    program.write_text(EXHAUST)
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", sys.executable, "-m", "luamtev", str(program)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "Too many open files\ttrue",
        "0",
        "nil\tToo many open files",
        "ok",
        "-1\tToo many open files",
    ]
