"""Trace points of HTTP/1 and HTTP/2: each request passes them in order.  Manual: DTrace, HTTP Server."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from serving import house, server
from tracing import heard, wait_for

from runtime import eventer
from runtime.http import Request, Response
from runtime.http.serve import guests

EACH = ["http-request-start", "http-request-finish", "http-response-start", "http-response-finish"]
POINTS = ("http-accept", *EACH, "http-log", "http-close")
HELLO = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(autouse=True)
def open_house(loops: eventer.Pool) -> Iterator[None]:
    with house(("GET", "^hello$", hello), ("POST", "^echo$", echo)):
        yield


def hello(_request: Request, response: Response) -> None:
    response.write("Hello World")
    response.flush_end()


def echo(request: Request, response: Response) -> None:
    response.write(request.payload)
    response.flush()
    response.resume(response.flush_end)


def steps(told: list[tuple[Any, ...]]) -> list[str]:
    return [name for name, *_ in told if name != "http-log"]


def test_requests_of_a_connection_pass_them_in_order() -> None:
    with heard(*POINTS) as told:
        with socket.create_connection(("127.0.0.1", server()), 20) as sock:
            local = sock.getsockname()
            sock.sendall(HELLO + b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12")
            wait_for(told, lambda each: steps(told).count("http-request-start") == 2)
            sock.sendall(b"345")
            wait_for(told, lambda each: each[0] == "http-log" and "POST /echo" in each[3])
        wait_for(told, lambda each: each[0] == "http-close")
    assert steps(told) in (
        ["http-accept", *EACH, *EACH, "http-close"],
        ["http-accept", *EACH[:2], EACH[0], *EACH[2:], *EACH[1:], "http-close"],
    )
    (peer,) = {each[2] for each in told}
    assert (peer.remote, peer.port) == local
    assert {each[1] for each in told} == {peer.fd} and peer.fd > 0
    lines = [each[3] for each in told if each[0] == "http-log"]
    assert '"GET /hello HTTP/1.1" 200' in lines[0] and '"POST /echo HTTP/1.1" 200' in lines[1]


def test_a_request_that_is_refused_is_answered_all_the_same() -> None:
    with heard(*POINTS) as told, socket.create_connection(("127.0.0.1", server()), 20) as sock:
        sock.sendall(b"GET /hello HTTP/9.9\r\n\r\n")
        wait_for(told, lambda each: each[0] == "http-close")
    assert steps(told) == ["http-accept", *EACH[2:], "http-close"]


def test_bytes_are_told_as_they_come_and_go() -> None:
    with heard("eventer-accept-return", "eventer-read-return", "eventer-write-return", "eventer-close-return") as told:
        where = server()
        with socket.create_connection(("127.0.0.1", where), 20) as sock:
            local = "{}:{}".format(*sock.getsockname())
            sock.sendall(HELLO)
            assert b"Hello World" in sock.recv(1000)
        wait_for(told, lambda each: each[0] == "eventer-close-return")
    accepted = next(each for each in told if each[2] == local.encode())
    assert accepted[0] == "eventer-accept-return"
    fd = accepted[-1]
    mine = [(name, data, result) for name, of, data, *_, result in told if of == fd and name != "eventer-close-return"]
    assert mine[0] == ("eventer-read-return", HELLO, len(HELLO))
    assert mine[1][0] == "eventer-write-return" and mine[1][1].endswith(b"Hello World")
    assert mine[-1] == ("eventer-read-return", b"", 0)
    assert [each[1] for each in told if each[0] == "eventer-close-return"] == [fd]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
def test_streams_of_http2_pass_them_too() -> None:
    where = f"http://127.0.0.1:{server()}"
    with heard(*POINTS) as told:
        command = [
            "curl",
            "-sS",
            "--http2-prior-knowledge",
            "-d",
            "body",
            f"{where}/echo",
            "--next",
            "-s",
            f"{where}/hello",
        ]
        done = subprocess.run(command, capture_output=True, timeout=60, check=True)
        assert done.stdout == b"bodyHello World"
        wait_for(told, lambda each: each[0] == "http-close")
    assert steps(told).count("http-response-finish") == 2
    assert [each for each in steps(told) if each in EACH][:4] == EACH
    assert len([each for each in told if each[0] == "http-log"]) == 2


@pytest.mark.parametrize("name", [*POINTS[1:-1], "eventer-read-entry", "eventer-write-return"])
def test_nobody_serves_unseen_while_requests_are_heard(name: str) -> None:
    assert not guests.is_hooked()
    with heard(name):
        assert guests.is_hooked()
    assert not guests.is_hooked()
