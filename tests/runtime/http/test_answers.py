"""Answers that do not go as meant, and clients that do not wait for them: nobody is left without an end."""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from serving import server, suspended

from runtime import eventer, hooks, http, net
from runtime.eventer import Pool
from runtime.http import Request, Response
from runtime.http.message import content
from runtime.http.message import response as responses
from runtime.http.protocol.http1 import Http1

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


def answered(serve: Any, data: bytes = GET) -> tuple[Http1, bytes]:
    protocol = Http1(serve)
    protocol.feed(data)
    return protocol, b"".join(protocol.output)


def test_connection_close_as_a_header_closes() -> None:
    def serve(_request: Request, response: Response) -> None:
        response.header("Connection", "close")
        response.write("x")
        response.flush_end()

    protocol, said = answered(serve)
    assert said.count(b"Connection: close\r\n") == 1
    assert protocol.closing


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Connection", "keep-alive"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "x"),
        ("Content-Length", "9" * 19),
        ("Content-Length", "+1"),
    ],
)
def test_headers_that_are_the_servers_raise_where_they_are_set(name: str, value: str) -> None:
    raised: list[ValueError] = []

    def serve(_request: Request, response: Response) -> None:
        try:
            response.header(name, value)
        except ValueError as failure:
            raised.append(failure)
        response.flush_end()

    assert answered(serve)[1].startswith(b"HTTP/1.1 200 ")
    assert len(raised) == 1


