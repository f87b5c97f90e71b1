"""luamtev --editor: the file by which editors find the annotations."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import luamtev as package


def test_it_names_the_annotations_that_are_there(luamtev: Callable[..., Any], tmp_path: Path) -> None:
    done = luamtev("--editor")
    assert (done.returncode, done.stderr) == (0, b"")
    settings = json.loads((tmp_path / ".luarc.json").read_text())
    (library,) = settings["workspace.library"]
    assert Path(library).samefile(Path(package.__file__).parent / "library")
    assert "function mtev.sleep(duration) end" in (Path(library) / "coroutines.lua").read_text()
    assert settings["runtime.version"] == "LuaJIT"


def test_what_the_file_has_is_kept(luamtev: Callable[..., Any], tmp_path: Path) -> None:
    old = {
        "runtime.version": "Lua 5.1",
        "mine": [1],
        "workspace.library": ["/mine", "/old/site-packages/luamtev/library"],
    }
    (tmp_path / ".luarc.json").write_text(json.dumps(old))
    for _ in range(2):
        assert luamtev("--editor").returncode == 0
    settings = json.loads((tmp_path / ".luarc.json").read_text())
    assert settings["runtime.version"] == "Lua 5.1"
    assert settings["mine"] == [1]
    assert [Path(each).name for each in settings["workspace.library"]] == ["mine", "library"]


def test_a_file_that_cannot_be_used_is_left_alone(luamtev: Callable[..., Any], tmp_path: Path) -> None:
    for text in ("{ // a comment", "[]", '{"workspace.library": "one"}'):
        (tmp_path / ".luarc.json").write_text(text)
        done = luamtev("--editor")
        assert done.returncode == 2
        assert done.stderr.startswith(b"luamtev: --editor: .luarc.json is no ")
        assert done.stderr.count(b"\n") == 1
        assert (tmp_path / ".luarc.json").read_text() == text
