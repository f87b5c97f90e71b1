"""Sockets of Lua where the system runs short."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from lupa import luajit21

import luamtev

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


def with_descriptors(most: int, directory: Path, source: str) -> "subprocess.CompletedProcess[str]":
    program = directory / "main.lua"
    program.write_text(source)
    return subprocess.run(
        ["sh", "-c", f'ulimit -n {most}; exec "$@"', "sh", sys.executable, "-m", "luamtev", str(program)],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_running_out_of_descriptors_is_an_error_like_any_other(tmp_path: Path) -> None:
    done = with_descriptors(64, tmp_path, EXHAUST)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "Too many open files\ttrue",
        "0",
        "nil\tToo many open files",
        "ok",
        "-1\tToo many open files",
    ]


WASTEFUL = """
function main()
  for i = 1, 1000 do assert(mtev.socket("inet")) end
  local _, stdin, stdout, stderr
  for i = 1, 100 do
    _, stdin, stdout, stderr = mtev.spawn("/bin/true", { "true" })
    assert(stderr, stdin)
  end
  print("none was wanting")
  os.exit(0)
end
"""


def test_descriptors_that_only_garbage_holds_are_had_back(tmp_path: Path) -> None:
    done = with_descriptors(128, tmp_path, WASTEFUL)
    assert (done.stdout, done.stderr) == ("none was wanting\n", "")


SERVER = """
function main()
  local server = mtev.socket("inet")
  server:bind("127.0.0.1", 0)
  server:listen(100)
  local _, port = server:sock_name()
  io.write(port, "\\n")
  io.flush()
  while true do
    local client = server:accept()
    mtev.coroutine_spawn(function()
      local mine = client:own()
      local asked = mine:read("\\n")
      mine:write("answer\\n")
      if asked == "fail\\n" then error("as asked") end
    end)
  end
end
"""


@pytest.mark.parametrize("how", ["return", "fail"])
def test_a_server_whose_coroutines_end_closes_its_connections(tmp_path: Path, how: str) -> None:
    (tmp_path / "main.lua").write_text(SERVER)
    (tmp_path / "app.conf").write_text(
        """<cli><modules><generic image="lua_mtev" name="lua_general"><config><lua_module>main</lua_module>
           <lua_function>main</lua_function></config></generic></modules></cli>"""
    )
    command = [sys.executable, "-m", "luamtev", "-c", "app.conf", "main.lua"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        descriptors = Path(f"/proc/{server.pid}/fd")
        before = len(list(descriptors.iterdir()))
        clients = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(100)]
        for each in clients:
            each.sendall(f"{how}\n".encode())
        for each in clients:
            with each, each.makefile("rb") as stream:
                assert stream.read() == b"answer\n"  # to the end of the stream
        assert len(list(descriptors.iterdir())) == before
        server.kill()


LARGE_HEAP = """
local source = ...
local now, collections = 100, 0
collectgarbage = function() now, collections = now + 2, collections + 1 end
local reclaim = loadstring(source)({ kernel = { monotonic = function() return now end } })
local EMFILE, found = 24, {}
for _, seconds in ipairs({ 0, 1, 38, 2 }) do
  now = now + seconds
  if reclaim(EMFILE) then reclaim(EMFILE, true) end
  found[#found + 1] = collections
end
return table.concat(found, " ")
"""


def test_a_large_heap_is_not_collected_all_the_time() -> None:
    source = (Path(luamtev.__file__).parent / "lua" / "reclaim.lua").read_bytes()
    assert luajit21.LuaRuntime(encoding=None, register_eval=False).execute(LARGE_HEAP.encode(), source) == b"2 2 2 4"
