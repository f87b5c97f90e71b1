"""What HTTP logs: its bytes, its connections, which rule a request goes to, and handlers that fail."""

import subprocess
from collections.abc import Iterator

import pytest
from hearing import hear, wait_for
from serving import client, house, received, server

from runtime import net
from runtime.eventer import Pool
from runtime.http import Request, Response


@pytest.fixture(autouse=True)
def open_house(loops: Pool) -> Iterator[None]:
    allow = b'<app><rest><acl><rule type="deny" url="^/secret"/><rule type="allow"/></acl></rest></app>'
    with house(("GET", "^(hello|secret)$", hello), ("GET", "^fails$", fails), allow=allow):
        yield


def hello(_request: Request, response: Response) -> None:
    response.write("Hello World")
    response.flush_end()


def fails(_request: Request, _response: Response) -> None:
    raise KeyError("mistake")


def ask(path: str) -> bytes:
    with client(server()) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        return received(sock)


def test_http_io_shows_every_byte_both_ways() -> None:
    heard = hear("http/io")
    answer = ask("/hello").decode()
    request = "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert wait_for(heard, r"^\[fd=\d+\] mtev_http:read\(\) => ").endswith(f"() => {len(request)} [\n{request}\n]\n")
    assert wait_for(heard, r"^ http_write\(\d+\) => ").endswith(f") => {len(answer)} [\n{answer}\n]\n")


def test_debug_http_tells_of_connections() -> None:
    heard = hear("debug/http")
    ask("/hello")
    wait_for(heard, r"^<Session .*127\.0\.0\.1.*> begins$")
    wait_for(heard, r"^<Session .*127\.0\.0\.1.*> ends$")


def test_debug_rest_tells_where_a_request_goes() -> None:
    heard = hear("debug/rest")
    assert b" 200 " in ask("/hello")
    wait_for(heard, r"^<Request GET /hello> goes to <Mountpoint GET / ")
    assert b" 403 " in ask("/secret")
    wait_for(heard, r"^<Request GET /secret> is denied$")
    assert b" 404 " in ask("/elsewhere")
    wait_for(heard, r"^<Request GET /elsewhere> goes to no rule$")


def test_a_handler_that_fails_is_an_error_of_rest() -> None:
    heard, errors = hear("error/rest"), hear("error")
    assert b" 500 " in ask("/fails")
    line = wait_for(heard, r"^handler of <Request GET /fails> failed")
    assert "KeyError" in line
    assert errors() == [line]


def test_debug_http2_tells_who_speaks_it() -> None:
    heard = hear("debug/http2")
    listener = net.open_listener("http_rest_api", "127.0.0.1")
    listener.start()
    url = f"http://127.0.0.1:{listener.port}/hello"
    done = subprocess.run(["curl", "-sS", "--http2-prior-knowledge", url], capture_output=True, timeout=60, check=True)
    assert done.stdout == b"Hello World"
    wait_for(heard, r"^<Session .*127\.0\.0\.1.*> speaks HTTP/2$")
