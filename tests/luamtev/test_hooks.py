"""mtev.hook: Lua functions on the hooks of the stack."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import until
from webprogram import Web

from luamtev.api.hooks import OF_THE_STACK
from runtime import hooks, log
from runtime.console import Console, Level
from runtime.http import Request

HOOK = hooks.declare("test_lua_hook")

REGISTER = """
    package.loaded.taker = {
      take = function(...)
        print(select("#", ...), ...)
        return result
      end,
      fail = function() error("as asked") end,
      wait = function() mtev.sleep(0) end,
    }
    function main()
      print(mtev.hook("test_lua_hook", "taker", "FUNCTION"))
      result = RESULT
      os.exit(0)
    end
"""


@pytest.fixture(autouse=True)
def no_callbacks_left() -> Iterator[None]:
    yield
    assert not HOOK.exists()


def register(lua: Any, function: str = "take", result: str = "nil") -> None:
    assert lua(REGISTER.replace("FUNCTION", function).replace("RESULT", result)).startswith("true\n")


def test_a_function_gets_what_can_cross_and_decides(lua: Any) -> None:
    register(lua, result="MTEV_HOOK_DONE")
    assert lua.on_thread(lambda: HOOK.invoke("text", b"bytes", 5, 1.5, True, None, object())) == hooks.DONE
    assert lua.printed() == "true\n7\ttext\tbytes\t5\t1.5\ttrue\tnil\tnil\n"
    lua.close()


def test_lines_of_the_log_are_tables(lua: Any) -> None:
    lua(
        """
        package.loaded.taker = { take = function(stream, line)
          if line.facility == "test/hooked" then print(stream, line.message, line.whence > 1e9) end
        end }
        function main() print(mtev.hook("mtev_log_line", "taker", "take")) os.exit(0) end
        """
    )
    stream = log.new_stream("test/hooked", type="memory", path="10,1000")
    lua.on_thread(lambda: stream.log("one line"))
    assert lua.printed() == "true\ntest/hooked\tone line\ttrue\n"
    lua.close()


def test_elsewhere_the_chain_goes_on(lua: Any) -> None:
    register(lua, result="MTEV_HOOK_DONE")
    assert HOOK.invoke() == hooks.CONTINUE  # not the state's thread
    assert lua.on_thread(lambda: HOOK.invoke(), thread=1) == hooks.CONTINUE
    assert lua.printed() == "true\n"
    lua.close()


@pytest.mark.parametrize(
    ("function", "result", "message"),
    [
        ("take", "'nonsense'", "a hook returned nonsense, not a hook result"),
        ("fail", "nil", "as asked"),
        ("wait", "nil", "needs a coroutine"),
    ],
)
def test_what_goes_wrong_is_logged_and_the_chain_goes_on(lua: Any, function: str, result: str, message: str) -> None:
    lua.start(REGISTER.replace("FUNCTION", function).replace("RESULT", result))
    assert lua.status() == 0
    assert lua.on_thread(lambda: HOOK.invoke()) == hooks.CONTINUE
    assert message in lua.errors()
    lua.close()


def test_what_cannot_be_registered_is_told(lua: Any) -> None:
    printed = lua(
        """
        package.loaded.empty = {}
        local function try(...) print((select(2, pcall(mtev.hook, ...)):gsub("^.-:%d+: ", ""):match("[^\\n]*"))) end
        function main()
          print(mtev.hook("test_lua_hook"), mtev.hook("no_such_hook"))
          package.loaded.full = { f = print }
          try("no_such_hook", "full", "f")
          print(mtev.hook("http_request_log"), mtev.hook("eventer_started"), mtev.hook("eventer_started", "full", "f"))
          try("test_lua_hook", "full", "f", "more")
          try("test_lua_hook", "full", 5, nil)
          try("test_lua_hook", "empty", "f")
          try("test_lua_hook", "nowhere", "f")
          try("test_lua_hook", "full")
          try()
          os.exit(0)
        end
        """
    )
    assert printed.splitlines() == [
        "true\tfalse",
        "hook not valid",
        "true\tfalse\tfalse",
        'mtev.hook(name,["func_name"])',
        'mtev.hook(name,["func_name"])',
        "hook: module 'empty' has no function 'f'",
        "module 'nowhere' not found:",
        'mtev.hook(name,["func_name"])',
        'mtev.hook(name,["func_name"])',
    ]


def test_all_hooks_of_the_stack_are_there_for_lua() -> None:
    sources = (Path(hooks.__file__).parent).rglob("*.py")
    declared = {name for each in sources for name in re.findall(r'hooks\.declare\("(\w+)"\)', each.read_text())}
    assert set(OF_THE_STACK) == declared


def test_a_function_is_looked_for_by_name_each_time_and_registered_once(lua: Any, tmp_path: Path) -> None:
    (tmp_path / "late.lua").write_text(
        """
        module(..., package.seeall)
        print(mtev.hook("test_lua_hook", "late", "f"), mtev.hook("test_lua_hook", "late", "f"))
        function f()
          print("first")
          f = function() print("then") end
        end
        """
    )
    lua(f"package.path = '{tmp_path}/?.lua' function main() require('late') os.exit(0) end")
    lua.on_thread(lambda: HOOK.invoke())
    lua.on_thread(lambda: HOOK.invoke())
    assert lua.printed() == "true\ttrue\nfirst\nthen\n"
    lua.close()


def test_a_hook_is_called_on_whatever_thread_it_is_invoked(web: Web) -> None:
    web.start(
        """
        function handler(rest)
          local http = rest:http()
          http:write(mtev.shared_get("seen") .. " " .. mtev.thread_self())
          http:flush_end()
        end
        """,
        threads=3,
        main="""
        function seen() mtev.shared_set("seen", mtev.shared_seq("seen") + 1) end
        function main()
          mtev.shared_set("seen", 0)
          mtev.hook("http_request_complete", "main", "seen")
        end
        """,
    )
    answers: list[list[str]] = []

    def are_all_seen() -> bool:  # twelve requests in a row
        answers.append(web.text("/").split())
        counts = [int(count) for count, _ in answers[-13:]]
        return len(counts) == 13 and counts == list(range(counts[0], counts[0] + 13))

    until(are_all_seen, web.errors)
    assert len({thread for _, thread in answers[-12:]}) == 3
    assert web.errors() == ""


def test_an_error_in_a_hook_does_not_end_the_process(web: Web) -> None:
    web.start(
        "function handler(rest) rest:http():flush_end() end",
        threads=2,
        main="""
        package.loaded.here = { f = function() error("on purpose") end }
        function main() mtev.hook("http_request_complete", "here", "f") end
        """,
    )
    for _ in range(20):
        assert web.ask("/").status == 200
    web.stop()
    errors = web.errors()
    assert errors.count("on purpose") >= 5
    assert errors.count("module 'here' not found") == 1  # in the state of the other thread


def test_a_console_is_printed_to(lua: Any) -> None:
    printed: list[str] = []
    lua(
        """
        package.loaded.taker = { line = function(console, line)
          if line == "hello" then mtev.nc_printf(console, "hello %s\\n", console.name) return MTEV_HOOK_DONE end
        end }
        function main()
          mtev.hook("mtev_console_dispatch", "taker", "line")
          print((select(2, pcall(mtev.nc_printf, {}, "x")):gsub("^.-:%d+: ", "")))
          os.exit(0)
        end
        """
    )
    made = lua.on_thread(lambda: Console(Level(name="top"), "here", printed.append))
    lua.on_thread(lambda: made.enter("hello"))
    lua.on_thread(lambda: None)
    assert printed == ["hello here\n"]
    assert lua.printed() == "mtev.nc_printf(console, format, ...)\n"
    lua.on_thread(made.close)
    lua.close()


def test_requests_and_sections_cross_as_tables(lua: Any) -> None:
    from lxml import etree

    register(lua)
    request = Request()
    request.method, request.uri, request.fields = b"GET", b"/p?a=b", [(b"host", b"h")]
    element = etree.fromstring("<a><b c='d'/></a>")[0]
    lua(
        """
        package.loaded.other = { show = function(request, section)
          print(request.method, request.uri, request.querystring, request.headers.host, request.remote)
          print(section.path, section.name, section.attributes.c)
        end }
        function main() mtev.hook("test_lua_hook", "other", "show") os.exit(0) end
        """
    )
    lua.on_thread(lambda: HOOK.invoke(request, element))
    assert "GET\t/p\ta=b\th\tnil\n/a/b\tb\td\n" in lua.printed()
    lua.close()


GOES_ON = """
    function work()
      mtev.coroutine_spawn(function() mtev.sleep(0.01) print("slept") mtev.notify("slept") end)
      mtev.coroutine_spawn(function() mtev.waitfor("slept") print("told") os.exit(0) end)
    end
    function notify() mtev.notify("work", 1) end
    package.loaded.taker = { work = work, notify = notify }
    _G.mtev_xcall = function() work() return "asked" end
    function main()
      mtev.coroutine_spawn(function()
        print((select(2, mtev.waitfor("work"))))
        mtev.sleep(0)
        print("after sleep(0)")
        os.exit(0)
      end)
      mtev.hook("test_lua_hook", "taker", "FUNCTION")
      os.exit(0)
    end
"""


@pytest.mark.parametrize(
    ("function", "printed"), [("work", "slept\ntold\n"), ("notify", "1\nafter sleep(0)\n"), (None, "slept\ntold\n")]
)
def test_what_a_hook_or_an_xcall_sets_going_goes_on_while_nothing_else_happens(
    lua: Any, function: str | None, printed: str
) -> None:
    lua(GOES_ON.replace("FUNCTION", function or "work"))
    if function is None:
        assert lua.on_thread(lambda: lua.states[0].inspect(b"xcall", b"{}")) == {"result": "asked"}
    else:
        assert lua.on_thread(lambda: HOOK.invoke()) == hooks.CONTINUE
    assert lua.status() == 0
    assert lua.printed() == printed
    lua.close()


def test_a_hook_that_spins_is_interrupted(lua: Any) -> None:
    lua(
        """
        package.loaded.taker = { spin = function() while true do end end }
        function main() mtev.hook("test_lua_hook", "taker", "spin") os.exit(0) end
        """,
        interrupt_time=0.05,
    )
    assert lua.on_thread(lambda: HOOK.invoke()) == hooks.CONTINUE
    assert "interrupted!" in lua.errors()
    lua.close()
