"""mtev.spawn and what is built on it, under load: no zombie, no descriptor and no coroutine is left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import until


def children() -> dict[int, str]:
    """The children of this process and their states; Z is a zombie."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, rest = status.read_text().rpartition(") ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, parent, *_ = rest.split()
        if int(parent) == os.getpid():
            found[int(status.parent.name)] = state
    return found


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(params=["pidfd", "thread"])
def nothing_left(request: pytest.FixtureRequest, lua: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With either way to learn of a child's end: afterwards there are no more children and descriptors than before."""
    if request.param == "thread":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    before = set(children())
    lua("function main() mtev.spawn('true'):wait(5) os.exit(0) end")
    lua.close()
    open_before = descriptors()
    yield
    lua.close()
    until(lambda: set(children()) <= before, children)
    until(lambda: descriptors() <= open_before)


def test_two_hundred_at_once_are_told_apart(lua: Any, nothing_left: None) -> None:
    printed = lua(
        """
        function main()
          local started = {}
          for i = 1, 200 do
            local process, stdin, stdout = mtev.spawn("/bin/sh", { "sh", "-c", "read n; echo $n; exit $((n % 100))" })
            started[i] = { process, stdin, stdout }
          end
          local right = 0
          for i = 200, 1, -1 do
            started[i][2]:write(i .. "\\n")
            if started[i][3]:read("\\n") == i .. "\\n" then right = right + 1 end
          end
          for i = 1, 200 do
            if mtev.WEXITSTATUS(started[i][1]:wait(30)) == i % 100 then right = right + 1 end
          end
          print(right)
          started = nil
          collectgarbage() collectgarbage()
          os.exit(0)
        end
        """
    )
    assert printed == "400\n"


def test_a_child_may_close_its_pipes_early(lua: Any, nothing_left: None) -> None:
    printed = lua(
        """
        function main()
          local script = "exec <&- >&- 2>&-; sleep 0.2; exit 5"
          local process, stdin, stdout, stderr = mtev.spawn("/bin/sh", { "sh", "-c", script })
          print(stdout:read(1), stderr:read(1))
          print(stdin:write(("x"):rep(1000000)))
          print(process:wait(10))
          os.exit(0)
        end
        """
    )
    assert printed == "nil\tnil\n-1\tBroken pipe\n1280\n"


def test_a_hundred_megabytes_of_stderr_arrive(lua: Any, nothing_left: None) -> None:
    printed = lua(
        """
        function main()
          local status, out, err = mtev.exec("/bin/sh", { "sh", "-c", "head -c 104857600 /dev/zero >&2" }, nil, 60)
          print(status, #out, #err)
          local lines = 0
          local script = "yes 'a line of some length' | head -c 104857600 >&2; echo ready >&2"
          local proc = mtev.Proc:new{ path = "/bin/sh", argv = { "sh", "-c", script }, boot_timeout = 60 }
          proc:loglisten(function() lines = lines + 1 end):start()
          print(proc:ready(), lines, proc:wait(10))
          os.exit(0)
        end
        """
    )
    lines = 104857600 // len("a line of some length\n") + 1
    assert printed == f"0\t0\t104857600\ntrue\t{lines}\ttrue\t0\n"


def test_one_that_cannot_start_leaves_nothing(lua: Any, nothing_left: None) -> None:
    printed = lua(
        """
        function main()
          local failed = 0
          for i = 1, 500 do
            local process, errno = mtev.spawn("/etc/passwd", { "x" })
            if errno == 13 and process:wait() == 127 * 256 then failed = failed + 1 end
          end
          print(failed)
          os.exit(0)
        end
        """
    )
    assert printed == "500\n"


def test_without_descriptors_there_is_an_errno(luamtev: Callable[..., Any]) -> None:
    done = luamtev(
        "main.lua",
        source="""
        ffi.cdef "struct rl { unsigned long cur, max; }; int setrlimit(int, const struct rl *);"
        function main()
          mtev.spawn("true"):wait(10)
          ffi.C.setrlimit(7, ffi.new("struct rl", 20, 20))
          local held, process, errno = {}
          repeat
            process, errno = mtev.spawn("sleep", { "sleep", "100" })
            held[#held + 1] = { process, errno }
          until type(errno) == "number"
          print(errno)
          held = nil
          collectgarbage() collectgarbage()
          print(mtev.sh("echo again"))
          os.exit(0)
        end
        """,
    )
    assert done.stdout == b"24\n0\tagain\n\t\n"


def test_what_nobody_refers_to_is_killed_and_reaped(lua: Any, nothing_left: None) -> None:
    before = len(children())
    printed = lua(
        """
        function main()
          for i = 1, 50 do
            mtev.spawn("sleep", { "sleep", "100" })
            mtev.Proc:new{ path = "sleep", argv = { "sleep", "100" } }:start()
          end
          collectgarbage() collectgarbage()
          print("collected")
          os.exit(0)
        end
        """
    )
    assert printed == "collected\n"
    until(lambda: len(children()) == before, children)


def test_a_closed_state_ends_its_children(lua: Any, nothing_left: None) -> None:
    before = len(children())
    lua(
        """
        held = {}
        function main()
          for i = 1, 20 do
            held[i] = { mtev.spawn("/bin/sh", { "sh", "-c", "trap '' TERM; exec sleep 100" }) }
            mtev.coroutine_spawn(function() held[i][1]:wait(100) end)
          end
          os.exit(0)
        end
        """
    )
    assert len(children()) == before + 20
    lua.close()
    until(lambda: len(children()) == before, children)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("end", "status", "goes_on"),
    [
        ("os.exit(3)", 3, True),
        ("os.exit(3, false)", 3, True),
        ("os.exit(3, true)", 3, False),
        ("error('x')", 255, False),
        ("mtev.coroutine_spawn(function() mtev.sleep(0.01) error('x') end)", 255, False),
        ("mtev.sh('kill -TERM ' .. mtev.getpid())", 0, False),
    ],
)
def test_children_end_with_the_program_unless_it_leaves_them(
    luamtev: Callable[..., Any], end: str, status: int, goes_on: bool
) -> None:
    source = f"""
        held = {{}}
        function main()
          for _ = 1, 3 do
            local process = mtev.spawn("sleep", {{ "sleep", "300" }})
            held[#held + 1] = process
            io.write(process:pid(), "\\n") io.flush()
          end
          {end}
        end
    """
    done = luamtev("main.lua", source=source)
    assert done.returncode == status, done.stderr
    started = [int(line) for line in done.stdout.split()]
    assert len(started) == 3
    if goes_on:
        assert all(map(is_running, started))
        for pid in started:
            os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(is_running, started)))


