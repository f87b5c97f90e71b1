"""lua_general: a function of a Lua module on the loop threads it belongs on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luamtev.modules.lua_general import LuaGeneral
from luamtev.settings import Options

Program = Callable[..., Any]


def configuration(luamtev: Program, threads: int, **keys: str) -> str:
    text = luamtev("-n", str(threads), "-T", "main.lua").stdout.decode()
    extra = "".join(f"<{key}>{value}</{key}>" for key, value in keys.items())
    return str(text.replace("<lua_function>", f"{extra}<lua_function>"))


WHERE = """
    function main()
      local tid, index, name = mtev.thread_self()
      print(index, name)
      if mtev.shared_seq("ran") == (ENV.EXPECTED or 0) - 1 then mtev.sleep(0.05) os.exit(0) end
    end
"""


def test_the_function_runs_once_unless_concurrent(luamtev: Program, tmp_path: Path) -> None:
    (tmp_path / "c.xml").write_text(configuration(luamtev, 3))
    done = luamtev("-c", "c.xml", "main.lua", source=WHERE, EXPECTED="1")
    assert done.stdout == b"0\te:default/0\n"


def test_concurrent_runs_the_function_on_every_loop_thread_in_a_state_of_its_own(
    luamtev: Program, tmp_path: Path
) -> None:
    (tmp_path / "c.xml").write_text(configuration(luamtev, 3, concurrent="on"))
    done = luamtev("-c", "c.xml", "main.lua", source=WHERE + "assert(not SEEN) SEEN = true", EXPECTED="3")
    assert sorted(done.stdout.splitlines()) == [b"0\te:default/0", b"1\te:default/1", b"2\te:default/2"]
    assert done.stderr == b""


def test_a_preload_that_fails_is_a_tragedy(luamtev: Program, tmp_path: Path) -> None:
    (tmp_path / "c.xml").write_text(configuration(luamtev, 1, preloads="not.there"))
    done = luamtev("-c", "c.xml", "main.lua", source="function main() end")
    assert done.returncode == 255
    assert b"module 'not.there' not found" in done.stderr
    assert done.stderr.endswith(b"Unrecoverable run-time error. Terminating.\n")


def test_two_modules_run_side_by_side(luamtev: Program, tmp_path: Path) -> None:
    text = configuration(luamtev, 1)
    second = text[text.index("<generic") : text.index("</generic>") + len("</generic>")]
    second = second.replace("<lua_function>main<", "<lua_function>other<")
    (tmp_path / "c.xml").write_text(text.replace("</modules>", f"{second}</modules>"))
    done = luamtev(
        "-c",
        "c.xml",
        "main.lua",
        source="""
        function main() shared = "main's own" mtev.shared_waitfor("other is done") os.exit(0) end
        function other() print(shared) mtev.shared_notify("other is done", true) end
        """,
    )
    assert (done.returncode, done.stdout) == (0, b"nil\n")


def test_every_key_becomes_an_option() -> None:
    module = LuaGeneral()
    module.configure(
        {
            "lua_module": "m",
            "lua_function": "f",
            "concurrent": "yes",
            "directory": " d ",
            "cpath": "c",
            "Cpreloads": "a,b",
            "preloads": "p",
            "gc_full": "0",
            "gc_step": "7",
            "gc_stepmul": "300",
            "gc_pause": "150",
            "interrupt_time": "0.5",
            "tragedy_terminates": "ON",
        }
    )
    assert module.concurrent is True
    assert module.options == Options(
        name="lua_general",
        directory="d",
        cpath="c",
        Cpreloads="a,b",
        preloads="p",
        gc_full=0,
        gc_step=7,
        gc_stepmul=300,
        gc_pause=150,
        interrupt_time=0.5,
        tragedy_terminates=True,
    )
    module.configure({"lua_module": "m", "lua_function": "f"})
    assert module.options == Options(name="lua_general")
    assert module.concurrent is False


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lua_module", ""),
        ("lua_function", ""),
        ("concurrent", "maybe"),
        ("tragedy_terminates", "2"),
        ("gc_full", "-1"),
        ("gc_full", "1.5"),
        ("gc_step", "x"),
        ("gc_stepmul", "0"),
        ("gc_pause", "99999999999"),
        ("interrupt_time", "0"),
        ("interrupt_time", "soon"),
        ("interrupt_time", "inf"),
        ("interrupt_time", "nan"),
        ("interrupt_mode", "preempt"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(key: str, value: str) -> None:
    with pytest.raises(ValueError, match=key):
        LuaGeneral().configure({"lua_module": "m", "lua_function": "f"} | {key: value})


def test_the_lua_loader_runs_a_function_of_a_lua_module(luamtev: Program, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "extra.lua").write_text(
        "module(..., package.seeall)\nfunction begin() print(type(mtev.sleep)) os.exit(0) end"
    )
    generic = '<generic loader="lua" image="extra" name="begin"/>'
    text = configuration(luamtev, 1)
    group = f'<group directory="{tmp_path}/more">{generic}</group></modules>'
    (tmp_path / "c.xml").write_text(text.replace("</modules>", group))
    done = luamtev("-c", "c.xml", "main.lua", source="function main() mtev.sleep(1000) end")
    assert (done.stdout, done.stderr) == (b"function\n", b"")


def test_a_lua_module_that_is_not_there_is_named(luamtev: Program, tmp_path: Path) -> None:
    text = configuration(luamtev, 1)
    generic = (
        '<generic loader="lua" image="extra" name="begin">'
        "<config><tragedy_terminates>true</tragedy_terminates></config></generic></modules>"
    )
    (tmp_path / "c.xml").write_text(text.replace("</modules>", generic))
    done = luamtev("-c", "c.xml", "main.lua", source="function main() mtev.sleep(1000) end")
    assert done.returncode == 255
    assert b"module 'extra' not found" in done.stderr


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ({"Cpreload": "a"}, "a"),
        ({"Cpreloads": "a,b"}, "a,b"),
        ({"Cpreload": "a", "Cpreloads": "b"}, "a,b"),
        ({"Cpreload": ""}, ""),
        ({"Cpreloads": "LuaMtevDirect, a,hostcli"}, "a"),  # what those two open is there always
    ],
)
def test_c_preloads_are_named_with_and_without_an_s(keys: dict[str, str], names: str) -> None:
    module = LuaGeneral()
    module.configure({"lua_module": "m", "lua_function": "f", **keys})
    assert module.options.Cpreloads == names


GENERATED = """\
<?xml version="1.0" encoding="utf8" standalone="yes"?>
<cli>
  <eventer>
    <config><concurrency>1</concurrency><ssl_dhparam1024_file/><ssl_dhparam2048_file/></config>
  </eventer>
  <modules directory="/no/where/libexec/mtev">
    <generic image="lua_mtev" name="lua_general">
      <config>
        <Cpreloads>LuaMtevDirect,hostcli</Cpreloads>
        <directory>/no/where/lua/?.lua;{mtev.lua_path};{package.path}</directory>
        <cpath>/no/where/mtev_lua/?.so;{package.cpath}</cpath>
        <lua_module>unspecified.lua</lua_module>
        <lua_function>main</lua_function>
        <interrupt_mode>error</interrupt_mode>
        <tragedy_terminates>true</tragedy_terminates>
      </config>
    </generic>
  </modules>
  <logs dedup_seconds="0">
    <console_output><outlet name="stderr"/><log name="error"/></console_output>
    <components>
      <error><outlet name="stderr"/><log name="error/cli"/><log name="error/lua"/></error>
      <debug>
        <outlet name="stderr"/>
        <log name="debug" disabled="true"/><log name="debug/eventer" disabled="true"/>
        <log name="debug/memory" disabled="true"/><log name="debug/lua" disabled="true"/>
      </debug>
    </components>
  </logs>
</cli>
"""
"""A configuration such as the original generates and its users start from."""


def test_a_configuration_that_the_original_generated_runs(luamtev: Program, tmp_path: Path) -> None:
    (tmp_path / "generated.conf").write_text(GENERATED)
    source = "module(..., package.seeall)\nfunction main() print(arg[2], ENV.PATH ~= nil) os.exit(3) end"
    done = luamtev("-c", "generated.conf", "main.lua", "x", source=source)
    assert (done.returncode, done.stdout) == (3, b"x\ttrue\n")
    assert done.stderr.endswith(b"there is no directory '/no/where/libexec/mtev'\n") and done.stderr.count(b"\n") == 1


def test_a_module_element_does_as_well_as_a_generic_one(luamtev: Program, tmp_path: Path) -> None:
    text = configuration(luamtev, 1).replace("<generic ", "<module ").replace("</generic>", "</module>")
    (tmp_path / "c.xml").write_text(text)
    done = luamtev("-c", "c.xml", "main.lua", source='function main() print("here") os.exit(0) end')
    assert (done.returncode, done.stdout, done.stderr) == (0, b"here\n", b"")
