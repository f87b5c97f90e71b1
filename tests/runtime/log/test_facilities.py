"""The streams that the stack itself logs to: there from the start, off where the manual says so, the same for ever."""

import ast
from pathlib import Path

import pytest

import runtime
from runtime import conf, log
from runtime.conf import logs

RARE = {"_refused", "log_timeout", "tell"}  # functions for what went wrong, and for what was noted before

LINKS = [name for name in log.FACILITIES if name.rpartition("/")[0] and not name.startswith("http")]


@pytest.mark.parametrize("name", log.FACILITIES)
def test_each_is_there_and_the_same_after_a_fresh_start(name: str) -> None:
    before = log.facility(name)
    assert log.stream_exists(name)
    assert log.stream_find(name) is before
    log.init()
    assert log.stream_find(name) is before
    assert before.type is None


@pytest.mark.parametrize("name", LINKS)
def test_each_leads_to_the_stream_above_it(name: str) -> None:
    assert log.facility(name).outlets == (log.stream_find(name.rpartition("/")[0]),)


def test_errors_are_told_debugging_is_off_and_http_leads_nowhere() -> None:
    assert {name for name in log.FACILITIES if log.facility(name).enabled} == {
        name for name in log.FACILITIES if name.startswith("error/")
    }
    log.init(debug_on=True)
    assert all(log.facility(name).enabled for name in log.FACILITIES if name.startswith("debug/"))


def test_others_are_no_facilities() -> None:
    with pytest.raises(KeyError):
        log.facility("debug/mine")


def test_a_configuration_gives_one_its_own_outlet() -> None:
    logs.configure(
        conf.loads(
            b"""<app><logs>
            <log name="kept" type="memory" path="10,1000"/>
            <log name="http/io"><outlet name="kept"/></log>
            <log name="debug/rest" disabled="true"/>
            </logs></app>"""
        )
    )
    assert log.facility("http/io").outlets == (log.stream_find("kept"),)
    assert log.facility("http/io").enabled
    log.debug.set_flags(log.ENABLED)
    assert not log.facility("debug/rest").enabled


def unasked(path: Path) -> list[str]:
    """The lines of a source file that compose a message for a debug facility without asking whether that writes."""
    tree = ast.parse(path.read_text())
    above = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) in ("_debug.log", "_time.log", "_io.log")):
            continue
        around: ast.AST = node
        while not (
            isinstance(around, ast.ExceptHandler | ast.Module)  # something failed: that is rare
            or (isinstance(around, ast.FunctionDef) and around.name in RARE)
            or (isinstance(around, ast.If) and ".enabled" in ast.unparse(around.test))
        ):
            around = above[around]
        if isinstance(around, ast.Module):
            found.append(f"{path.name}:{node.lineno}")
    return found


def test_what_is_off_costs_one_test() -> None:
    root = Path(runtime.__path__[0])
    assert [each for path in root.rglob("*.py") for each in unasked(path)] == []


@pytest.mark.parametrize("room", ["conf", "eventer", "net", "http", "cluster"])
def test_a_room_with_an_error_log_of_its_own_uses_it(room: str) -> None:
    root = Path(runtime.__path__[0]) / room
    assert [path.name for path in root.rglob("*.py") if "log.error.log(" in path.read_text()] == []
