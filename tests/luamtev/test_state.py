"""A Lua state: created, driven by its hub, interrupted, closed, and many at once."""

import ctypes
import gc
import mmap
import os
import subprocess
import sysconfig
import threading
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from luamtev import settings
from luamtev.bridge import NotOnHub
from luamtev.settings import Options
from luamtev.state import State, StateError
from runtime import eventer


def memory_cell() -> tuple[mmap.mmap, int]:
    """Some shared memory and its address, for Lua to write to when Python cannot be asked."""
    cell = mmap.mmap(-1, 4096)
    return cell, ctypes.addressof(ctypes.c_char.from_buffer(cell))


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def test_two_states_run_lua_at_the_same_time(lua: Any) -> None:
    # Each waits in a loop for the other to move: with one of them standing still neither would ever end.
    cell, address = memory_cell()
    program = """
        function main()
          ffi.cdef "int sched_yield(void);"
          local cell = ffi.cast("int32_t *", {address}ULL)
          local mine, other = {mine}, {other}
          for turn = 1, 1000 do
            cell[mine] = turn
            while cell[other] < turn do ffi.C.sched_yield() end -- a C call: so the cell is read anew
          end
          os.exit(0)
        end
    """
    for mine in range(2):
        lua.start(program.format(address=address, mine=mine, other=1 - mine), thread=mine)
    assert [lua.status(), lua.status()] == [0, 0]
    assert int.from_bytes(cell[:4], "little") == 1000


@pytest.mark.parametrize("body", ["while true do end", "local x = 0 while true do x = x + 1 end", "repeat until false"])
@pytest.mark.parametrize("caught", [False, True])
def test_a_runaway_loop_is_interrupted_with_a_traceback(lua: Any, body: str, caught: bool) -> None:
    body = f"pcall(function() {body} end) {body}" if caught else body
    lua.start(
        f"""
        local function runaway() {body} return 1 end
        function main()
          mtev.coroutine_spawn(function()
            mtev.sleep(0)
            local result = runaway()
            print(result)
          end)
          mtev.sleep(0.01)
          print("alive")
          os.exit(0)
        end
        """,
        interrupt_time=0.05,
    )
    assert lua.status() == 0
    assert lua.printed() == "alive\n"
    assert "interrupted!" in lua.errors()
    assert "runaway" in lua.errors()
    assert "stack traceback" in lua.errors()


def test_a_pcall_in_a_loop_does_not_outlive_the_interruption(lua: Any) -> None:
    lua.start(
        """
        function main()
          mtev.coroutine_spawn(function()
            mtev.sleep(0)
            while true do pcall(function() while true do end end) end
          end)
          mtev.sleep(0.01)
          os.exit(0)
        end
        """,
        interrupt_time=0.02,
    )
    assert lua.status() == 0


def test_after_an_interruption_everything_goes_on_and_the_next_one_comes_too(lua: Any) -> None:
    lua.start(
        """
        function main()
          for turn = 1, 3 do
            mtev.coroutine_spawn(function() mtev.sleep(0) print("spinning", turn) while true do end end)
            mtev.sleep(0.01)
            local x = 0
            for i = 1, 200000 do x = x + i end -- many looks at the clock, all of them in time
            print("worked", x)
          end
          os.exit(0)
        end
        """,
        interrupt_time=0.1,
    )
    assert lua.status() == 0
    assert lua.printed() == "".join(f"spinning\t{turn}\nworked\t20000100000\n" for turn in (1, 2, 3))
    assert lua.errors().count("interrupted!") == 3


BROKEN = """
    -- Breaks the kernel itself, once, outside of all coroutines.
    local function break_kernel()
      jit.off()
      jit.flush()
      debug.sethook(function()
        if coroutine.running() or debug.getinfo(2, "S").source ~= "@luamtev/kernel.lua" then return end
        debug.sethook()
        error("broken on purpose")
      end, "", 1)
    end
    function main()
      mtev.coroutine_spawn(function()
        for turn = 1, 3 do mtev.sleep(0.01) print("turn", turn) end
        local server = mtev.socket("inet")
        server:bind("127.0.0.1", 0)
        server:listen(5)
        local _, port = server:sock_name()
        mtev.coroutine_spawn(function() mtev.socket("inet"):connect("127.0.0.1", port) end)
        print("accepted", server:accept() ~= nil)
        os.exit(0)
      end)
      mtev.sleep(0.005)
      break_kernel()
    end
"""


@pytest.mark.parametrize("reactor", ["epoll", "hub"])
def test_a_failure_of_the_kernel_is_logged_and_the_coroutines_go_on(lua: Any, reactor: str) -> None:
    lua.start(BROKEN, reactor=reactor)
    assert lua.status() == 0
    assert lua.printed() == "turn\t1\nturn\t2\nturn\t3\naccepted\ttrue\n"
    assert "lua error: in the kernel, on pump: " in lua.errors()
    assert "broken on purpose" in lua.errors()


