"""The end of a program whose Lua does not: TERM, the watchdog, and what they leave to read."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import launching
import pytest
from waiting import until

Program = Callable[..., "subprocess.Popen[bytes]"]

INNER = 'local function inner() io.stderr:write("spinning\\n") {} end\n'
PROGRAM = "module(..., package.seeall)\n" + INNER + "function main() mtev.sleep(0.01) {} end\n"

SPINS = {
    "compiled": ("local n = 0 while true do n = n + 1 end", "inner()"),
    "interpreted": ("jit.off() while true do end", "inner()"),
    "allocating": ("local kept while true do kept = { kept and 1, tostring(math.random()) } end", "inner()"),
    "below C": ("while true do end", 'string.gsub("x", ".", function() inner() end)'),
    "in a coroutine of its own": ("while true do end", "coroutine.wrap(function() inner() end)()"),
    "caught": ("while true do pcall(function() while true do end end) end", "inner()"),
    "in C": ('os.execute("exec sleep 100 >/dev/null 2>&1")', "inner()"),
    "waiting for standard input": ("io.read()", "inner()"),
}


@pytest.fixture
def free_port() -> int:
    return launching.free_port()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    started = []
    reader, writer = os.pipe()  # standard input that never says anything

    def start(*arguments: str, source: str, **environment: str) -> "subprocess.Popen[bytes]":
        (tmp_path / "main.lua").write_text(source)
        process = subprocess.Popen(
            [sys.executable, "-m", "luamtev", *arguments, "main.lua"],
            cwd=tmp_path,
            env=os.environ | environment,
            stdin=reader,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    os.close(reader)
    os.close(writer)
    for each in started:
        each.kill()
        each.communicate(timeout=20)


def said(process: "subprocess.Popen[bytes]", pattern: str) -> str:
    """What it says on stderr up to a line that matches."""
    assert process.stderr is not None
    text = ""
    for line in process.stderr:
        text += line.decode()
        if re.search(pattern, line.decode()):
            return text
    pytest.fail(f"no line {pattern!r} in {text}")


def rest(process: "subprocess.Popen[bytes]") -> str:
    return process.communicate(timeout=60)[1].decode()


@pytest.mark.parametrize(
    ("spin", "managed"),
    [*((each, False) for each in SPINS), ("compiled", True), ("waiting for standard input", True)],
)
def test_a_loop_that_spins_does_not_keep_the_process(program: Program, spin: str, managed: bool) -> None:
    body, call = SPINS[spin]
    arguments = ["-m"] if managed else []
    process = program(*arguments, source=PROGRAM.format(body, call), MTEV_WATCHDOG_TIMEOUT="600")
    said(process, "spinning")
    process.send_signal(signal.SIGTERM)
    text = rest(process)
    assert process.returncode == 1, text
    assert "[TERMINATE] loop threads that do not turn: e:default/0; ending without them." in text
    assert re.search(r"Lua state of lua_general on e:default/0, busy:\n  running thread: ", text)
    assert re.search(r"main\.lua:\d+: in function 'inner'", text), text


@pytest.mark.parametrize(
    "keeps",
    [
        "KEPT = newproxy(true) getmetatable(KEPT).__gc = {}",
        "local ffi = require('ffi') KEPT = ffi.gc(ffi.new('int[1]'), {})",
    ],
)
def test_a_finalizer_that_spins_at_the_end_does_not_keep_the_process(program: Program, keeps: str) -> None:
    spin = "function() while true do end end"
    process = program(source=f"function main() {keeps.format(spin)} io.stderr:write('ready\\n') end")
    said(process, "ready")
    process.send_signal(signal.SIGTERM)
    text = rest(process)
    assert process.returncode == 1, text
    assert "Timeout (0:00:02)!" in text


CONFIGURATION = """\
<cli>
  <eventer><config><concurrency>{threads}</concurrency>{eventer}</config></eventer>
  <logs><console_output><outlet name="stderr"/><log name="error"/></console_output></logs>
  <modules>
    <generic image="lua_mtev" name="lua_general"><config>
      <directory>./?.lua;{{package.path}}</directory>
      <lua_module>{module}</lua_module><lua_function>main</lua_function>
    </config></generic>
    {modules}
  </modules>
  {more}
