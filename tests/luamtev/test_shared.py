"""What the Lua states of different threads share: without polling, copies only, nothing lost."""

from collections.abc import Iterator
from typing import Any

import pytest

from luamtev.api import shared


@pytest.fixture(autouse=True)
def nothing_shared() -> Iterator[None]:
    yield
    for kept in (shared._values, shared._sequences, shared._queues, shared._semaphores):
        kept.clear()  # type: ignore[attr-defined]


def both(lua: Any, first: str, second: str, **options: Any) -> list[str]:
    """Run one program on each of two threads; returns the lines printed, sorted."""
    for thread, body in enumerate((first, second)):
        lua.start(f"function main() {body} os.exit(0) end", thread=thread, tragedy_terminates=True, **options)
    statuses = [lua.status(), lua.status()]
    assert statuses == [0, 0], lua.errors()
    return sorted(lua.printed().splitlines())


def test_a_value_set_in_one_state_is_read_in_another_as_a_copy(lua: Any) -> None:
    lines = both(
        lua,
        """
        local t = { 1, 2, nested = { deep = "x\\0y" }, [2.5] = true, flag = false }
        mtev.shared_set("table", t)
        t.nested.deep = "changed later"
        mtev.shared_notify("set", true)
        """,
        """
        mtev.shared_waitfor("set", 10)
        local t = mtev.shared_get("table")
        print(#t, t[2.5], t.flag, t.nested.deep == "x\\0y", getmetatable(t))
        t.nested.deep = "mine"
        print(mtev.shared_get("table").nested.deep == "x\\0y")
        """,
    )
    assert lines == ["2\ttrue\tfalse\ttrue\tnil", "true"]


def test_what_cannot_be_shared_is_sent_as_nothing(lua: Any) -> None:
    lines = both(
        lua,
        "for _, each in ipairs { print, io.stdout, coroutine.create(print), 1 } do mtev.shared_notify('k', each) end",
        "for _ = 1, 4 do print(mtev.shared_waitfor('k', 10)) end",
    )
    assert lines == ["1", "nil", "nil", "nil"]


def test_a_sequence_gives_every_number_once_over_all_states(lua: Any) -> None:
    body = """
        local seen = {}
        for i = 1, 5000 do seen[i] = mtev.shared_seq("numbers") end
        for i = 2, 5000 do assert(seen[i] > seen[i - 1]) end
        print(table.concat(seen, " "))
    """
    lines = both(lua, body, body)
    assert sorted(int(n) for line in lines for n in line.split()) == list(range(10000))


def test_messages_cross_in_order_and_none_is_lost(lua: Any) -> None:
    lines = both(
        lua,
        "for i = 1, 20000 do mtev.shared_notify('stream', i) if i % 100 == 0 then mtev.sleep(0) end end",
        """
        for i = 1, 20000 do
          local value = mtev.shared_waitfor("stream", 20)
          assert(value == i, tostring(value))
        end
        print("in order")
        """,
    )
    assert lines == ["in order"]


def test_two_states_play_ping_pong(lua: Any) -> None:
    lines = both(
        lua,
        """
        for i = 1, 2000 do
          mtev.shared_notify("ping", i)
          assert(mtev.shared_waitfor("pong", 20) == i)
        end
        """,
        """
        for i = 1, 2000 do
          local n = mtev.shared_waitfor("ping", 20)
          mtev.shared_notify("pong", n)
        end
        print("played")
        """,
    )
    assert lines == ["played"]


def test_every_message_reaches_exactly_one_of_many_waiters(lua: Any) -> None:
    body = """
        local got, left = {}, 8
        for i = 1, 8 do
          mtev.coroutine_spawn(function()
            while true do
              local n = mtev.shared_waitfor("work", 20)
              if n == "stop" then break end
              got[#got + 1] = n
            end
            left = left - 1
            if left == 0 then mtev.notify("all stopped") end
          end)
        end
        {send}
        mtev.waitfor("all stopped", 20)
        print(table.concat(got, " "))
    """
    send = """
        for i = 1, 3000 do mtev.shared_notify("work", i) if i % 50 == 0 then mtev.sleep(0) end end
        for i = 1, 16 do mtev.shared_notify("work", "stop") end
    """
    lines = both(lua, body.replace("{send}", send), body.replace("{send}", ""))
    assert sorted(int(n) for line in lines for n in line.split()) == list(range(1, 3001))


def test_a_waiter_gets_the_value_alone_be_it_nil_or_none_in_time(lua: Any) -> None:
    text = lua(
        """
        function main()
          mtev.shared_notify("nothing", nil)
          mtev.shared_notify("something", { 1, "two" })
          print(select("#", mtev.shared_waitfor("nothing", 1)), (mtev.shared_waitfor("nothing", 0.001)))
          print(select("#", mtev.shared_waitfor("nothing", 0)), mtev.shared_waitfor("nothing", 0))
          print(select("#", mtev.shared_waitfor("something", 0)))
          mtev.coroutine_spawn(function() mtev.shared_notify("something", false) end)
          print(mtev.shared_waitfor("something", 10))
          os.exit(0)
        end
        """
    )
    assert text == "1\tnil\n1\tnil\n1\nfalse\n"


