"""The program with consoles, and a client that speaks to it byte by byte."""

import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from launching import Launched, free_ports

PROGRAM = Path(__file__).with_name("program.py")
RECORDED = Path(__file__).parents[2] / "data" / "console"


class Program(Launched):
    """The server; ``plain``, ``telnet`` and ``web`` are its ports."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clients: list[Client] = []
        self.plain, self.telnet, self.web = free_ports(3)
        ports = [str(each) for each in (self.plain, self.telnet, self.web)]
        with (directory / "errors").open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(PROGRAM), str(directory), *ports],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
        self.await_text("started")
        self.await_port(self.web)

    def client(self, port: int | None = None) -> "Client":
        made = Client(self.plain if port is None else port)
        self.clients.append(made)
        return made

    def close(self) -> None:
        for each in self.clients:
            each.sock.close()
        self.kill()


class Client:
    """A connection to a console."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 20)
        self.closed = False

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def next(self, timeout: float) -> bytes:
        """What comes next; nothing at the end, and when nothing comes for so many seconds."""
        if not select.select([self.sock], [], [], max(timeout, 0))[0]:
            return b""
        data = self.sock.recv(1 << 16)
        self.closed = not data
        return data

    def until(self, end: bytes, timeout: float = 20) -> bytes:
        """All bytes up to *end*, or up to the end of the connection."""
        deadline, got = time.monotonic() + timeout, b""
        while not got.endswith(end):
            data = self.next(deadline - time.monotonic())
            if self.closed:
                break
            assert data, f"expected {end!r} at the end of {got[-2000:]!r}"
            got += data
        return got

    def while_not(self, enough: Callable[[bytes], bool], patience: float = 5.0) -> bytes:
        """What comes until it is *enough*, or until nothing more comes for so many seconds."""
        got = b""
        while not enough(got) and (data := self.next(patience)):
            got += data
        return got

    def quiet(self, seconds: float = 0.2) -> bytes:
        """What comes until nothing more does."""
        return self.while_not(lambda _: False, seconds)

    def ask(self, line: str, prompt: bytes = b"example1# ") -> str:
        """What is shown for *line*, without its echo and the prompt behind."""
        self.send(line.encode() + b"\r")
        got = self.until(prompt)
        echo = line.encode() + b"\r\n"
        assert got.startswith(echo), got
        return got[len(echo) : -len(prompt)].decode()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The same, for tests that leave it as it was."""
    made = Program(tmp_path_factory.mktemp("console"))
    yield made
    made.close()


def recorded(name: str) -> list[tuple[str, bytes]]:
    """The steps of a recording: ``>`` or ``<`` or what else there is, and bytes."""
    steps: list[Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return [
        (
            direction[0] if direction[0] in "<>" else direction,
            bytes.fromhex(text) if "hex" in direction else text.encode(),
        )
        for direction, text in steps
    ]
