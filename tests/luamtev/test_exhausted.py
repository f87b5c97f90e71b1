"""Servers that have no descriptor left, or very many open: what waits for better times, and what works all the same."""

import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from launching import Launched, free_port, general
from waiting import until

CONFIGURATION = """\
<cli>
  <eventer><config><concurrency>1</concurrency></config></eventer>
  <logs><console_output><outlet name="stderr"/><log name="error"/></console_output></logs>
  <modules>{general}</modules>
  <listeners><listener type="http_rest_api" address="127.0.0.1" port="{port}"><config>
    <idle_timeout>3000</idle_timeout><header_timeout>3000</header_timeout>
  </config></listener></listeners>
  <rest><acl><rule type="allow"/></acl></rest>
</cli>
"""
FEW = 256


class Server(Launched):
    def __init__(self, directory: Path, main: str) -> None:
        self.directory = directory
        self.port = free_port()
        (directory / "app.conf").write_text(CONFIGURATION.format(general=general(directory), port=self.port))
        (directory / "main.lua").write_text(f"module(..., package.seeall)\nfunction main() {main} end")

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 60)

    def status(self) -> bytes:
        with self.connect() as client:
            client.sendall(b"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return client.recv(1000)[:12]


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """What is started has few; this process, which has more already, goes on as before."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_clients_that_take_all_descriptors_of_a_server_that_has_just_begun_do_not_end_it(
    tmp_path: Path, few_descriptors: None
) -> None:
    """Nor keep them: it imports what it needs for that while it may."""
    (tmp_path / "limit").mkdir()
    server = Server(tmp_path, "")
    text = (tmp_path / "app.conf").read_text()
    (tmp_path / "app.conf").write_text(
        text.replace("<concurrency>", f"<rlim_nofiles>{FEW}</rlim_nofiles><concurrency>")
    )
    server.launch("app.conf")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4 * FEW, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    try:
        server.await_port(server.port)
        flood = [server.connect() for _ in range(FEW + 100)]
        server.await_text("cannot accept: Too many open files")
        until(lambda: server.lives() and server.status() == b"HTTP/1.1 404")  # those who said nothing were left
        for each in flood:
            each.close()
        assert "Traceback" not in server.errors()
        assert server.stop() == 0
    finally:
        server.kill()


MANY = """
local open = {}
for i = 1, 1100 do open[i] = mtev.open("/dev/null", O_RDONLY) assert(open[i] >= 0) end
mtev.log("error", "all open\\n")
mtev.waitfor("what never comes")
"""


def test_a_process_with_very_many_descriptors_obeys_signals_and_shows_its_stacks(tmp_path: Path) -> None:
    server = Server(tmp_path, MANY)
    server.launch("app.conf")
    try:
        server.await_text("all open")
        assert server.process is not None
        for number in (1, 2):
            server.process.send_signal(signal.SIGUSR1)
            server.process.send_signal(signal.SIGUSR2)
            server.await_text("Lua state of lua_general", number)
        assert "main.lua:6:" in server.errors() and "stacks cannot be had" not in server.errors()
        assert server.stop() == 0
    finally:
        server.kill()