def test_a_failure_of_the_kernel_ends_the_process_where_tragedies_do(lua: Any) -> None:
    lua.start(BROKEN, tragedy_terminates=True)
    assert lua.status() == 255
    assert "broken on purpose" in lua.errors()
    assert "Unrecoverable run-time error" in lua.errors()


def test_a_failure_that_repeats_itself_leaves_the_loop_to_others(lua: Any) -> None:
    lua.start(
        """
        function main()
          local server = mtev.socket("inet")
          server:bind("127.0.0.1", 0)
          server:listen(5)
          mtev.coroutine_spawn(function() server:accept() end)
          mtev.sleep(0)
          jit.off()
          debug.sethook(function()
            if debug.getinfo(2, "S").source == "@luamtev/kernel.lua" then error("for ever") end
          end, "", 1)
        end
        """
    )
    seen: Queue[int] = Queue()

    def look() -> None:
        seen.put(lua.errors().count("for ever"))

    def later() -> None:
        eventer.add_in(lambda *_: look(), None, 0.3)

    while "for ever" not in lua.errors():
        lua.on_thread(lambda: None)
    lua.on_thread(later)
    assert 0 < seen.get(timeout=30) < 100


def test_interruption_spares_those_who_take_short_turns(lua: Any) -> None:
    text = lua(
        """
        function main()
          local start = mtev.time()
          repeat mtev.sleep(0) local x = 0 for i = 1, 100 do x = x + i end until mtev.time() - start > 0.2
          print("never interrupted")
          os.exit(0)
        end
        """,
        interrupt_time=0.05,
    )
    assert text == "never interrupted\n"


def test_the_jit_is_on_unless_an_interruption_is_configured(lua: Any) -> None:
    program = "function main() print(jit.status()) os.exit(0) end"
    assert lua(program).startswith("true")
    assert lua(program, interrupt_time=5.0).splitlines()[1].startswith("false")


def test_closing_finalises_everything_in_the_state(lua: Any) -> None:
    cell, address = memory_cell()
    lua(
        f"""
        function main()
          local cell = ffi.cast("int32_t *", {address}ULL)
          kept = newproxy(true)
          getmetatable(kept).__gc = function() cell[0] = 7 end
          mtev.coroutine_spawn(function() mtev.waitfor("never") end)
          mtev.coroutine_spawn(function() mtev.sleep(600) end)
          mtev.coroutine_spawn(function() mtev.shared_waitfor("test/never") end)
          os.exit(0)
        end
        """
    )
    assert cell[0] == 0
    lua.close()
    assert cell[0] == 7


def test_a_closed_state_takes_no_more_calls(lua: Any) -> None:
    def use() -> None:
        made = State(Options())
        made.close()
        made.close()
        made.call("x", "main")
        made.ticket_done(1, True)

    lua.on_thread(use)


def test_states_come_and_go_without_a_trace(lua: Any) -> None:
    def churn(count: int) -> None:
        for _ in range(count):
            State(Options()).close()

    lua.on_thread(lambda: churn(10))
    gc.collect()
    before, threads, memory = descriptors(), threading.active_count(), resident()
    lua.on_thread(lambda: churn(100))
    gc.collect()
    assert descriptors() == before
    assert threading.active_count() == threads
    assert resident() - memory < 30 << 20, "100 leaked states would be more than a hundred megabytes"


def test_a_state_is_used_on_its_own_thread_only(lua: Any) -> None:
    made = lua.on_thread(lambda: State(Options()), 1)
    with pytest.raises(NotOnHub):
        lua.on_thread(lambda: made.call("x", "main"), 0)
    lua.on_thread(made.close, 1)
    with pytest.raises(eventer.NotOnLoop):
        State(Options())


def test_preloads_are_required_before_anything_runs(lua: Any, tmp_path: Path) -> None:
    (tmp_path / "first.lua").write_text("preloaded = (preloaded or '') .. ...")
    (tmp_path / "second.lua").write_text("preloaded = preloaded .. ...")
    text = lua(
        "function main() print(preloaded) os.exit(0) end", preloads="first, second", directory=f"{tmp_path}/?.lua"
    )
    assert text == "firstsecond\n"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"preloads": "no.such"}, "module 'no.such' not found"),
        ({"Cpreloads": "nothing"}, "no C module 'nothing'"),
    ],
)
def test_a_preload_that_is_missing_is_named(lua: Any, options: dict[str, str], named: str) -> None:
    with pytest.raises(StateError, match=named):
        lua.on_thread(lambda: State(Options(**options)))


