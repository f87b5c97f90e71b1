"""The protocol by plain calls: what goes in, what the handler gets, what comes out."""

import gzip
import os
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taking import taken

from runtime.http import CHUNKED, CLOSE, DEFLATE, GZIP, Http1, Limits, Request, Response
from runtime.http.protocol.conversation import Terms

Handler = Callable[[Request, Response], object]
CRLF = b"\r\n"


def hello(request: Request, response: Response) -> None:
    response.write(b"hello " + request.uri)
    response.flush_end()


class Client:
    """A protocol and what it served."""

    def __init__(self, handler: Handler = hello, limits: Limits | None = None) -> None:
        self.requests: list[Request] = []
        self.responses: list[Response] = []

        def serve(request: Request, response: Response) -> None:
            self.requests.append(request)
            self.responses.append(response)
            handler(request, response)

        self.http = Http1(serve, limits)

    def send(self, data: bytes) -> bytes:
        self.http.feed(data)
        return self.sent()

    def sent(self) -> bytes:
        """What the network takes of the output now."""
        return taken(self.http)


def get(path: bytes = b"/", *headers: bytes, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    return CRLF.join([method + b" " + path + b" HTTP/" + version, b"Host: a", *headers, b"", b""])


def bodies(stream: bytes) -> list[tuple[int, bytes]]:
    """The status and the body of each response, of those with a length."""
    found = []
    while stream:
        head, _, rest = stream.partition(b"\r\n\r\n")
        lines = head.split(CRLF)
        length = next(int(each.split(b":")[1]) for each in lines if each.lower().startswith(b"content-length"))
        found.append((int(lines[0].split()[1]), rest[:length]))
        stream = rest[length:]
    return found


def test_a_request_is_answered_with_date_and_length() -> None:
    answer = Client().send(get(b"/x"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
    assert answer.endswith(b"GMT\r\nContent-Length: 8\r\n\r\nhello /x")


def test_a_request_holds_what_was_sent() -> None:
    client = Client()
    client.send(get(b"/a%20b?x=1&y=a+b%21&x=2#f", b"X-One: 1", b"x-one: 2", b"Cookie: a=b", method=b"DELETE"))
    request = client.requests[0]
    assert (request.method, request.path, request.query) == (b"DELETE", b"/a b", b"x=1&y=a+b%21&x=2")
    assert request.headers == {b"host": b"a", b"x-one": b"1, 2", b"cookie": b"a=b"}
    assert request.header("X-ONE") == b"1, 2"
    assert request.querystring() == {b"x": b"1", b"y": b"a b!"}
    assert request.querystring("y") == b"a b!"
    assert request.querystring("z") is None


def test_a_proxys_uri_has_the_path_behind_its_host() -> None:
    client = Client()
    client.send(get(b"http://a/p?q") + get(b"http://a"))
    assert [each.path for each in client.requests] == [b"/p", b"/"]


STREAM = (
    get(b"/1")
    + get(b"/2", b"Content-Length: 5", method=b"POST")
    + b"12345"
    + get(b"/3", b"Transfer-Encoding: chunked", method=b"PUT")
    + b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
    + get(b"/4", b"Connection: upgrade", b"Upgrade: h2c", b"Content-Length: 3", method=b"POST")
    + b"xyz"
    + get(b"/5", b"Connection: upgrade", b"Upgrade: h2c")
    + get(b"/6")
)


def check_stream(client: Client, answer: bytes) -> None:
    assert [each.uri for each in client.requests] == [b"/%d" % n for n in range(1, 7)]
    assert [each.payload for each in client.requests] == [b"", b"12345", b"abcde", b"xyz", b"", b""]
    assert client.requests[2].trailers == [(b"trailer", b"t")]
    assert bodies(answer) == [(200, b"hello /%d" % n) for n in range(1, 7)]
    assert not client.http.closing


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_requests_torn_anywhere_are_the_same_requests(cut: int) -> None:
    client = Client()
    check_stream(client, client.send(STREAM[:cut]) + client.send(STREAM[cut:]))


def test_requests_that_come_a_byte_at_a_time_are_the_same_requests() -> None:
    client = Client()
    check_stream(client, b"".join(client.send(STREAM[n : n + 1]) for n in range(len(STREAM))))


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_requests_torn_in_many_pieces_are_the_same_requests(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    client = Client()
    answer = b"".join(client.send(STREAM[a:b]) for a, b in pairwise(edges))
    check_stream(client, answer)


@given(st.lists(st.binary(max_size=200), max_size=6))
def test_whatever_comes_ends_in_answers_or_waits(pieces: list[bytes]) -> None:
    client = Client()
    for piece in pieces:
        answer = client.send(piece)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 ")


@given(st.integers(0, len(STREAM) - 1), st.binary(min_size=1, max_size=3))
def test_a_damaged_stream_never_raises(at: int, damage: bytes) -> None:
    client = Client()
    client.send(STREAM[:at] + damage + STREAM[at + len(damage) :])
    assert all(response.complete for response in client.responses)


def test_responses_leave_in_the_order_of_their_requests() -> None:
    client = Client(lambda _request, _response: None)
    assert client.send(get(b"/1") + get(b"/2")) == b""
    assert len(client.requests) == 1, "one at a time"
    assert client.http.paused
    client.responses[0].write("first")
    client.responses[0].flush_end()
    client.responses[1].write("second")
    client.responses[1].flush_end()
    assert bodies(client.sent()) == [(200, b"first"), (200, b"second")]
    assert not client.http.paused


BAD = {
    "bare line feeds": b"GET / HTTP/1.1\nHost: a\n\n",
    "a bare line feed after a header": b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "two lengths": get(b"/", b"Content-Length: 3", b"Content-Length: 4", method=b"POST") + b"abc",
    "the same length twice": get(b"/", b"Content-Length: 3", b"Content-Length: 3", method=b"POST") + b"abc",
    "a list of lengths": get(b"/", b"Content-Length: 3, 3", method=b"POST") + b"abc",
    "a signed length": get(b"/", b"Content-Length: +3", method=b"POST") + b"abc",
    "length and chunks": get(b"/", b"Content-Length: 3", b"Transfer-Encoding: chunked", method=b"POST") + b"0\r\n\r\n",
    "chunks and length": get(b"/", b"Transfer-Encoding: chunked", b"Content-Length: 3", method=b"POST") + b"0\r\n\r\n",
    "a coding that is not the last": get(b"/", b"Transfer-Encoding: chunked, x", method=b"POST") + b"0\r\n\r\n",
    "a coding nobody knows": get(b"/", b"Transfer-Encoding: xchunked", method=b"POST") + b"0\r\n\r\n",
    "a space before the colon": get(b"/", b"Transfer-Encoding : chunked", method=b"POST") + b"0\r\n\r\n",
    "a folded header": get(b"/", b"X: a", b" b"),
    "chunks in 1.0": get(b"/", b"Transfer-Encoding: chunked", method=b"POST", version=b"1.0") + b"0\r\n\r\n",
    "a chunk size in hexadecimal notation": get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
    + b"0x3\r\nabc\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": get(b"/", b"Host: b"),
    "a zero byte": get(b"/", b"X: a\0b"),
    "an unknown method": get(b"/", method=b"FOO"),
    "no path": get(b"x"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_two_servers_could_read_in_two_ways_is_refused_and_ends_the_connection(name: str) -> None:
    client = Client()
    answer = client.send(BAD[name] + get(b"/smuggled"))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer
    assert b"Connection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert client.requests == []
    assert client.http.closing
    assert client.send(get()) == b"", "nothing is served any more"


def test_a_bad_request_is_refused_behind_the_answers_to_good_ones() -> None:
    client = Client()
    assert [status for status, _ in bodies(client.send(get() + get() + BAD["no host"]))] == [200, 200, 400]


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (505, get(version=b"2.0")),
        (505, get(version=b"0.9")),
        (501, get(b"/", b"Transfer-Encoding: gzip, chunked", method=b"POST")),
        (417, get(b"/", b"Expect: wonders")),
        (414, get(b"/" + b"x" * 101)),
        (414, b"GET /" + b"x" * 101),
        (431, get(b"/", b"X: " + b"y" * 1000)),
        (431, get(b"/", *[b"X-%d: y" % n for n in range(300)])),
        (413, get(b"/", b"Content-Length: 51", method=b"POST")),
        (413, get(b"/", b"Transfer-Encoding: chunked", method=b"POST") + b"33\r\n" + b"x" * 51),
    ],
)
def test_what_is_too_much_is_refused_with_its_status(status: int, data: bytes) -> None:
    whole, torn = (Client(limits=Limits(max_header=1000, max_uri=100, max_upload=50)) for _ in range(2))
    assert bodies(whole.send(data))[0][0] == status
    assert bodies(b"".join(torn.send(data[n : n + 7]) for n in range(0, len(data), 7)))[0][0] == status
    assert whole.http.closing
    assert torn.http.closing
    assert whole.requests == torn.requests == []


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST"])
@pytest.mark.parametrize("bad", [get(b"/p", b"x : y"), get(b"/p", b"x: \0"), get(b"/p", b"content-length: x")])
def test_the_log_tells_what_was_asked_by_a_request_whose_head_is_refused(method: bytes, bad: bytes) -> None:
    completed: list[Response] = []
    http = Http1(hello, terms=Terms(on_complete=completed.append))
    http.feed(bad.replace(b"GET", method, 1))
    sent = taken(http)
    assert sent.startswith(b"HTTP/1.1 400 ") and sent.endswith(b"\r\n\r\n") == (method == b"HEAD")
    (response,) = completed
    assert (response.request.method, response.request.uri) == (method, b"/p")


BAD_HEADS = [
    *(b"%b t HTTP/1.1", b"%b t", b"%b /p", b"%b", b"%b  /p HTTP/1.1", b"%b /p HTTP/1.1 ", b"%b /p  HTTP/1.1"),
    *(b"%b /p HTP/1.1", b"%b /p HTTP/11", b"%b /p HTTP/2.0", b"%b /p HTTP/3.1", b"%b /p http/1.1", b"%b /\0 HTTP/1.1"),
    *(b"%b * HTTP/1.1", b"%b a:b HTTP/1.1", b"%b http:// HTTP/1.1", b"%b\t/p HTTP/1.1", b"%b /p\tHTTP/1.1"),
    *(b"%b /p HTTP/1.1\r\nHost : a", b"%b /p HTTP/1.1\r\n: a", b"%b /p HTTP/1.1\r\nX: \0", b"%b /p HTTP/1.1\r\n x"),
]


@pytest.mark.parametrize("bad", [*BAD_HEADS, *(b"\r\n" + bad for bad in BAD_HEADS[:3])])
@pytest.mark.parametrize("before", [b"", get(b"/before")])
def test_a_refused_head_is_answered_alike_wherever_it_is_torn(bad: bytes, before: bytes) -> None:
    """That of HEAD without a body, if it is HEAD's at all."""
    for method in (b"HEAD", b"GET", b"HEADER", b"head"):
        data = before + bad % method + b"\r\nHost: a\r\n\r\n"
        is_head = (bad % method).lstrip().startswith(b"HEAD ")
        for cut in range(len(before), len(data) + 1):
            http = Http1(hello)
            http.feed(data[:cut])
            http.feed(data[cut:])
            _, _, answer = taken(http).rpartition(b"HTTP/1.1 ")
            assert answer.startswith((b"400 ", b"505 ")), cut
            assert answer.endswith(b"\r\n\r\n") == is_head, (cut, answer)
            assert http.closing


def test_a_head_without_end_is_refused_before_it_fills_memory() -> None:
    client = Client(limits=Limits(max_header=1000))
    client.send(b"GET / HTTP/1.1\r\nX: ")
    fed = 0
    while not client.http.closing:
        client.send(b"y" * 100)
        fed += 100
        assert fed < 2000


@pytest.mark.parametrize("piece", [b"1\r\nx\r\n", b"1;" + b"e" * 100 + b"\r\nx\r\n"])
def test_chunks_that_are_mostly_wrapping_are_borne_within_reason(piece: bytes) -> None:
    client = Client(limits=Limits(max_header=1000))
    client.send(get(b"/", b"Transfer-Encoding: chunked", method=b"POST"))
    for _ in range(200):
        client.send(piece)
    assert client.http.closing == (len(piece) > 100)


def test_a_trailer_without_end_is_refused() -> None:
    client = Client(limits=Limits(max_header=1000))
    client.send(get(b"/", b"Transfer-Encoding: chunked", method=b"POST") + b"0\r\nX: ")
    answer = b"".join(client.send(b"y" * 100) for _ in range(20))
    assert bodies(answer)[0][0] == 400


def test_pipelined_requests_in_one_piece_do_not_add_up_to_a_long_head() -> None:
    client = Client(limits=Limits(max_header=1000))
    data = get(b"/", b"X: " + b"y" * 400) * 10
    assert len(bodies(client.send(data + get()[:5]))) == 10
    assert len(bodies(client.send(get()[5:]))) == 1


def test_an_expectant_client_is_told_to_go_on_and_then_answered() -> None:
    client = Client()
    head = get(b"/", b"Expect: 100-continue", b"Content-Length: 3", method=b"POST")
    assert client.send(head) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert client.send(b"ab") == b""
    assert bodies(client.send(b"c")) == [(200, b"hello /")]
    assert bodies(client.send(head + b"abc")) == [(200, b"hello /")], "it did not wait"


def test_an_expectant_client_waits_for_the_answers_before() -> None:
    client = Client(lambda _request, _response: None)
    client.send(get(b"/1"))
    head = get(b"/2", b"Expect: 100-continue", b"Content-Length: 3", method=b"POST")
    assert client.send(head) == b""
    client.responses[0].flush_end()
    assert client.sent().endswith(b"\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")


def test_an_upload_that_nobody_takes_is_refused_before_it_is_sent() -> None:
    http = Http1(hello, terms=Terms(admit=lambda request: 404 if request.path == b"/nowhere" else None))
    http.feed(get(b"/nowhere", b"Expect: 100-continue", b"Content-Length: 3", method=b"POST"))
    assert bodies(b"".join(http.output))[0][0] == 404
    assert http.closing
    assert http.lingering, "the client may be sending it"


@pytest.mark.parametrize(
    ("version", "header", "kept", "says"),
    [
        (b"1.1", b"X: y", True, None),
        (b"1.1", b"Connection: close", False, b"close"),
        (b"1.1", b"Connection: x, Close", False, b"close"),
        (b"1.0", b"X: y", False, b"close"),
        (b"1.0", b"Connection: keep-alive", True, b"keep-alive"),
    ],
)
def test_the_connection_is_kept_as_version_and_client_say(
    version: bytes, header: bytes, kept: bool, says: bytes | None
) -> None:
    client = Client()
    answer = client.send(get(b"/", header, version=version))
    assert client.http.closing is not kept
    assert (b"\r\nConnection: " + says + CRLF in answer) if says else b"Connection" not in answer
    assert bodies(client.send(get())) == ([(200, b"hello /")] if kept else [])


def test_head_is_answered_like_get_without_the_body() -> None:
    answer = Client().send(get(method=b"HEAD") + get())
    first, _, rest = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: 7" in first
    assert bodies(rest) == [(200, b"hello /")]


@pytest.mark.parametrize("code", [204, 304])
def test_a_status_without_body_has_none(code: int) -> None:
    def handler(_request: Request, response: Response) -> None:
        response.status(code)
        response.write("nothing")
        response.flush_end()

    answer = Client(handler).send(get())
    assert answer.endswith(b"\r\n\r\n")
    assert b"Content-Length" not in answer
    assert b"chunked" not in answer


def streamed(_request: Request, response: Response) -> None:
    response.header("Content-Type", "text/plain")
    response.write("one ")
    response.flush()
    response.write("two ")
    response.write("three")
    response.flush()
    response.flush_end()


def test_a_flushed_response_is_chunked() -> None:
    client = Client(streamed)
    head, _, body = client.send(get()).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert body == b"4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n"
    assert not client.http.closing


def test_a_flushed_response_ends_with_the_connection_in_1_0() -> None:
    client = Client(streamed)
    head, _, body = client.send(get(b"/", b"Connection: keep-alive", version=b"1.0")).partition(b"\r\n\r\n")
    assert b"Connection: close" in head
    assert body == b"one two three"
    assert client.http.closing


def test_a_response_of_announced_length_is_sent_as_it_is() -> None:
    def handler(_request: Request, response: Response) -> None:
        response.header("Content-Length", "6")
        response.write("abc")
        response.flush()
        response.write("defghi")
        response.flush_end()

    client = Client(handler)
    assert client.send(get()).endswith(b"Content-Length: 6\r\n\r\nabcdef"), "and no byte more"
    assert not client.http.closing


def test_a_response_shorter_than_announced_ends_the_connection() -> None:
    def handler(_request: Request, response: Response) -> None:
        response.header("Content-Length", "6")
        response.write("abc")
        response.flush_end()

    client = Client(handler)
    client.send(get())
    assert client.http.closing


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize(("option", "name", "wbits"), [(GZIP, b"gzip", 31), (DEFLATE, b"deflate", 15)])
def test_a_body_is_compressed_when_the_handler_asks_and_the_client_accepts(
    early: bool, option: int, name: bytes, wbits: int
) -> None:
    content = b"compress me " * 1000

    def handler(_request: Request, response: Response) -> None:
        response.option(option)
        response.write(content[:100])
        if early:
            response.flush()
        response.write(content[100:])
        response.flush_end()

    client = Client(handler)
    head, _, body = client.send(get(b"/", b"Accept-Encoding: " + name)).partition(b"\r\n\r\n")
    assert b"Content-Encoding: " + name in head
    assert b"Vary: Accept-Encoding" in head
    if early:
        pieces = []
        while body:
            size, _, body = body.partition(CRLF)
            pieces.append(body[: int(size, 16)])
            body = body[int(size, 16) + 2 :]
        body = b"".join(pieces)
    assert len(body) < len(content) / 10
    assert zlib.decompress(body, wbits) == content
    for refusing in (b"identity", b"*;q=0", name + b";q=0, br"):
        head, _, body = client.send(get(b"/", b"Accept-Encoding: " + refusing)).partition(b"\r\n\r\n")
        assert b"Content-Encoding" not in head
        assert b"compress me" in body


def test_the_option_chunked_has_chunks_where_the_length_is_known() -> None:
    def handler(_request: Request, response: Response) -> None:
        response.option(CHUNKED | GZIP)
        response.write("abc")
        response.flush_end()

    assert Client(handler).send(get()).endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    answer = Client(handler).send(get(b"/", b"Accept-Encoding: gzip"))
    assert b"chunked" in answer or gzip.decompress(answer.partition(b"\r\n\r\n")[2]) == b"abc"


def test_the_option_close_ends_the_connection() -> None:
    def handler(_request: Request, response: Response) -> None:
        response.option(CLOSE)
        response.flush_end()

    client = Client(handler)
    assert b"Connection: close" in client.send(get())
    assert client.http.closing


def test_headers_and_reason_go_out_as_given() -> None:
    def handler(_request: Request, response: Response) -> None:
        response.status(299, "As Given")
        response.header("X-A", "1")
        response.header("x-a", b"2")
        response.header("Set-Cookie", "a=1")
        response.header("Set-Cookie", "b=2")
        response.flush_end()

    answer = Client(handler).send(get())
    assert answer.startswith(b"HTTP/1.1 299 As Given\r\n")
    assert b"X-A: 1" not in answer
    assert b"x-a: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n" in answer


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X", "a\r\nY: b"),
        ("X", "a\0"),
        ("X\r\n", "a"),
        ("", "a"),
        ("X Y", "a"),
        ("Content-Length", "-1"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "keep-alive"),
    ],
)
def test_a_header_that_would_break_the_framing_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"header|Content-Length"):
        Response(Request(), Http1(hello)).header(name, value)


def test_other_mistakes_of_handlers_raise() -> None:
    response = Response(Request(), Http1(hello))
    for code in (0, 100, 1000):
        with pytest.raises(ValueError, match="200 to 999"):
            response.status(code)
    with pytest.raises(ValueError, match="control characters"):
        response.status(200, "a\r\nb")
    with pytest.raises(ValueError, match="no option"):
        response.option(1 << 20)
    response.flush_end()
    with pytest.raises(ValueError, match="ended"):
        response.write("late")
    response.flush_end()


@pytest.mark.parametrize("early", [True, False])
def test_a_handler_that_fails_is_an_error_or_a_cut_response(early: bool) -> None:
    def handler(_request: Request, response: Response) -> None:
        response.write("so far")
        if early:
            response.flush()
        raise RuntimeError("on purpose")

    client = Client(handler)
    answer = client.send(get())
    assert answer.startswith(b"HTTP/1.1 200" if early else b"HTTP/1.1 500 Internal Server Error")
    assert not answer.endswith(b"0\r\n\r\n")
    assert b"on purpose" not in answer
    assert client.http.closing is early


def test_a_client_that_never_reads_is_not_served_without_end() -> None:
    def handler(_request: Request, response: Response) -> None:
        response.write(b"x" * 100_000)
        response.flush_end()

    client = Client(handler)
    client.http.feed(get() * 1000)
    assert client.http.paused
    assert client.http.backlog < 500_000
    assert len(client.sent()) > 100_000_000, "all of them once it reads"


def test_a_large_file_is_read_as_the_client_takes_it(tmp_path: Path) -> None:
    content = os.urandom(5_000_000)
    (tmp_path / "f").write_bytes(content)

    def handler(_request: Request, response: Response) -> None:
        fd = os.open(tmp_path / "f", os.O_RDONLY)
        response.write("<")
        response.write_fd(fd, len(content) - 10, 10)
        response.write(">")
        os.close(fd)
        response.flush_end()

    client = Client(handler)
    client.http.feed(get())
    assert client.http.backlog < 500_000
    body = client.sent().partition(b"\r\n\r\n")[2]
    assert body == b"<" + content[10:] + b">"
    assert client.responses[0].complete


def test_a_response_learns_that_its_client_is_gone(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(5_000_000))
    closed = []

    def handler(_request: Request, response: Response) -> None:
        response.on_close = lambda: closed.append(True)
        with open(tmp_path / "f", "rb") as file:
            response.write_fd(file.fileno())
        response.flush()

    before = len(list(Path("/dev/fd").iterdir()))
    client = Client(handler)
    client.http.feed(get())
    client.http.disconnected()
    response = client.responses[0]
    assert closed == [True]
    assert response.complete
    response.write("into the void")
    assert response.flush() is False
    response.flush_end()
    assert client.sent() == b""
    assert len(list(Path("/dev/fd").iterdir())) == before
