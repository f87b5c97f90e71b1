"""-m -m: the command returns when the server in the background is up, or has failed, with its status."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from launching import free_port
from waiting import until

CONFIGURATION = """<cli lockfile="lock">
<logs><log name="error" type="file" path="errors"/></logs>
<modules><generic image="lua_mtev" name="lua_general"><config><lua_module>main.lua</lua_module>
<lua_function>main</lua_function></config></generic></modules>
<listeners><listener type="http_rest_api" address="127.0.0.1" port="PORT"/></listeners>
</cli>
"""


@pytest.fixture
def background(tmp_path: Path) -> Iterator[Any]:
    """Runs luamtev with the configuration and a main, for a port; what is still there is ended."""

    def run(*arguments: str, port: int = 0, main: str = "") -> subprocess.CompletedProcess[str]:
        (tmp_path / "c.xml").write_text(CONFIGURATION.replace("PORT", str(port)))
        (tmp_path / "main.lua").write_text(f"module(..., package.seeall) function main() {main} end")
        return subprocess.run(
            [sys.executable, "-m", "luamtev", *arguments, "-c", "c.xml"],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    yield run
    run("--stop")


def test_it_returns_when_the_server_is_up(background: Any) -> None:
    port = free_port()
    done = background("-m", "-m", port=port)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 404 ")
    said = background("--status", port=port)
    assert said.returncode == 0 and said.stdout.startswith("process ")
    again = background("-m", "-m", port=port)
    assert again.returncode == 2 and "lockfile lock: process" in again.stderr and "holds it" in again.stderr
    assert background("--stop", port=port).returncode == 0
    assert background("--status", port=port).returncode == 1


def test_a_start_that_fails_ends_with_its_reason_and_status(background: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = background("-m", "-m", port=port)
    said = f"luamtev: c.xml:5: <listener>: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert (done.returncode, done.stderr) == (2, said)


def test_a_script_that_does_not_load_gives_its_status(background: Any, tmp_path: Path) -> None:
    done = background("-m", "-m", main="= end")
    assert done.returncode == 255
    assert done.stderr == "luamtev: the server ended with status 255 before it was up: its log says why\n"
    assert "main.lua:1: unexpected symbol" in (tmp_path / "errors").read_text()


@pytest.mark.parametrize("whose", ["mtev.getpid()", "mtev.getppid()"], ids=["the server", "its monitor"])
def test_who_is_told_to_end_before_it_is_up_did_not_come_up(background: Any, tmp_path: Path, whose: str) -> None:
    busy = "while not mtev.stopping() do os.execute('sleep 0.01') end"  # the loop is
    done = background("-m", "-m", main=f"os.execute('kill -TERM ' .. {whose}) {busy}")
    assert (done.returncode, done.stderr) == (143, "luamtev: the server was told to end before it was up\n")
    assert "[TERMINATE] received sigterm" in (tmp_path / "errors").read_text()
    until(lambda: background("--status").returncode == 1)  # the monitor says so before it is gone itself
