"""Bodies that Python handlers read as they come, and the pieces that they are made of; no network."""

import gzip
import zlib
from collections.abc import Iterator

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.http import Limits, Request, Response, Upload, UploadError
from runtime.http.message.encoding import Decoder
from runtime.http.message.upload import HIGH_WATER
from runtime.http.protocol.conversation import Terms
from runtime.http.protocol.http1 import Http1

HEAD = b"POST /x HTTP/1.1\r\nHost: a\r\n"


def encoded(text: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(text, mtime=0)
    if encoding == "lz4f":
        return lz4.frame.compress(text)
    if encoding == "bare deflate":
        bare = zlib.compressobj(9, zlib.DEFLATED, -15)
        return bare.compress(text) + bare.flush()
    return zlib.compress(text)


def torn(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = sizes[at % len(sizes)]
        yield data[at : at + size]
        at += size


ENCODINGS = st.sampled_from(["gzip", "deflate", "bare deflate", "lz4f"])
SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=7)


@given(
    texts=st.lists(st.binary(min_size=1, max_size=300).map(lambda part: part * 7), min_size=1, max_size=3),
    encoding=ENCODINGS,
    sizes=SIZES,
    most=st.integers(1, 500),
)
def test_pieces_decode_to_what_was_encoded(texts: list[bytes], encoding: str, sizes: list[int], most: int) -> None:
    upload = Upload(1 << 20, encoding.rpartition(" ")[2].encode())
    found = []
    for piece in torn(b"".join(encoded(each, encoding) for each in texts), sizes):
        upload.put(piece)
        while (got := upload.take(most)) is not None:
            assert 0 < len(got) <= most
            found.append(got)
    upload.end()
    while got := upload.take(most):
        found.append(got)
    assert b"".join(found) == b"".join(texts)
    assert upload.take() == b""


@given(text=st.binary(min_size=100, max_size=300), encoding=ENCODINGS, cut=st.integers(1, 90))
def test_what_is_cut_off_is_told(text: bytes, encoding: str, cut: int) -> None:
    body = encoded(text, encoding)
    upload = Upload(1 << 20, encoding.rpartition(" ")[2].encode())
    upload.put(body[: -min(cut, len(body) - 1)])
    upload.end()
    with pytest.raises(UploadError, match=r"that is cut off|no ") as told:
        while upload.take():
            pass
    assert told.value.status == 400
    with pytest.raises(UploadError):
        upload.take()


def test_an_encoding_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(LookupError):
        Decoder(b"br")


def test_pieces_are_no_larger_than_was_asked_and_not_smaller_than_needs_be() -> None:
    upload = Upload(100)
    assert upload.take() is None
    for piece in (b"a", b"bc", b"defgh"):
        upload.put(piece)
    assert upload.take(4) == b"abc"
    assert upload.take(4) == b"defg"
    assert upload.take() == b"h"
    assert upload.take() is None
    upload.end()
    assert upload.take() == b""


def test_news_are_told_once() -> None:
    upload = Upload(100)
    told: list[str] = []
    upload.await_news(lambda: told.append("news"))
    upload.put(b"a")
    upload.put(b"b")
    assert told == ["news"]
    upload.await_news(lambda: told.append("failed"))
    upload.fail(0, "the client is gone")
    assert told == ["news", "failed"]
    assert upload.take() == b"ab"  # what came still counts
    with pytest.raises(UploadError, match="the client is gone"):
        upload.take()


def test_what_nobody_read_is_no_end() -> None:
    upload = Upload(100)
    upload.put(b"a")
    upload.end()
    upload.drop()
    with pytest.raises(UploadError, match="the request is answered"):
        upload.take()
    read = Upload(100)
    read.end()
    read.drop()
    assert read.take() == b""


class Reader:
    """A protocol, and the requests that it served."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.served: list[tuple[Request, Response]] = []
        self.http = Http1(self.serve, limits or Limits(max_upload=1 << 20), Terms(admit=self.admit))

    def admit(self, request: Request) -> None:
        request.streams = True

    def serve(self, request: Request, response: Response) -> None:
        self.served.append((request, response))

    def said(self) -> bytes:
        data = b"".join(self.http.output)
        self.http.output.clear()
        self.http.sent(len(data))
        return data


def test_no_more_is_taken_than_may_wait() -> None:
    reader = Reader()
    reader.http.feed(HEAD + b"Content-Length: 1000000\r\n\r\n")
    (request, response) = reader.served[0]
    upload = request.upload
    assert upload is not None
    sent = 0
    while not reader.http.paused:
        reader.http.feed(bytes(32768))
        sent += 32768
    assert HIGH_WATER < sent <= HIGH_WATER + 32768
    assert upload.take()
    assert not reader.http.paused
    assert not reader.http.starved
    while upload.take():
        pass
    upload.await_news(lambda: None)
    assert reader.http.starved
    reader.http.feed(bytes(1000000 - sent))
    assert not reader.http.starved
    assert request.payload == b""
    response.flush_end()
    assert upload.received == 1000000
    assert reader.http.is_between


def test_a_client_is_told_to_go_on_once_and_not_after_the_answer_began() -> None:
    for begins, expected in ((False, True), (True, False)):
        reader = Reader()
        reader.http.feed(HEAD + b"Content-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        request, response = reader.served[0]
        assert request.upload is not None
        assert reader.said() == b""
        if begins:
            response.write(b"x")
            response.flush()
            assert reader.said().startswith(b"HTTP/1.1 200 ")
        for _ in range(2):
            request.upload.await_news(lambda: None)
            assert (b"100 Continue" in reader.said()) == expected
            expected = False


def test_a_body_without_bytes_is_none() -> None:
    reader = Reader()
    reader.http.feed(HEAD + b"Content-Length: 0\r\n\r\n")
    assert reader.served[0][0].upload is None
    reader = Reader()
    reader.http.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Own: 1\r\n\r\n")
    request, _ = reader.served[0]
    assert request.upload is not None
    assert request.upload.take() == b""
    assert request.trailers == [(b"x-own", b"1")]


def test_many_tiny_chunks_are_no_body() -> None:
    reader = Reader(Limits(max_header=1000))
    reader.http.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1" + b";x" * 2000)
    request, response = reader.served[0]
    assert request.upload is not None
    with pytest.raises(UploadError, match="malformed"):
        request.upload.take()
    response.error(400)
    assert reader.said().startswith(b"HTTP/1.1 400 ")
    assert reader.http.closing