C_MODULE = r"""
typedef struct lua_State lua_State;
extern void lua_createtable(lua_State *, int, int);
extern void lua_pushcclosure(lua_State *, int (*)(lua_State *), int);
extern void lua_pushnumber(lua_State *, double);
extern double luaL_checknumber(lua_State *, int);
extern void lua_setfield(lua_State *, int, const char *);
static int twice(lua_State *L) { lua_pushnumber(L, 2 * luaL_checknumber(L, 1)); return 1; }
int luaopen_doubler(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushcclosure(L, twice, 0);
  lua_setfield(L, -2, "twice");
  return 1;
}
"""


@pytest.fixture(scope="module")
def c_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with doubler.so, a C module for Lua."""
    directory = tmp_path_factory.mktemp("c")
    (directory / "doubler.c").write_text(C_MODULE)
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    link = ["-undefined", "dynamic_lookup"] if os.uname().sysname == "Darwin" else []
    command = [compiler, "-shared", "-fPIC", *link, "-o", "doubler.so", "doubler.c"]
    subprocess.run(command, cwd=directory, check=True)
    return directory


def test_c_modules_load_through_cpath(lua: Any, c_module: Path) -> None:
    program = """
        function main()
          local doubler = require("doubler")
          print(doubler.twice(21), pcall(doubler.twice, "x"))
          os.exit(0)
        end
    """
    text = lua(program, cpath=f"{{package.cpath}};{c_module}/?.so")
    assert text.startswith("42\tfalse\tbad argument #1 to")


def test_cpreloads_open_c_modules_at_creation(lua: Any, c_module: Path) -> None:
    program = "function main() print(package.loaded.doubler.twice(4)) os.exit(0) end"
    assert lua(program, cpath=f"{c_module}/?.so", Cpreloads="doubler") == "8\n"


def test_paths_replace_or_extend_the_states_own(lua: Any) -> None:
    program = "function main() print(package.path) print(package.cpath) os.exit(0) end"
    own, own_c = lua(program).splitlines()
    replaced = lua(program, directory="/a/?.lua", cpath="/b/?.so").splitlines()[2:]
    assert replaced == ["/a/?.lua", "/b/?.so"]
    extended = lua(program, directory="{package.path};/a/%1.lua", cpath="/b/?.so;{package.cpath}").splitlines()[4:]
    assert extended == [f"{own};/a/%1.lua", f"/b/?.so;{own_c}"]


def test_gc_full_collects_after_so_many_visits(lua: Any) -> None:
    program = """
        function main()
          collectgarbage("stop") -- nothing but a full collection is left
          local weak = setmetatable({}, { __mode = "v" })
          weak[1] = {}
          for _ = 1, 12 do mtev.sleep(0.001) end
          print(weak[1] == nil)
          os.exit(0)
        end
    """
    assert lua(program, gc_full=0) == "false\n"
    assert lua(program, gc_full=5) == "false\ntrue\n"


def test_a_large_heap_is_not_collected_all_the_time(lua: Any) -> None:
    program = """
        function main()
          collectgarbage("setpause", 100000) -- nothing but full collections is left
          heap = {}
          for i = 1, 1000000 do heap[i] = { i } end
          local count, probe = 0, setmetatable({}, { __mode = "v" })
          for _ = 1, 100 do
            probe[1] = probe[1] or {}
            mtev.sleep(0.0001) -- a visit each
            if probe[1] == nil then count = count + 1 end
          end
          print(count < 50)
          os.exit(0)
        end
    """
    assert lua(program, gc_full=1) == "true\n"


def test_nobody_waits_for_a_whole_collection(lua: Any) -> None:
    program = """
        function main()
          collectgarbage("setpause", 100000) -- nothing but full collections is left
          heap = {}
          for i = 1, 300000 do heap[i] = { i } end
          local turns, weak = 0, setmetatable({ {} }, { __mode = "v" })
          while weak[1] do
            turns = turns + 1
            mtev.sleep(0.0001)
          end
          print(turns > 10)
          os.exit(0)
        end
    """
    assert lua(program, gc_full=1) == "true\n"


def test_gc_pause_and_stepmul_are_set(lua: Any) -> None:
    program = """
        function main()
          print(collectgarbage("setpause", 200), collectgarbage("setstepmul", 200))
          os.exit(0)
        end
    """
    assert lua(program, gc_pause=150, gc_stepmul=300) == "150\t300\n"


def test_gc_step_steps_at_every_visit(lua: Any) -> None:
    program = """
        function main()
          collectgarbage("collect")
          collectgarbage("setpause", 100000) -- far too late to help
          local weak = setmetatable({}, { __mode = "v" })
          weak[1] = {}
          for _ = 1, 200 do mtev.sleep(0.0001) end
          print(weak[1] == nil)
          os.exit(0)
        end
    """
    assert lua(program, gc_full=0, gc_step=100) == "true\n"


def test_jit_variables_of_the_environment_are_honoured(lua: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "function main() print((jit.status())) os.exit(0) end"
    monkeypatch.setenv("MTEV_JIT_OFF", "1")
    assert lua(program) == "false\n"
    monkeypatch.setenv("MTEV_JIT_OFF", "0")
    monkeypatch.setenv("MTEV_JIT_OPT", "1")
    assert lua(program) == "false\ntrue\n"


def test_a_hundred_thousand_coroutines_wait_at_once(lua: Any) -> None:
    text = lua(
        """
        function main()
          local woken = 0
          for i = 1, 100000 do
            mtev.coroutine_spawn(function()
              local key = i % 2 == 0 and mtev.waitfor("wait" .. i, 600) or mtev.sleep(0.001 * (i % 100))
              if key then woken = woken + 1 end
            end)
          end
          mtev.sleep(0.2)
          for i = 2, 100000, 2 do mtev.notify("wait" .. i) end
          while woken < 100000 do mtev.sleep(0.01) end
          print(woken)
          os.exit(0)
        end
        """
    )
    assert text == "100000\n"


CHURN = """
    local function rss()
      local f = io.open("/proc/self/statm")
      local _, pages = f:read("*n", "*n")
      f:close()
      return pages * 4096
    end
    local function round(count)
      for i = 1, count do
        local co
        mtev.coroutine_spawn(function()
          co = coroutine.running()
          {body}
        end)
        {after}
        if i % 1000 == 0 then mtev.sleep(0) end
      end
      mtev.sleep(0.01)
      collectgarbage() collectgarbage()
    end
    function main()
      round({count} / 5)
      local lua_before, before = collectgarbage("count"), rss()
      round({count})
      print(math.floor(collectgarbage("count") - lua_before), math.floor((rss() - before) / 1024))
      os.exit(0)
    end