</cli>
"""


def test_the_time_it_has_is_a_setting(program: Program, tmp_path: Path) -> None:
    (tmp_path / "app.conf").write_text(
        CONFIGURATION.format(
            threads=1, eventer="<shutdown_timeout>600</shutdown_timeout>", module="x", modules="", more=""
        )
    )
    source = PROGRAM.format("while not io.open('go') do end", "inner()")
    process = program("-c", "app.conf", source=source)
    said(process, "spinning")
    process.send_signal(signal.SIGTERM)
    said(process, "TERMINATE")
    time.sleep(2.5)  # beyond the default
    assert process.poll() is None
    (tmp_path / "go").write_text("")
    assert "do not turn" not in rest(process)
    assert process.returncode == 0


WEB = """\
<generic image="lua_mtev" name="lua_web"><config>
  <directory>./?.lua;{{package.path}}</directory>
  <mount_spin>spin:GET:/spin/</mount_spin><public_spin>true</public_spin>
</config></generic>
"""
LISTENER = """\
<listeners><listener type="http_rest_api" address="127.0.0.1" port="{port}"/></listeners>
<rest><acl><rule type="allow"/></acl></rest>
{more}
"""
SPIN = """\
module(..., package.seeall)
local function inner() io.stderr:write("spinning\\n") while true do end end
function handler(rest) inner() end
"""


def serve(program: Program, directory: Path, port: int, *arguments: str, more: str = "", **environment: str) -> str:
    (directory / "spin.lua").write_text(SPIN)
    (directory / "app.conf").write_text(
        CONFIGURATION.format(
            threads=2,
            eventer="",
            module="main",
            modules=WEB.replace("{{", "{").replace("}}", "}"),
            more=LISTENER.format(port=port, more=more),
        )
    )
    process = program(
        *arguments, "-c", "app.conf", source="module(..., package.seeall) function main() end", **environment
    )
    url = f"http://127.0.0.1:{port}/spin/it"

    def is_up() -> bool:
        assert process.poll() is None, rest(process)
        asked = ["curl", "-sf", "-m", "5", "-o", "/dev/null", f"http://127.0.0.1:{port}/capa"]
        return subprocess.run(asked, check=False).returncode == 0

    until(is_up)
    client = subprocess.Popen(["curl", "-s", "-o", "/dev/null", url])
    try:
        said(process, "spinning")
        if environment.get("MTEV_WATCHDOG_TIMEOUT", "600") == "600":
            process.send_signal(signal.SIGTERM)
            return rest(process)
        return said(process, "is restarted")
    finally:
        process.terminate()
        client.kill()
        client.wait()


def test_a_handler_that_spins_does_not_keep_the_process(program: Program, tmp_path: Path, free_port: int) -> None:
    text = serve(program, tmp_path, free_port)
    assert re.search(r"Lua state of lua_web on e:default/\d, busy:\n  running thread: 0x\w+, for GET /spin/it", text), (
        text
    )
    assert "spin.lua:2: in function 'inner'" in text


def test_a_hang_leaves_the_stack_of_lua_and_its_request_in_the_trace(
    program: Program, tmp_path: Path, free_port: int
) -> None:
    text = serve(program, tmp_path, free_port, "-m", more='<watchdog tracedir="traces"/>', MTEV_WATCHDOG_TIMEOUT="1.5")
    trace = re.search(r"trace in (\S+)", text)
    assert trace, text
    told = (tmp_path / trace[1]).read_text()
    assert re.search(r"running thread: 0x\w+, for GET /spin/it of 127\.0\.0\.1\n", told), told
    assert "spin.lua:2: in function 'inner'" in told
    assert re.search(r"thread e:default/\d \(\d+\)", told)


def test_usr2_shows_those_who_wait_and_changes_nothing(program: Program) -> None:
    process = program(
        source="""
        module(..., package.seeall)
        local function waits() mtev.sleep(1000) end
        function main()
          for i = 1, 60 do mtev.coroutine_spawn(waits) end
          mtev.coroutine_spawn(function() coroutine.wrap(function() waits() end)() end)
          io.stderr:write("ready\\n")
          waits()
        end
        """
    )
    said(process, "ready")

    def asked() -> str:
        process.send_signal(signal.SIGUSR2)
        return said(process, r"and \d+ more that wait")

    while ", busy:" in asked():  # it has said that it is ready, and is not yet waiting itself
        pass
    for _ in range(3):
        text = asked()
        assert "and 12 more that wait" in text
        assert "Lua state of lua_general on e:default/0, idle:" in text
        assert len(re.findall(r"main\.lua:3: in function", text)) >= 45
        assert "running" not in text
    process.terminate()
    assert "[TERMINATE]" in rest(process)
    assert process.returncode == 0


@pytest.mark.parametrize("tragedy", ["true", "false"])
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("this is no Lua", "main.lua:1:"),
        ("error('while loading')", "while loading"),
        ("module(..., package.seeall)", "has no function 'main'"),
        ("require 'nothing.at.all'", "module 'nothing.at.all' not found"),
    ],
)
def test_a_main_module_that_cannot_be_loaded_is_the_end(
    program: Program, tmp_path: Path, source: str, message: str, tragedy: str
) -> None:
    text = CONFIGURATION.format(threads=1, eventer="", module="x", modules="", more="")
    (tmp_path / "app.conf").write_text(
        text.replace("</lua_function>", f"</lua_function><tragedy_terminates>{tragedy}</tragedy_terminates>")
    )
    process = program("-c", "app.conf", source=source)
    said_ = rest(process)
    assert process.returncode == 255
    assert message in said_
    watched = program("-m", "-c", "app.conf", source=source)
    said_ = rest(watched)
    assert watched.returncode == 255
    assert "ended with status 255 before it was up: no restart." in said_


def test_later_errors_follow_the_setting(program: Program, tmp_path: Path) -> None:
    (tmp_path / "app.conf").write_text(CONFIGURATION.format(threads=1, eventer="", module="x", modules="", more=""))
    source = "module(..., package.seeall) function main() mtev.coroutine_spawn(error, 'later') error('now') end"
    process = program("-c", "app.conf", source=source)
    said(process, "later")
    said(process, "now")
    process.terminate()
    rest(process)
    assert process.returncode == 0


def test_what_the_command_line_replaced_stays_replaced_over_a_restart_and_a_reload(
    program: Program, tmp_path: Path
) -> None:
    (tmp_path / "app.conf").write_text(CONFIGURATION.format(threads=1, eventer="", module="other", modules="", more=""))
    (tmp_path / "other.lua").write_text("module(..., package.seeall) function main() io.stderr:write('other\\n') end")
    source = """
        module(..., package.seeall)
        function main()
          while true do
            io.stderr:write(("wanted %d %s\\n"):format(mtev.getpid(), mtev.conf("//lua_module"))) -- in one piece
            mtev.sleep(0.05)
          end
        end
    """
    process = program("-m", "-c", "app.conf", source=source)
    first = re.search(r"^wanted (\d+) (\S+)$", said(process, "^wanted"), re.M)
    assert first and first[2] == str(tmp_path / "main.lua")
    process.send_signal(signal.SIGHUP)
    for _ in range(10):
        assert f"wanted {first[1]} {tmp_path}/main.lua\n" in said(process, "^wanted")
    os.kill(int(first[1]), signal.SIGKILL)
    text = said(process, "is restarted")
    text = said(process, "^wanted")
    again = re.search(r"^wanted (\d+) (\S+)$", text, re.M)
    assert again and again[1] != first[1] and again[2] == str(tmp_path / "main.lua")
    assert "other" not in text
    process.terminate()
    rest(process)
