"""Signals that come while a server starts, and while it stops."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import until

MODES = pytest.mark.parametrize("mode", [(), ("-m",)], ids=["alone", "watched"])
QUIET = re.compile(r"(\[TERMINATE\] received sig\w+(, shutting down| while starting)\.\n)*")


class Server:
    """A server whose signals are blocked until it lets them through, so that none comes before its first line."""

    def __init__(self, directory: Path, mode: tuple[str, ...]) -> None:
        (directory / "main.lua").write_text('function main() print("ready") io.stdout:flush() end\n')
        (directory / "c.xml").write_text(
            "<cli><modules><generic image='lua_mtev' name='lua_general'><config><lua_module>main.lua</lua_module>"
            "<lua_function>main</lua_function></config></generic></modules></cli>"
        )
        self.said = directory / "said"
        self.errors = directory / "errors"
        with self.said.open("wb") as said, self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "luamtev", *mode, "-c", "c.xml"],
                cwd=directory,
                stdout=said,
                stderr=errors,
                preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()),
            )

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.errors.read_text()
        return "ready" in self.said.read_text()

    def is_told(self, text: str) -> bool:
        assert self.process.poll() is None, self.errors.read_text()
        return text in self.errors.read_text()

    def child(self) -> int:
        """The server that it forked, 0 for none."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(found[0]) if found else 0

    def used(self) -> float:
        """Hundredths of a second of the processor that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 100 / os.sysconf("SC_CLK_TCK")

    def ended(self) -> tuple[int, str]:
        return self.process.wait(60), self.errors.read_text()


@pytest.fixture
def servers(tmp_path: Path) -> "Iterator[type[Server]]":
    started: list[Server] = []

    class Kept(Server):
        def __init__(self, *mode: str) -> None:
            directory = tmp_path / str(len(started))
            directory.mkdir()
            super().__init__(directory, mode)
            started.append(self)

    yield Kept
    for each in started:
        each.process.kill()
        each.process.wait()


@MODES
def test_what_comes_before_it_is_ready_is_done_once_it_is(servers: "type[Server]", mode: tuple[str, ...]) -> None:
    server = servers(*mode)
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        server.process.send_signal(number)
    until(server.is_ready)
    until(lambda: server.is_told("[RELOAD] c.xml: nothing has changed"))
    until(lambda: server.is_told("thread MainThread"))
    server.process.terminate()
    assert server.ended()[0] == 0


@MODES
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_they_may_come_at_any_moment(servers: "type[Server]", mode: tuple[str, ...], number: int) -> None:
    server = servers(*mode)
    while not server.is_ready():
        for _ in range(20):
            server.process.send_signal(number)
            child = server.child() if mode else 0
            if child:
                os.kill(child, number)
    server.process.terminate()
    assert server.ended()[0] == 0


@MODES
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGQUIT, 0)])
def test_it_ends_at_its_first_line(servers: "type[Server]", mode: tuple[str, ...], number: int, status: int) -> None:
    server = servers(*mode)
    server.process.send_signal(number)
    assert server.ended() == (status, "")


@MODES
def test_it_ends_whenever_it_is_told(servers: "type[Server]", mode: tuple[str, ...]) -> None:
    """A moment is so much processor time that it has used, which is the same on a busy machine."""
    for moment in range(3, 36, 5):
        server = servers(*mode)

        while server.used() < moment and not server.is_ready():
            os.sched_yield()
        server.process.terminate()
        status, errors = server.ended()
        assert (status, bool(QUIET.fullmatch(errors))) == (0, True), errors


def test_a_child_ends_whenever_it_is_told(servers: "type[Server]") -> None:
    server = servers("-m")
    until(server.child)
    os.kill(server.child(), signal.SIGTERM)
    status, errors = server.ended()
    assert (status, bool(QUIET.fullmatch(errors))) == (0, True), errors


@MODES
def test_while_it_stops_nothing_disturbs_it(servers: "type[Server]", mode: tuple[str, ...]) -> None:
    server = servers(*mode)
    until(server.is_ready)
    child = server.child() if mode else 0
    server.process.terminate()
    until(lambda: "shutting down" in server.errors.read_text())
    while server.process.poll() is None:
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGINT, signal.SIGTERM):
            server.process.send_signal(number)
            if child:
                try:
                    os.kill(child, number)
                except ProcessLookupError:
                    child = 0
    assert server.ended() == (0, "[TERMINATE] received sigterm, shutting down.\n")
