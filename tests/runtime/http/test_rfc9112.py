"""RFC 9112 request by request: what a client sends, and what comes of it; one case a line.

A case is the section, what it is about, the bytes, and the statuses that come: ``!`` behind them, the connection ends;
``?``, more is awaited.  Each is sent whole, in two halves, and byte by byte.
"""

import re

import pytest

from runtime.http import Limits, Request, Response
from runtime.http.protocol.http1 import Http1
from runtime.http.rest import dispatch

H = b"Host: a\r\n"
G = b"GET / HTTP/1.1\r\n" + H
GET = G + b"\r\n"
P = b"POST / HTTP/1.1\r\n" + H
LEN3 = b"Content-Length: 3\r\n"
TE = b"Transfer-Encoding: chunked\r\n"
CHUNKED = P + TE + b"\r\n"
LIMITS = Limits(max_header=1000, max_uri=200, max_upload=1000)


def line(text: bytes) -> bytes:
    return text + b"\r\n" + H + b"\r\n"


CASES = [
    ("2.1", "a request", GET, "200"),
    ("2.2", "an empty line before it", b"\r\n" + GET, "200"),
    ("2.2", "several empty lines before it", b"\r\n\r\n\r\n" + GET, "200"),
    ("2.2", "only empty lines", b"\r\n\r\n\r\n", "?"),
    ("2.2", "an empty line after a body", P + LEN3 + b"\r\nabc\r\n" + GET, "200 200"),
    ("2.2", "lines that end with LF alone", b"GET / HTTP/1.1\nHost: a\n\n", "400!"),
    ("2.2", "a header that ends with LF alone", b"GET / HTTP/1.1\r\nHost: a\n\r\n", "400!"),
    ("2.2", "a CR alone in a header", G + b"X: a\rb\r\n\r\n", "400!"),
    ("2.2", "a blank before the first header", b"GET / HTTP/1.1\r\n " + H + b"\r\n", "400!"),
    ("2.3", "version 1.0", b"GET / HTTP/1.0\r\n\r\n", "200!"),
    ("2.3", "version 1.0 with keep-alive", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "200"),
    ("2.3", "version 1.2", line(b"GET / HTTP/1.2"), "505!"),
    ("2.3", "version 2.0", line(b"GET / HTTP/2.0"), "505!"),
    ("2.3", "version 0.9", line(b"GET / HTTP/0.9"), "505!"),
    ("2.3", "no version", line(b"GET /"), "400!"),
    ("2.3", "a version in lower case", line(b"GET / http/1.1"), "400!"),
    ("2.3", "a version of one digit", line(b"GET / HTTP/1"), "505!"),
    ("2.3", "a version of too many digits", line(b"GET / HTTP/1.10"), "400!"),
    ("2.3", "another protocol", line(b"GET / RTSP/1.0"), "505!"),
    ("2.3", "yet another protocol", line(b"GET / ICE/1.0"), "505!"),
    ("3", "two blanks before the target", line(b"GET  / HTTP/1.1"), "400!"),
    ("3", "two blanks before the version", line(b"GET /  HTTP/1.1"), "400!"),
    ("3", "a tab before the target", line(b"GET\t/ HTTP/1.1"), "400!"),
    ("3", "a blank after the version", line(b"GET / HTTP/1.1 "), "400!"),
    ("3", "a blank before the method", line(b" GET / HTTP/1.1"), "400!"),
    ("3", "a blank in the target", line(b"GET /a b HTTP/1.1"), "400!"),
    ("3", "no target", line(b"GET HTTP/1.1"), "400!"),
    ("3", "a long target", line(b"GET /" + b"x" * 300 + b" HTTP/1.1"), "414!"),
    ("3", "two blanks in the second request", GET + line(b"GET  / HTTP/1.1"), "200 400!"),
    ("3", "two blanks behind chunks", CHUNKED + b"0\r\n\r\n" + line(b"GET  / HTTP/1.1"), "200 400!"),
    ("3.1", "a method in lower case", line(b"get / HTTP/1.1"), "400!"),
    ("3.1", "a method that nobody knows", line(b"FETCH / HTTP/1.1"), "400!"),
    ("3.1", "a method with a colon", line(b"GE:T / HTTP/1.1"), "400!"),
    ("3.1", "bytes that are no request", b"\x16\x03\x01\x02\0\x01\0", "400!"),
    ("3.2", "no host", b"GET / HTTP/1.1\r\n\r\n", "400!"),
    ("3.2", "two hosts", G + b"Host: b\r\n\r\n", "400!"),
    ("3.2", "the same host twice", G + H + b"\r\n", "400!"),
    ("3.2", "a host with a blank", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400!"),
    ("3.2", "a list of hosts", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400!"),
    ("3.2", "a host with a path", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400!"),
    ("3.2", "a host with a user", b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400!"),
    ("3.2", "a host with a port", b"GET / HTTP/1.1\r\nHost: a:80\r\n\r\n", "200"),
    ("3.2", "a host with a port that is none", b"GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", "400!"),
    ("3.2", "an address of IPv6", b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "200"),
    ("3.2", "an empty host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", "200"),
    ("3.2.1", "a query", line(b"GET /a?b=c HTTP/1.1"), "200"),
    ("3.2.1", "an escape that is none", line(b"GET /a%zz HTTP/1.1"), "400"),
    ("3.2.1", "a byte of zero, escaped", line(b"GET /a%00 HTTP/1.1"), "400"),
    ("3.2.1", "a control character", line(b"GET /a\x01 HTTP/1.1"), "400!"),
    ("3.2.2", "the absolute form", line(b"GET http://b/x HTTP/1.1"), "200"),
    ("3.2.2", "the absolute form without a path", line(b"GET http://b HTTP/1.1"), "200"),
    ("3.2.2", "the absolute form without a host", line(b"GET http:///x HTTP/1.1"), "400!"),
    ("3.2.2", "the absolute form with a user", line(b"GET http://u@b/x HTTP/1.1"), "400!"),
    ("3.2.2", "a target that is no path", line(b"GET x HTTP/1.1"), "400!"),
    ("3.2.3", "the authority form but for CONNECT", line(b"GET a:80 HTTP/1.1"), "400!"),
    ("3.2.3", "CONNECT", line(b"CONNECT a:80 HTTP/1.1"), "404!"),
    ("3.2.4", "OPTIONS of the server", line(b"OPTIONS * HTTP/1.1"), "200"),
    ("3.2.4", "the asterisk but for OPTIONS", line(b"GET * HTTP/1.1"), "400!"),
    ("5", "a header without a colon", G + b"X\r\n\r\n", "400!"),
    ("5", "a header without a name", G + b": x\r\n\r\n", "400!"),
    ("5", "a header without a value", G + b"X:\r\n\r\n", "200"),
    ("5", "many headers", G + b"X: y\r\n" * 90 + b"\r\n", "200"),
    ("5", "headers that are too many", G + b"X: y\r\n" * 300 + b"\r\n", "431!"),
    ("5", "a header that is too long", G + b"X: " + b"y" * 1200 + b"\r\n\r\n", "431!"),
    ("5", "a header without end", G + b"X: " + b"y" * 3000, "431!"),
    ("5.1", "a blank before the colon", G + b"X : y\r\n\r\n", "400!"),
    ("5.1", "a tab before the colon", G + b"X\t: y\r\n\r\n", "400!"),
    ("5.1", "blanks around the value", G + b"X:  \t y \t \r\n\r\n", "200"),
    ("5.1", "a name with a blank", G + b"X y: z\r\n\r\n", "400!"),
    ("5.1", "a name with a slash", G + b"X/y: z\r\n\r\n", "400!"),
    ("5.2", "a folded header", G + b"X: a\r\n b\r\n\r\n", "400!"),
    ("5.2", "a header folded with a tab", G + b"X: a\r\n\tb\r\n\r\n", "400!"),
    ("5.5", "a byte of zero", G + b"X: a\0b\r\n\r\n", "400!"),
    ("5.5", "a byte beyond ASCII", G + b"X: \xe4\r\n\r\n", "200"),
    ("6", "a body that stays away", P + LEN3 + b"\r\nab", "?"),
    ("6", "a body and the next request", P + LEN3 + b"\r\nabc" + GET, "200 200"),
    ("6", "a body of GET", G + LEN3 + b"\r\nabc" + GET, "200 200"),
    ("6.1", "chunks", CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + GET, "200 200"),
    ("6.1", "chunks, in capitals", P + b"Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", "200"),
    ("6.1", "a coding that nobody knows", P + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501!"),
    ("6.1", "chunks that are not last", P + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "400!"),
    ("6.1", "chunks twice", P + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "400!"),
    ("6.1", "identity", P + b"Transfer-Encoding: identity\r\n\r\n", "400!"),
    ("6.1", "a coding hidden by a control character", P + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", "400!"),
    ("6.1", "chunks in 1.0", b"POST / HTTP/1.0\r\n" + TE + b"\r\n0\r\n\r\n", "400!"),
    ("6.2", "a length and chunks", P + LEN3 + TE + b"\r\n0\r\n\r\n", "400!"),
    ("6.2", "chunks and a length", P + TE + LEN3 + b"\r\n0\r\n\r\n", "400!"),
    ("6.2", "two lengths", P + LEN3 + b"Content-Length: 4\r\n\r\nabc", "400!"),
    ("6.2", "the same length twice", P + LEN3 + LEN3 + b"\r\nabc", "400!"),
    ("6.2", "a list of lengths", P + b"Content-Length: 3, 3\r\n\r\nabc", "400!"),
    ("6.2", "a negative length", P + b"Content-Length: -3\r\n\r\nabc", "400!"),
    ("6.2", "a length with a sign", P + b"Content-Length: +3\r\n\r\nabc", "400!"),
    ("6.2", "a length in hexadecimal notation", P + b"Content-Length: 0x3\r\n\r\nabc", "400!"),
    ("6.2", "a length with a blank", P + b"Content-Length: 1 2\r\n\r\nabc", "400!"),
    ("6.2", "an empty length", P + b"Content-Length:\r\n\r\nabc", "400!"),
    ("6.2", "a length beyond the limit", P + b"Content-Length: 1001\r\n\r\n", "413!"),
    ("6.2", "a length beyond all numbers", P + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", "400!"),
    ("6.2", "a length of nothing", P + b"Content-Length: 0\r\n\r\n" + GET, "200 200"),
    ("6.3", "neither length nor chunks", P + b"\r\n" + GET, "200 200"),
    ("7.1", "a size in capitals", CHUNKED + b"A\r\n0123456789\r\n0\r\n\r\n", "200"),
    ("7.1", "a size with zeros before it", CHUNKED + b"0003\r\nabc\r\n0\r\n\r\n", "200"),
    ("7.1", "a size that is none", CHUNKED + b"x\r\nabc\r\n0\r\n\r\n", "400!"),
    ("7.1", "a size with a sign", CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n", "400!"),
    ("7.1", "a size in another notation", CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", "400!"),
    ("7.1", "a size with a blank before it", CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n", "400!"),
    ("7.1", "no size", CHUNKED + b"\r\nabc\r\n0\r\n\r\n", "400!"),
    ("7.1", "a chunk that is longer than its size", CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n", "400!"),
    ("7.1", "a size that ends with LF alone", CHUNKED + b"3\nabc\r\n0\r\n\r\n", "400!"),
    ("7.1", "a size beyond the limit", CHUNKED + b"3e9\r\n", "413!"),
    ("7.1", "a size beyond all numbers", CHUNKED + b"f" * 17 + b"\r\n", "413!"),
    ("7.1", "sizes that are together beyond it", CHUNKED + (b"100\r\n" + b"x" * 256 + b"\r\n") * 4, "413!"),
    ("7.1", "chunks of one byte", CHUNKED + b"1\r\nx\r\n" * 50 + b"0\r\n\r\n", "200"),
    ("7.1.1", "an extension", CHUNKED + b"3;a=b\r\nabc\r\n0\r\n\r\n", "200"),
    ("7.1.1", "an extension in quotes", CHUNKED + b'3;a="b c"\r\nabc\r\n0\r\n\r\n', "200"),
    ("7.1.1", "extensions without end", CHUNKED + b"3;" + b"a" * 3000, "400!"),
    ("7.1.2", "trailers", CHUNKED + b"0\r\nX: y\r\n\r\n" + GET, "200 200"),
    ("7.1.2", "trailers that are no headers", CHUNKED + b"0\r\nX y\r\n\r\n", "400!"),
    ("7.1.2", "trailers without end", CHUNKED + b"0\r\nX: " + b"y" * 3000, "400!"),
    ("9.3", "requests one behind the other", GET * 5, "200 200 200 200 200"),
    ("9.6", "the last request", G + b"Connection: close\r\n\r\n" + GET, "200!"),
    ("9.6", "the last request, among others", G + b"Connection: x, Close\r\n\r\n" + GET, "200!"),
    ("9.6", "a refusal ends it behind what came before", GET + line(b"GET  /") + GET, "200 400!"),
    ("10", "an expectation", P + LEN3 + b"Expect: 100-continue\r\n\r\n", "100?"),
    ("10", "an expectation that is met", P + LEN3 + b"Expect: 100-continue\r\n\r\nabc", "200"),
    ("10", "an expectation that nobody knows", P + LEN3 + b"Expect: more\r\n\r\nabc", "417!"),
]  # fmt: skip


def serve(request: Request, response: Response) -> None:
    if request.uri == b"*" or not request.path or request.method == b"CONNECT":
        dispatch.dispatch(request, response)
    else:
        response.write("x")
        response.flush_end()


def outcome(pieces: list[bytes]) -> str:
    protocol = Http1(serve, LIMITS)
    said = b""
    for piece in pieces:
        protocol.feed(piece)
        said += b"".join(protocol.output)
        protocol.output.clear()
    codes = [each.decode() for each in re.findall(rb"HTTP/1\.1 (\d{3}) ", said)]
    if (not protocol.closing and protocol.phase != "idle") or not codes:
        codes.append("?")
    return (" ".join(codes) + ("!" if protocol.closing else "")).replace(" ?", "?")


def test_there_are_a_hundred() -> None:
    assert len({case[2] for case in CASES}) > 100


IDS = [f"{each[0]} {each[1]}" for each in CASES]


@pytest.mark.parametrize(("data", "expected"), [each[2:] for each in CASES], ids=IDS)
def test_a_request_has_the_outcome_that_it_must_have(data: bytes, expected: str) -> None:
    assert outcome([data]) == expected
    assert torn(data[: len(data) // 2], data[len(data) // 2 :]) == plain(expected)
    if len(data) < 1000:
        assert torn(*(bytes([byte]) for byte in data)) == plain(expected)


def torn(*pieces: bytes) -> str:
    """The outcome of *pieces*: a continuation may be asked for, and a version be refused before it is all there."""
    return plain(outcome(list(pieces)))


def plain(text: str) -> str:
    return text.replace("100 ", "").replace("505", "400")