def test_a_message_for_a_waiter_that_gave_up_goes_to_the_next(lua: Any) -> None:
    text = lua(
        """
        function main()
          local co
          mtev.coroutine_spawn(function() co = coroutine.running() mtev.shared_waitfor("gone", 60) end)
          mtev.coroutine_spawn(function() print("next got", (mtev.shared_waitfor("gone", 60))) os.exit(0) end)
          mtev.shared_notify("gone", "message") -- promised to the first, who does not know yet
          mtev.cancel_coro(co)
        end
        """
    )
    assert text == "next got\tmessage\n"


def test_a_message_under_way_to_a_state_that_closes_is_kept_for_others(lua: Any) -> None:
    wait = "mtev.coroutine_spawn(function() mtev.shared_waitfor('kept', 60) end)"
    lua.start(f"function main() {wait} os.exit(0) end")
    assert lua.status() == 0
    first = lua.states[0]

    def promise_and_close() -> None:
        shared.shared_notify(b"kept", b"\x05value")
        first.close()

    lua.on_thread(promise_and_close, first.thread.index)
    assert shared._queues[b"kept"].items == type(shared._queues[b"kept"].items)([b"\x05value"])


def test_unsharable_values_become_nil_with_a_debug_line(lua: Any, tmp_path: Any) -> None:
    from runtime import log

    debug = log.stream_find("debug/lua")
    debug.remove_all_outlets()
    debug.add_outlet(log.new_stream("test/debug", type="file", path=str(tmp_path / "debug")))
    debug.set_flags(debug.get_flags() | log.ENABLED)
    text = lua(
        """
        function main()
          local inside = {}
          inside.inside = inside
          local shared = { f = print, u = newproxy(), co = coroutine.create(print), c = 1LL, inside = inside, ok = 1,
            json = mtev.parsejson("[1]"), socket = mtev.socket(),
            [true] = "key", [print] = "key" }
          mtev.shared_set("t", shared)
          local got = mtev.shared_get("t")
          print(got.f, got.u, got.co, got.c, got.inside.inside, got.ok, got[true], got.json, got.socket)
          mtev.shared_set("f", print)
          print(mtev.shared_get("f"), mtev.shared_get("never set"))
          os.exit(0)
        end
        """
    )
    assert text == "nil\tnil\tnil\tnil\tnil\t1\tnil\tnil\tnil\nnil\tnil\n"
    lines = (tmp_path / "debug").read_text()
    for kind in ("function", "userdata", "thread", "cdata", "table inside itself", "boolean key", "mtev.json"):
        assert kind in lines


def test_a_table_with_serialize_is_replaced_by_its_result(lua: Any) -> None:
    text = lua(
        """
        function main()
          local Class = { serialize = function(o) return { plain = o.hidden } end }
          local object = setmetatable({ hidden = 1 }, { __index = Class })
          mtev.shared_set("object", { inner = object })
          local got = mtev.shared_get("object")
          print(got.inner.plain, got.inner.hidden)
          os.exit(0)
        end
        """
    )
    assert text == "1\tnil\n"


def test_nil_deletes_a_shared_value(lua: Any) -> None:
    text = lua(
        """
        function main()
          mtev.shared_set("gone", false) print(mtev.shared_get("gone"))
          mtev.shared_set("gone", nil) print(mtev.shared_get("gone"))
          mtev.shared_set(7, "number") print(mtev.shared_get("7"))
          print(pcall(mtev.shared_set, {}, 1))
          os.exit(0)
        end
        """
    )
    assert text.startswith("false\nnil\nnumber\nfalse\t")
    assert list(shared._values) == [b"7"]


def test_queues_are_forgotten_when_empty(lua: Any) -> None:
    lua(
        """
        function main()
          for i = 1, 100 do
            mtev.shared_notify("q" .. i, i)
            mtev.shared_waitfor("q" .. i)
            mtev.shared_waitfor("w" .. i, 0.0001)
          end
          os.exit(0)
        end
        """
    )
    assert not shared._queues


def test_a_semaphore_lets_only_so_many_in_across_threads(lua: Any) -> None:
    body = """
        local sem = mtev.semaphore("gate", 3)
        local left = 20
        for i = 1, 20 do
          mtev.coroutine_spawn(function()
            for turn = 1, 20 do
              assert(sem:acquire(20))
              local inside = mtev.shared_seq("in") - mtev.shared_seq("out") + 1
              mtev.sleep(0)
              sem:release()
            end
            left = left - 1
            if left == 0 then mtev.notify("through") end
          end)
        end
        assert(mtev.waitfor("through", 30))
        print("through")
    """
    assert both(lua, body, body) == ["through", "through"]
    assert shared._semaphores[b"gate"].count == 3
    assert not shared._semaphores[b"gate"].line


