"""The border: what crosses, what may not, and that neither side can break the other."""

import random
import threading
import traceback
from collections.abc import Callable
from typing import Any

import gevent
import gevent.event
import gevent.socket
import pytest
from looping import on

from luamtev import bridge
from luamtev.bridge import Border, Handles, LuaError
from runtime import eventer


def on_hub(function: Callable[[], Any]) -> Any:
    """Call *function* on the hub of a loop thread of its own."""
    eventer.pool_create("default", 1)
    eventer.start()
    try:
        return on(eventer.choose_owner(0), function, timeout=300)
    finally:
        eventer.stop()


def test_two_million_crossings_of_32_live_handles_give_no_wrong_object() -> None:
    class Session:
        def __init__(self, number: int) -> None:
            self.number = number

    def cross() -> int:
        border = Border()
        handles: Handles[Session] = Handles()
        wrong = 0

        def finish(handle: int, number: int) -> None:
            nonlocal wrong
            wrong += handles[handle].number != number

        spawn = border.load(
            b"""
            local border = ...
            local create, resume = coroutine.create, coroutine.resume
            local function serve(context) border.finish(context.handle, context.number) end
            return function(handle, number, count)
              for _ = 1, count do resume(create(serve), { handle = handle, number = number }) end
            end
            """,
            "crossings",
        )(border.pin({"finish": finish}))
        live = [(handles.add(Session(number)), number) for number in range(32)]
        for n in range(40_000):
            spawn(*live[n % 32], 50)
            if n % 7 == 0:  # sessions come and go, and the numbers of those that went are not used again
                gone, number = live[n % 32]
                handles.pop(gone)
                live[n % 32] = handles.add(Session(number)), number
        del spawn
        border.close()
        return wrong

    assert on_hub(cross) == 0


SWITCHES = {
    "gevent.sleep": lambda: gevent.sleep(0.001),
    "event.wait": lambda: gevent.event.Event().wait(0.001),
    "greenlet.join": lambda: gevent.spawn(gevent.sleep, 0.001).join(),
    "greenlet.get": lambda: gevent.spawn(gevent.sleep, 0.001).get(),
    "hub.switch": lambda: gevent.get_hub().switch(),
    "threadpool.apply": lambda: gevent.get_hub().threadpool.apply(int),
    "socket.wait_read": lambda: gevent.socket.wait_read(0, timeout=0.001),
}


@pytest.mark.parametrize("name", SWITCHES)
def test_a_python_function_that_switches_greenlets_below_lua_gets_an_error(name: str) -> None:
    def below() -> tuple[bool, bytes]:
        border = Border()
        function = border.load(
            b"""
            local border, raised = ...
            local co = coroutine.create(function()
              local first, message = border.switch()
              return first == raised, message
            end)
            return function() return select(2, coroutine.resume(co)) end
            """,
            "switch",
        )(border.pin({"switch": SWITCHES[name]}), bridge.RAISED)
        result: tuple[bool, bytes] = function()
        del function
        border.close()
        return result

    raised, message = on_hub(below)
    assert raised is True
    assert message


def test_lua_is_entered_on_the_hub_only() -> None:
    def elsewhere() -> str:
        border = Border()
        caught: list[str] = []

        def enter() -> None:
            try:
                border.check_hub()
            except bridge.NotOnHub as refused:
                caught.append(str(refused))

        gevent.spawn(enter)
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        border.check_hub()
        border.close()
        return caught[0]

    assert "hub of its loop thread" in on_hub(elsewhere)


def cross(value: Any, lua: bytes = b"return function(x) return x end") -> Any:
    def run() -> Any:
        border = Border()
        result = border.load(lua, "cross")()(border.plain(value))
        border.close()
        return result

    return on_hub(run)


@pytest.mark.parametrize("value", [b"", b"text", b"\0\xff\x80", 0, 1.5, -(2**52), True, False, None])
def test_plain_values_cross_unchanged(value: object) -> None:
    assert cross(value) == value


def test_strings_are_bytes_whatever_is_in_them() -> None:
    generator = random.Random(7)
    text = bytes(generator.randrange(256) for _ in range(100_000))
    assert cross(text) == text
    assert cross("żółć") == "żółć".encode()
    assert cross("\udcff") == b"\xff"


def test_mappings_and_sequences_become_fresh_tables() -> None:
    shape = b"return function(t) return type(t), t.a, #t.list, t.list[2].deep, getmetatable(t) == nil end"
    assert cross({"a": 1, "list": ["x", {"deep": b"yes"}]}, shape) == (b"table", 1, 2, b"yes", True)


@pytest.mark.parametrize("value", [object(), {1, 2}, Exception("x"), lambda: None, [object()], {"k": object()}])
def test_objects_cannot_cross(value: object) -> None:
    with pytest.raises(TypeError, match="cannot cross into Lua"):
        cross(value)


def call_pinned(function: Callable[..., Any]) -> tuple[Any, ...]:
    def run() -> Any:
        border = Border()
        result = border.load(b"local border = ... return border.f()", "pinned")(border.pin({"f": function}))
        border.close()
        return result

    result = on_hub(run)
    return result if isinstance(result, tuple) else (result,)


def raising(failure: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise failure

    return function


def test_a_pinned_function_returns_several_values_as_several() -> None:
    assert call_pinned(lambda: (1, "two", None, b"four")) == (1, b"two", None, b"four")


def test_an_exception_becomes_a_message() -> None:
    assert call_pinned(raising(ValueError("bad thing"))) == (bridge.RAISED, b"ValueError: bad thing")
    assert call_pinned(raising(LuaError("as it is"))) == (bridge.RAISED, b"as it is")
    assert call_pinned(raising(KeyboardInterrupt())) == (bridge.RAISED, b"KeyboardInterrupt: ")


def test_a_result_that_cannot_cross_becomes_a_message() -> None:
    mark, message = call_pinned(lambda: object())
    assert mark == bridge.RAISED
    assert b"a object cannot cross into Lua" in message
    assert call_pinned(lambda: (1, object()))[0] == bridge.RAISED


def test_lua_finds_no_python() -> None:
    probe = b"""
        local function reaches(name) return (pcall(require, name)) or rawget(_G, name) ~= nil end
        local border = ...
        local pinned = border.f
        return reaches("python"), (pcall(function() return pinned.__globals__ end)),
          (pcall(function() return pinned.__call__ end)), (pcall(function() pinned.x = 1 end)),
          (pcall(function() return pinned["__class__"] end))
    """

    def run() -> Any:
        border = Border()
        result = border.load(probe, "probe")(border.pin({"f": int}))
        border.close()
        return result

    assert on_hub(run) == (False, False, False, False, False)


def test_handles_are_never_used_twice() -> None:
    handles: Handles[object] = Handles()
    first, thing = handles.add(object()), object()
    second = handles.add(thing)
    assert handles[second] is thing
    assert handles.pop(first) is not None
    assert handles.pop(first) is None
    with pytest.raises(LuaError, match=f"invalid handle {first}"):
        handles[first]
    assert handles.add(object()) not in (first, second)
    assert len(handles) == 2


def test_a_failure_in_lua_outside_the_kernel_is_an_exception_with_its_message() -> None:
    def run() -> str:
        border = Border()
        try:
            border.load(b"error('broken chunk')", "broken")()
        except bridge.LuaCrash:
            return traceback.format_exc()
        finally:
            border.close()
        return ""

    assert "broken:1: broken chunk" in on_hub(run)
