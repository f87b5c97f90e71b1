"""Lines that Lua writes to a file itself, where that stops working."""

import subprocess
import sys
from pathlib import Path
from typing import Any

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
