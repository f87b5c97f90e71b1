"""Lines that Lua writes to a file itself, where that stops working."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from waiting import until

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


def test_a_line_without_its_end_gets_one_but_for_standard_output(luamtev: Any, tmp_path: Path) -> None:
    done = luamtev(
        "main.lua",
        source="""
        function main()
          for _, text in ipairs({ "one", "two\\n", "", "three %%" }) do
            mtev.log("error", text)
            mtev.log("error/below", text)
            mtev.log("stdout", text)
          end
          mtev.log("stdout", "%s", ".")
          os.exit(0)
        end
        """,
    )
    assert done.stderr == b"one\none\ntwo\ntwo\nthree %\nthree %\n"
    assert done.stdout == b"onetwo\nthree %."


def test_a_line_without_its_end_gets_one_in_a_file(luamtev: Any, tmp_path: Path) -> None:
    (tmp_path / "c.xml").write_text(
        f"""<cli><modules><generic image="lua_mtev" name="lua_general"><config>
        <lua_function>main</lua_function></config></generic></modules>
        <logs><log name="kept" type="file" path="{tmp_path}/kept"/>
        <log name="told" type="file" path="{tmp_path}/told" timestamps="on"/></logs></cli>"""
    )
    both = "for _, name in ipairs({ 'kept', 'told' }) do mtev.log(name, 'a') mtev.log(name, 'b') end"
    source = f"function main() {both} os.exit(0) end"
    luamtev("-c", "c.xml", "main.lua", source=source)
    assert (tmp_path / "kept").read_text() == "a\nb\n"
    assert [line.rpartition(" ")[2] for line in (tmp_path / "told").read_text().splitlines()] == ["a", "b"]


@pytest.mark.parametrize("monitored", [[], ["-m"]])
def test_a_reader_that_is_stuck_holds_up_nobody(monitored: list[str], tmp_path: Path) -> None:
    (tmp_path / "main.lua").write_text(
        """
        function main()
          local served = mtev.socket("127.0.0.1")
          served:bind("127.0.0.1", 0)
          served:listen(10)
          local line = ("x"):rep(999)
          for _ = 1, 20000 do mtev.log("stdout", "%s\\n", line) end
          local _, port = served:sock_name()
          mtev.writefile("port", tostring(port))
          while true do
            local client = served:accept()
            client:write("served\\n")
          end
        end
        """
    )
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "luamtev", *monitored, "main.lua"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        assert process.stderr is not None
        said = process.stderr.readline()

        def is_bound() -> bool:
            assert process.poll() is None
            return (tmp_path / "port").exists() and (tmp_path / "port").read_text() != ""

        until(is_bound)
        with socket.create_connection(("127.0.0.1", int((tmp_path / "port").read_text())), 60) as client:
            assert client.recv(100) == b"served\n"
        process.terminate()
        assert process.wait(60) == 0
        more = process.stderr.read()
    assert b"log 'stdout': nobody reads descriptor 1, 8388608 bytes wait; lines are lost until somebody does" in said
    assert b"nobody reads" not in more
    got = b""
    while chunk := os.read(reader, 1 << 16):
        got += chunk
    os.close(reader)
    assert set(got) == set(b"x\n")
