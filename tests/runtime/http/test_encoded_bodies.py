"""Bodies of requests that come encoded: decoded for the handler, within the limit, or refused."""

import gzip
import zlib

import lz4.frame
import pytest

from runtime.http import Limits, Request, Response
from runtime.http.protocol.http1 import Http1

TEXT = b"some text " * 50
RAW = zlib.compressobj(9, zlib.DEFLATED, -15)
SKIPPABLE = bytes.fromhex("502a4d18 04000000") + b"note"
"""A frame of LZ4 that decoders pass over."""
BARE = RAW.compress(TEXT) + RAW.flush()


def packed(content: bytes) -> bytes:
    """*content* as gzip, the same at every hour: tests are named by it."""
    return gzip.compress(content, mtime=0)


def post(body: bytes, encoding: str, most: int = 10_000) -> tuple[int, Request | None]:
    seen: list[Request] = []

    def serve(request: Request, response: Response) -> None:
        seen.append(request)
        response.flush_end()

    protocol = Http1(serve, Limits(max_upload=most))
    head = f"POST /x HTTP/1.1\r\nHost: a\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
    protocol.feed(head.encode() + body)
    return int(b"".join(protocol.output)[9:12]), seen[0] if seen else None


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", packed(TEXT)),
        ("GZIP", packed(TEXT)),
        ("x-gzip", packed(TEXT)),
        ("gzip", packed(TEXT[:100]) + packed(TEXT[100:])),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", BARE),
        ("lz4f", lz4.frame.compress(TEXT)),
        ("lz4f", lz4.frame.compress(TEXT[:100]) + SKIPPABLE + lz4.frame.compress(TEXT[100:])),
        ("lz4f", SKIPPABLE + lz4.frame.compress(TEXT)),
        ("deflate, gzip", packed(zlib.compress(TEXT))),
        ("identity", TEXT),
        ("gzip, identity", packed(TEXT)),
    ],
)
def test_a_body_arrives_decoded(encoding: str, body: bytes) -> None:
    status, request = post(body, encoding)
    assert status == 200
    assert request is not None
    assert request.payload == TEXT
    assert request.header("content-encoding") is None


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("br", b"x", 415),
        ("gzip, br", b"x", 415),
        ("gzip", b"no gzip", 400),
        ("gzip", packed(TEXT)[:-1], 400),
        ("gzip", packed(TEXT) + b"more", 400),
        ("deflate", zlib.compress(TEXT)[:-1], 400),
        ("deflate", b"\xff\xff", 400),
        ("lz4f", lz4.frame.compress(TEXT)[:-1], 400),
        ("lz4f", b"no lz4", 400),
        ("gzip", packed(bytes(10_001)), 413),
        ("gzip", packed(bytes(9_000)) * 2, 413),
        ("deflate", zlib.compress(bytes(10_001)), 413),
        ("lz4f", lz4.frame.compress(bytes(10_001)), 413),
        ("gzip, gzip", packed(packed(bytes(1_000_000))), 413),
    ],
)
def test_what_cannot_be_decoded_or_is_too_long_is_refused(encoding: str, body: bytes, status: int) -> None:
    assert post(body, encoding) == (status, None)


def test_the_limit_is_that_of_what_is_decoded() -> None:
    assert post(packed(bytes(10_000)), "gzip")[0] == 200