def test_a_semaphore_never_admits_more_than_its_count(lua: Any) -> None:
    body = """
        local sem = mtev.semaphore("exclusive", 1)
        for turn = 1, 500 do
          sem:acquire()
          local n = (mtev.shared_get("counter") or 0)
          mtev.sleep(0)
          mtev.shared_set("counter", n + 1)
          sem:release()
        end
        mtev.shared_notify("finished", true)
    """
    both(lua, body, body)
    assert lua("function main() print(mtev.shared_get('counter')) os.exit(0) end") == "1000\n"


def test_semaphore_rules(lua: Any) -> None:
    text = lua(
        """
        function main()
          local a = mtev.semaphore("rules", -1)
          local b = mtev.semaphore("rules", 100) -- the value counts on creation only
          print(a:try_acquire(), b:acquire(0), b:acquire(0.001))
          a:release() print(b:try_acquire())
          a:release() print(b:try_acquire(), b:try_acquire())
          print(pcall(function() return a.unknown end))
          print(pcall(a.release))
          print(pcall(mtev.semaphore, "bad", "x"))
          print(pcall(mtev.semaphore))
          print(pcall(a.acquire, a, "long"))
          os.exit(0)
        end
        """
    ).splitlines()
    assert text[0] == "false\tfalse\tfalse"
    assert text[1] == "false"
    assert text[2] == "true\tfalse"
    assert text[3].endswith("mtev.semaphore no such element: unknown")
    assert text[4].endswith("must be called as method")
    assert all(line.startswith("false\t") for line in text[5:])


def test_waiting_is_not_polling(lua: Any) -> None:
    program = """
        function main()
          local start = os.clock()
          mtev.coroutine_spawn(function() mtev.shared_waitfor("quiet", 60) end)
          mtev.coroutine_spawn(function() mtev.semaphore("quiet", 0):acquire(60) end)
          mtev.sleep(0.3)
          print(os.clock() - start < 0.2) -- CPU seconds of the whole process while everybody waits
          os.exit(0)
        end
    """
    assert lua(program) == "true\n"


# Tasks whose time is up are ready, and run in the order of their deadlines; the first make the others late.
LATE = """
local function busy(seconds)
  local ending = mtev.time() + seconds
  while mtev.time() < ending do end
end
local function crowd(first)
  for i = 1, 20 do
    mtev.coroutine_spawn(function()
      mtev.sleep(0.001)
      if i == 1 then first() end
      busy(0.002) -- longer than a slice: others have their turn between two of these
    end)
  end
end
"""


def test_what_comes_for_who_has_not_heard_yet_that_its_time_is_up_is_not_lost(lua: Any) -> None:
    text = lua(
        LATE
        + """
        function main()
          local sem = mtev.semaphore("late", 0)
          local got = {}
          crowd(function() sem:release() mtev.shared_notify("late", "message") end)
          mtev.coroutine_spawn(function() got.permit = sem:acquire(0.002) end)
          mtev.coroutine_spawn(function() got.message = mtev.shared_waitfor("late", 0.002) end)
          busy(0.004)
          mtev.sleep(0.1)
          print(got.permit, got.message, sem:try_acquire(), mtev.shared_waitfor("late", 0))
          os.exit(0)
        end
        """
    )
    assert text == "true\tmessage\tfalse\tnil\n"


def test_what_came_for_who_is_cancelled_before_it_hears_of_that_goes_to_the_next(lua: Any) -> None:
    text = lua(
        LATE
        + """
        function main()
          local sem = mtev.semaphore("cancelled", 0)
          local late = {}
          local function gives()
            sem:release()
            mtev.shared_notify("cancelled", "message")
          end
          crowd(gives)
          mtev.coroutine_spawn(function() late[1] = coroutine.running() sem:acquire(0.003) late.ran = true end)
          mtev.coroutine_spawn(function()
            late[2] = coroutine.running()
            mtev.shared_waitfor("cancelled", 0.003)
            late.ran = true
          end)
          mtev.coroutine_spawn(function() -- runs when the two are ready, and does before they do
            mtev.sleep(0.002)
            mtev.cancel_coro(late[1])
            mtev.cancel_coro(late[2])
          end)
          busy(0.005)
          mtev.sleep(0.1)
          print(late.ran, sem:try_acquire(), mtev.shared_waitfor("cancelled", 0))
          os.exit(0)
        end
        """
    )
    assert text == "nil\ttrue\tmessage\n"
    assert lua.states[0].tickets == {}