"""


@pytest.mark.parametrize(
    ("body", "after", "count"),
    [
        ("mtev.sleep(0)", "", 1_000_000),
        ("mtev.waitfor('k' .. i, 60)", "mtev.notify('k' .. i)", 300_000),
        ("mtev.waitfor('k' .. i, 60)", "mtev.cancel_coro(co)", 300_000),
        ("mtev.sleep(600)", "mtev.cancel_coro(co)", 300_000),
        ("mtev.waitfor('k' .. i, 0.0001)", "", 100_000),
        ("mtev.shared_waitfor('k' .. i, 60)", "mtev.cancel_coro(co)", 50_000),
        ("mtev.semaphore('churn', 0):acquire(60)", "mtev.cancel_coro(co)", 50_000),
        ("mtev.cancel_coro(co) mtev.shared_waitfor('k' .. i, 60)", "", 20_000),
        ("error('on purpose')", "", 20_000),
    ],
)
def test_coroutines_that_end_or_fail_or_are_cancelled_leave_nothing(
    lua: Any, body: str, after: str, count: int
) -> None:
    program = CHURN.format(body=body, after=after, count=count)
    lua.start(program)
    assert lua.status() == 0, lua.errors()
    lua_kilobytes, resident_kilobytes = map(int, lua.printed().split())
    assert lua_kilobytes < 500  # of tables, by how many waited at once; 20,000 coroutines are 20,000
    assert resident_kilobytes < 8 * 1024


def test_outside_luamtev_print_goes_to_the_error_log(lua: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "host", settings.Host())
    assert lua("function main() print('to', 'error') print(arg[1]) os.exit(0) end") == ""
    assert lua.errors() == "to\terror\nnil\n"


def test_tasks_that_work_for_long_let_the_loop_turn_between_them(lua: Any) -> None:
    lua.start(
        """
        function main()
          for i = 1, 64 do
            mtev.coroutine_spawn(function()
              mtev.waitfor("go " .. i)
              mtev.sleep(0)
              local stop = mtev.time() + 0.003
              while mtev.time() < stop do end
              print("worked")
            end)
          end
          print("ready")
          mtev.waitfor("all")
          for i = 1, 64 do mtev.notify("go " .. i) end -- ready together now
          mtev.sleep(0.001)
          os.exit(0)
        end
        """
    )
    counts: list[int] = []

    def turn() -> None:
        counts.append(lua.printed().count("worked"))
        if counts[-1] < 64:
            lua.states[0].thread.soon(turn)

    (lua.directory / "all.lua").write_text("return { go = function() mtev.notify('all') end }")
    while "ready" not in lua.printed():
        lua.on_thread(lambda: None)

    def go() -> None:
        lua.states[0].call(str(lua.directory / "all.lua"), "go")
        turn()

    lua.on_thread(go)
    assert lua.status() == 0
    while not counts or counts[-1] < 64:
        lua.on_thread(lambda: None)
    assert max(after - before for before, after in zip([0, *counts], counts, strict=False)) <= 3