def test_a_cancelled_wait_is_forgotten(lua: Any, nothing_left: None) -> None:
    lua(
        """
        function main()
          local process = mtev.spawn("sleep", { "sleep", "0.1" })
          local waiting
          mtev.coroutine_spawn(function() waiting = coroutine.running() process:wait(100) error("resumed") end)
          mtev.cancel_coro(waiting)
          print(process:wait(0.01))
          print(process:wait(10))
          os.exit(0)
        end
        """
    )
    assert lua.printed() == "nil\t110\n0\n"
    assert lua.states[-1].tickets == {}


def test_a_status_somebody_else_took_is_no_hang(lua: Any, nothing_left: None) -> None:
    printed = lua(
        """
        ffi.cdef "int waitpid(int, int *, int);"
        function main()
          local process = mtev.spawn("true")
          ffi.C.waitpid(process:pid(), nil, 0)
          print(process:wait(10))
          print(process:kill())
          os.exit(0)
        end
        """
    )
    assert printed in ("0\nfalse\t3\n", "32512\nfalse\t3\n")


def test_children_hold_no_descriptors_of_ours(lua: Any, tmp_path: Path) -> None:
    printed = lua(
        f"""
        function main()
          local held = io.open("{tmp_path}/held", "w")
          local fd = mtev.open("{tmp_path}/held", O_RDONLY)
          local first = mtev.spawn("sleep", {{ "sleep", "100" }})
          local _, out = mtev.exec("/bin/ls", {{ "ls", "/proc/self/fd" }})
          print((out:gsub("\\n", " ")))
          os.exit(0)
        end
        """
    )
    assert printed == "0 1 2 3 \n"  # 3: the directory itself


def test_signals_are_as_in_a_fresh_process(lua: Any) -> None:
    printed = lua(
        """
        function main()
          local _, out = mtev.exec("grep", { "grep", "-E", "Sig(Ign|Blk)", "/proc/self/status" })
          print((out:gsub("%s+", " ")))
          os.exit(0)
        end
        """
    )
    usual = subprocess.run(
        ["grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"], capture_output=True, text=True, check=True
    )
    assert printed.split() == usual.stdout.split()


def test_the_end_of_the_program_by_term_ends_the_children(tmp_path: Path) -> None:
    (tmp_path / "main.lua").write_text(
        """
        function main()
          process = mtev.spawn("sleep", { "sleep", "1000" })
          print(process:pid())
        end
        """
    )
    program = subprocess.Popen(
        [sys.executable, "-m", "luamtev", "main.lua"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert program.stdout is not None
    with program.stdout:
        child = int(program.stdout.readline())
    program.send_signal(signal.SIGTERM)
    program.wait(10)
    until(lambda: not Path(f"/proc/{child}").exists())
