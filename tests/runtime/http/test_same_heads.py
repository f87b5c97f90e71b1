"""A head that came before is not parsed again: nobody can tell, whatever the head, the limits and the connection."""

import re
from collections.abc import Iterator
from typing import Any

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.http import Http1, Limits, Request, Response
from runtime.http.protocol import http1

SAME = b"GET /same?q=1 HTTP/1.1\r\nHost: a\r\nX-One: 1\r\n\r\n"
HEADS = st.builds(
    lambda *parts: b"%b%b %b HTTP/%b\r\n%b\r\n" % parts,
    st.sampled_from([b"", b"", b"\r\n"]),
    st.sampled_from([b"GET", b"HEAD", b"POST", b"OPTIONS", b"CONNECT"]),
    st.sampled_from([b"/", b"/a%20b/../c?x", b"http://b/p", b"*", b"b:1", b"/\xff", b"/" + b"long" * 20]),
    st.sampled_from([b"1.1", b"1.1", b"1.0", b"1.2"]),
    st.lists(
        st.sampled_from(
            [
                b"Host: a\r\n",
                b"Host: a\r\n",
                b"Host: b/c\r\n",
                b"Connection: close\r\n",
                b"Connection: keep-alive\r\n",
                b"Connection: upgrade\r\nUpgrade: h2c\r\n",
                b"Content-Length: 0\r\n",
                b"Content-Length: 3\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"Expect: 100-continue\r\n",
                b"X-Long: " + b"x" * 100 + b"\r\n",
            ]
        ),
        max_size=4,
    ).map(b"".join),
)


class Parser:
    """A parser that tells how often it was asked."""

    count = 0

    def __init__(self, protocol: Any) -> None:
        self._parser = REAL(protocol)

    def feed_data(self, data: bytes) -> None:
        Parser.count += 1
        self._parser.feed_data(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)


REAL = httptools.HttpRequestParser


@pytest.fixture(autouse=True)
def _nothing_is_known() -> Iterator[None]:
    forget()
    yield
    forget()


def forget() -> None:
    http1._known.clear()
    http1._seen[:] = [0] * len(http1._seen)


def tell(request: Request, response: Response) -> None:
    """Answers with all that it was asked."""
    told = [request.method, request.uri, request.path, request.protocol, request.payload, bytes([request.keep_alive])]
    response.write(b" ".join([*told, *(name + b"=" + value for name, value in request.fields)]))
    response.flush_end()


def said_by(http: Http1) -> bytes:
    """What it says, but for the time."""
    said = b"".join(http.output)
    http.output.clear()
    return re.sub(rb"Date: [^\r]*", b"", said)


def answered(data: bytes, limits: Limits | None = None) -> tuple[bytes, Any, bool]:
    """What a connection says to *data*, and how it stands then."""
    http = Http1(tell, limits)
    http.feed(data)
    return said_by(http), http.phase, http.closing


def test_a_head_that_came_twice_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httptools, "HttpRequestParser", Parser)
    Parser.count = 0
    first = answered(SAME)
    assert [answered(SAME) for _ in range(4)] == [first] * 4
    assert Parser.count == 2


@given(HEADS, st.sampled_from([Limits(), Limits(max_uri=20), Limits(max_header=60)]))
def test_a_head_is_answered_the_same_however_often_it_came(head: bytes, limits: Limits) -> None:
    forget()
    first = answered(head)
    forget()
    narrow = answered(head, limits)
    for _ in range(3):
        assert answered(head) == first
        assert answered(head, limits) == narrow


@given(st.lists(HEADS, min_size=1, max_size=4))
def test_what_comes_on_a_connection_before_makes_no_difference(heads: list[bytes]) -> None:
    def said(heads: list[bytes]) -> list[bytes]:
        http, found = Http1(tell), []
        for head in heads:
            http.feed(head)
            found.append(said_by(http))
        return found

    forget()
    first = said(heads)
    for head in heads * 3:
        answered(head)
    assert said(heads) == first


def test_what_a_handler_does_to_its_request_is_not_seen_by_the_next() -> None:
    seen = []

    def handler(request: Request, response: Response) -> None:
        seen.append((list(request.fields), dict(request.headers), request.captures, request.user))
        request.fields.append((b"x-more", b"1"))
        request.headers[b"x-more"] = b"1"
        request.captures, request.user = (b"caught",), b"somebody"
        response.flush_end()

    http = Http1(handler)
    for _ in range(4):
        http.feed(SAME)
    assert seen == [([(b"host", b"a"), (b"x-one", b"1")], {b"host": b"a", b"x-one": b"1"}, (), None)] * 4


def test_blank_lines_are_no_request_while_one_waits() -> None:
    served: list[Request] = []
    http = Http1(lambda request, _response: served.append(request))
    for data in (SAME, SAME, b"\r\n", b"\r\n", b"\r\n"):
        http.feed(data)
    assert len(served) == 1
    assert http.begun == 2


def test_the_last_request_of_a_connection_is_the_last_though_it_is_known() -> None:
    for _ in range(3):
        answered(SAME)
    http = Http1(tell)
    http.last_call()
    http.feed(SAME)
    assert b"\r\nConnection: close\r\n" in said_by(http)
    assert http.closing


def test_long_heads_and_many_are_not_kept() -> None:
    long = SAME[:-2] + b"X-Long: " + b"x" * 600 + b"\r\n\r\n"
    for _ in range(3):
        answered(long)
    assert long not in http1._known
    for n in range(2000):
        answered(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n)
    assert not http1._known
    for n in range(2000):
        for _ in range(2):
            answered(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n)
    assert 900 < len(http1._known) <= 1024
