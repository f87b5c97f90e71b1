"""The module http_observer in the real program: what Lua notes of a request is shown with it."""

import json
from pathlib import Path

import pytest
from moduleprogram import Program

OBSERVER = '<generic image="http_observer" name="http_observer"/>'
NOTE = """
local http = require("web").context
local refused = select(2, pcall(http.observer_note, http, "key", {}))
return tostring(http:observer_note("tenant", "caf\\195\\169")) .. tostring(http:observer_note("rows", 12)) .. refused
"""
REFUSED = "bad argument #2 to 'observer_note' (string expected, got table)"


@pytest.mark.parametrize("engine", ["lua", "python"])
def test_what_lua_notes_is_shown(tmp_path: Path, engine: str) -> None:
    with Program(tmp_path, OBSERVER, engine=engine) as program:
        assert program.run(NOTE) == f"truetrue{REFUSED}"
        rows = json.loads(program.get("/module/http_observer/requests.json?eq_uri=/run")[1])
        assert [(row["tenant"], row["rows"]) for row in rows] == [("café", "12")]


@pytest.mark.parametrize("engine", ["lua", "python"])
def test_without_an_observer_nothing_is_noted(tmp_path: Path, engine: str) -> None:
    with Program(tmp_path, "", engine=engine) as program:
        assert program.run(NOTE) == f"falsefalse{REFUSED}"