@pytest.mark.parametrize("flushed", [False, True])
def test_what_fails_at_the_end_is_a_500_or_a_cut(flushed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(_request: Request, response: Response) -> None:
        response.option(http.GZIP)
        if flushed:
            response.flush()
        response.write("x")
        with monkeypatch.context() as patch:
            broken = type("Broken", (), {"compress": fail, "flush": fail})()
            patch.setattr(responses._encoding, "compressor", lambda _: broken)
            if flushed:
                response._compressor = broken
            response.flush_end()

    def fail(*_: object) -> bytes:
        raise OSError("no more")

    protocol, said = answered(serve, b"GET /x HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
    if flushed:
        assert protocol.closing
        assert not said.endswith(b"0\r\n\r\n")
    else:
        assert said.startswith(b"HTTP/1.1 500 ")


def test_a_hook_that_fails_keeps_nobody_from_the_answer() -> None:
    def fail(*_: object) -> int:
        raise ValueError("a hook")

    registered = hooks.find("http_response_starting")
    assert registered is not None
    registered.register("fails", fail)
    try:
        assert answered(lambda _, response: response.flush_end())[1].startswith(b"HTTP/1.1 200 ")
    finally:
        registered.unregister("fails")


def test_a_file_that_shrinks_under_a_chunked_answer_ends_without_the_last_chunk(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(bytes(1 << 20))

    def serve(_request: Request, response: Response) -> None:
        response.flush()
        with path.open("rb") as file:
            response.write_fd(file.fileno())
        os.truncate(path, 100_000)
        response.flush_end()

    protocol = Http1(serve)
    protocol.feed(GET)
    said = b""
    while protocol.output:
        sent = b"".join(protocol.output)
        protocol.output.clear()
        said += sent
        protocol.sent(len(sent))
    assert b"Transfer-Encoding: chunked" in said
    assert not said.endswith(b"0\r\n\r\n")
    assert protocol.closing


def test_a_file_that_cannot_be_read_any_more_is_a_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "big"
    path.write_bytes(bytes(1 << 20))

    def serve(_request: Request, response: Response) -> None:
        with path.open("rb") as file:
            response.write_fd(file.fileno())
        response.flush_end()

    protocol = Http1(serve)
    protocol.feed(GET)
    assert protocol.active is not None

    def fail(*_: object) -> bytes:
        raise OSError("input/output error")

    monkeypatch.setattr(content.os, "pread", fail)
    protocol.output.clear()
    protocol.sent(protocol.backlog)
    assert protocol.closing
    assert protocol.active is None


def test_trailers_may_come_byte_by_byte() -> None:
    seen: list[Request] = []

    def serve(request: Request, response: Response) -> None:
        seen.append(request)
        response.flush_end()

    head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    protocol = Http1(serve)
    for byte in head + b"3\r\nabc\r\n0\r\nX-One: 1\r\nX-Two: two\r\n\r\n" + GET:
        protocol.feed(bytes([byte]))
    assert (seen[0].payload, seen[0].trailers) == (b"abc", [(b"x-one", b"1"), (b"x-two", b"two")])
    assert seen[1].method == b"GET"


@pytest.fixture
def waiting(loops: Pool) -> Iterator[Queue[Response]]:
    with suspended() as responses:
        yield responses


def end(response: Response) -> None:
    def now() -> None:
        response.write("done")
        response.flush_end()

    response.resume(now)


def turns(thread: eventer.LoopThread, count: int = 20) -> None:
    """Lets the loop turn some times."""
    for _ in range(count):
        turned = threading.Event()
        thread.post(turned.set)
        assert turned.wait(20)


WAIT = b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"


def test_a_client_that_half_closes_while_its_handler_is_suspended_is_answered(waiting: Queue[Response]) -> None:
    with socket.create_connection(("127.0.0.1", server()), 20) as client:
        client.sendall(WAIT)
        response = waiting.get(timeout=20)
        client.shutdown(socket.SHUT_WR)
        assert response.owner is not None
        turns(response.owner)
        assert not watched_for_reading(), "nobody looks at an end that was seen"
        end(response)
        data = b""
        while chunk := client.recv(65536):
            data += chunk
    assert data.endswith(b"done")


def watched_for_reading() -> list[Any]:
    return [each for each in eventer.sockets() if each["callback"] == "http" and each["mask"] & eventer.READ]


def test_requests_behind_a_suspended_handler_wait_and_no_more_is_read(waiting: Queue[Response]) -> None:
    with socket.create_connection(("127.0.0.1", server()), 20) as client:
        client.sendall(WAIT * 3)
        response = waiting.get(timeout=20)
        assert response.owner is not None
        client.sendall(WAIT * 100)
        turns(response.owner)
        assert not watched_for_reading()
        assert waiting.empty(), "one at a time"
        for _ in range(102):
            end(response)
            response = waiting.get(timeout=20)
        end(response)
        data = b""
        while data.count(b"done") < 103:
            data += client.recv(65536)


def test_a_client_that_half_closes_behind_pipelined_requests_gets_all_answers(waiting: Queue[Response]) -> None:
    with socket.create_connection(("127.0.0.1", server()), 20) as client:
        client.sendall(WAIT * 3)
        client.shutdown(socket.SHUT_WR)
        for _ in range(3):
            response = waiting.get(timeout=20)
            assert response.owner is not None
            turns(response.owner)
            assert not watched_for_reading()
            end(response)
        data = b""
        while chunk := client.recv(65536):
            data += chunk
    assert data.count(b"done") == 3


def test_a_client_that_goes_while_its_handler_is_suspended_leaves_nothing(waiting: Queue[Response]) -> None:
    with socket.create_connection(("127.0.0.1", server()), 20) as client:
        client.sendall(WAIT)
        response = waiting.get(timeout=20)
        gone = threading.Event()
        response.resume(lambda: setattr(response, "on_close", gone.set))
        assert response.owner is not None
        turns(response.owner, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert gone.wait(20)
    turns(response.owner)
    assert not net.connections(response.owner)


def test_a_line_end_now_and_then_keeps_no_connection_open(waiting: Queue[Response]) -> None:
    gone = threading.Event()
    with socket.create_connection(("127.0.0.1", server(idle_timeout="300")), 20) as client:

        def drip() -> None:
            try:
                while not gone.wait(0.05):
                    client.sendall(b"\r\n")
            except OSError:
                pass

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            while client.recv(100):
                pass
        except ConnectionError:
            pass
        finally:
            gone.set()
            dripping.join()


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_the_limit_of_a_head_holds_however_it_comes(pieces: int) -> None:
    def statuses(size: int) -> bytes:
        protocol = Http1(lambda _, response: response.flush_end(), http.Limits(max_header=1000))
        head = b"GET /x HTTP/1.1\r\nHost: a\r\nX: " + b"y" * size + b"\r\n\r\n"
        for at in range(0, len(head), -(-len(head) // pieces)):
            protocol.feed(head[at : at - (-len(head) // pieces)])
        return b"".join(protocol.output)[9:12]

    assert statuses(900) == b"200"
    assert statuses(1100) == b"431"


def test_a_body_goes_with_its_request() -> None:
    kept: list[Request] = []

    def serve(request: Request, response: Response) -> None:
        kept.append(request)
        response.flush_end()

    protocol = Http1(serve)
    protocol.feed(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000))
    payload = kept.pop().payload
    assert sys.getrefcount(payload) == 2, "the connection that is idle now holds it"


@pytest.mark.parametrize("flushed", [False, True])
def test_a_205_has_no_body(flushed: bool) -> None:
    def serve(_request: Request, response: Response) -> None:
        response.status(205)
        response.write("something")
        if flushed:
            response.flush()
            response.write("more")
        response.flush_end()

    said = answered(serve, GET + GET)[1]
    assert said.count(b"HTTP/1.1 205 Reset Content\r\n") == 2
    assert said.count(b"Content-Length: 0\r\n") == 2
    assert said.endswith(b"\r\n\r\n")


def test_the_absolute_form_names_the_host_that_counts() -> None:
    seen: list[Request] = []

    def serve(request: Request, response: Response) -> None:
        seen.append(request)
        response.flush_end()

    answered(serve, b"GET http://b:8/x HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n")
    assert seen[0].header("host") == b"b:8"
    assert seen[0].fields == [(b"host", b"b:8"), (b"x", b"y")]
