"""mtev.readfile, writefile and appendfile: whole files, without holding up the loop."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime import eventer


def test_what_was_written_is_read(lua: Any, tmp_path: Path) -> None:
    text = lua(
        f"""
        function main()
          local path = "{tmp_path}/file"
          local bytes = ("\\0\\255\\r\\n"):rep(1000000)
          print(mtev.writefile(path, bytes), mtev.readfile(path) == bytes, mtev.readfile(path, #bytes) == bytes)
          print(mtev.writefile(path, "short"), mtev.appendfile(path, 1.5), mtev.readfile(path))
          print(mtev.writefile(path .. ".private", "", tonumber("600", 8)), mtev.readfile(path .. ".private") == "")
          os.exit(0)
        end
        """
    )
    assert text == "true\ttrue\ttrue\ntrue\ttrue\tshort1.5\ntrue\ttrue\n"
    assert (tmp_path / "file.private").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("readfile('{here}/nothing')", errno.ENOENT),
        ("readfile('{here}')", errno.EISDIR),
        ("readfile('/dev/zero', 1000)", errno.EFBIG),
        ("readfile('{here}/full', 3)", errno.EFBIG),
        ("writefile('{here}', 'x')", errno.EISDIR),
        ("writefile('{here}/no/such', 'x')", errno.ENOENT),
        ("writefile('/dev/full', 'x')", errno.ENOSPC),
        ("writefile('{here}/pipe', 'x')", errno.ENXIO),
        ("appendfile('{here}/no/such', 'x')", errno.ENOENT),
    ],
)
def test_what_the_system_refuses_is_told(lua: Any, tmp_path: Path, call: str, number: int) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "full").write_text("four")
    text = lua(f"function main() print(mtev.{call.format(here=tmp_path)}) os.exit(0) end")
    assert text == f"{'nil' if 'read' in call else 'false'}\t{number}\t{os.strerror(number)}\n"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("readfile(nil)", "bad argument #1 to 'readfile' (path expected, got nil)"),
        ("readfile('a\\0b')", "bad argument #1 to 'readfile' (path expected, got one with a zero byte)"),
        ("readfile('a', -1)", "bad argument #2 to 'readfile' (number of bytes expected, got -1)"),
        ("writefile('a', {})", "bad argument #2 to 'writefile' (string expected, got table)"),
        ("appendfile('a', 'b', 'rw')", "bad argument #3 to 'appendfile' (file mode expected, got string)"),
    ],
)
def test_wrong_arguments_raise(lua: Any, call: str, says: str) -> None:
    text = lua(f"function main() print(pcall(function() mtev.{call} end)) os.exit(0) end")
    assert text.startswith("false\t")
    assert text.endswith(f"{says}\n")
    assert "program0.lua:2:" in text  # the place is the caller's


def test_the_loop_turns_while_a_file_is_read(lua: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    text = lua(
        f"""
        function main()
          local turns = 0
          mtev.coroutine_spawn(function() while true do turns = turns + 1 mtev.sleep(0) end end)
          local before = turns
          print(mtev.readfile("{tmp_path}/file"), turns > before)
          os.exit(0)
        end
        """
    )
    assert text == "text\ttrue\n"
    assert "files" in eventer.jobq_figures()


def test_a_module_reads_while_it_is_loaded(luamtev: Callable[..., Any]) -> None:
    done = luamtev("main.lua", source='local me = mtev.readfile("main.lua")\nfunction main() print(#me) os.exit(0) end')
    assert done.stdout == b"78\n", done
