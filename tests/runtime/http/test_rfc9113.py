"""RFC 9113 frame by frame, sections 3 to 8: what a client sends, and what comes of it; one case a line.

A case is the section, what it is about, what follows preface and SETTINGS, and what is expected: ``GOAWAY code``;
``RST stream code``; ``200 stream``; several of those; ``ok``, nothing but acknowledgements; ``closed`` without an error.
Whatever does not end the connection must leave it usable: every such case is followed by a request that is answered,
but where streams are used up (``full``, ``last``), the client wants no more (``parting``) or cannot read (``shut``).
"""

import struct
from typing import Any

import pytest

from runtime.http import Limits, Request, Response
from runtime.http.protocol.frames import PREFACE
from runtime.http.protocol.http2 import Http2

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END, ACK, HEAD, PADDED, PRIO = 0x1, 0x1, 0x4, 0x8, 0x20
ALL = END | HEAD
THEN = b"\xff then \xff"  # what follows comes when the rest has been answered
CODES = [
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
]  # fmt: skip


def f(kind: int, payload: bytes = b"", stream: int = 0, flags: int = 0) -> bytes:
    """A frame."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def lit(name: str, value: str = "") -> bytes:
    """A field, not indexed and not compressed.  RFC 7541, 6.2.2."""
    raw = (name.encode("latin-1"), value.encode("latin-1"))
    return b"\0" + b"".join(_number(len(each)) + each for each in raw)


def _number(value: int) -> bytes:
    if value < 127:
        return bytes([value])
    value -= 127
    more = b"\x7f"
    while value > 127:
        more += bytes([value & 127 | 128])
        value >>= 7
    return more + bytes([value])


def head(method: str = "GET", path: str = "/", scheme: str = "http", authority: str | None = "a", **more: str) -> bytes:
    """The fields of a request."""
    block = lit(":method", method) + lit(":scheme", scheme) + lit(":path", path)
    if authority is not None:
        block += lit(":authority", authority)
    return block + b"".join(lit(name.replace("_", "-"), value) for name, value in more.items())


def req(*fields: bytes, stream: int = 1, flags: int = ALL, **parts: Any) -> bytes:
    """A request in one HEADERS frame."""
    return f(HEADERS, head(**parts) + b"".join(fields), stream, flags)


def post(*fields: bytes, stream: int = 1, **parts: Any) -> bytes:
    """The head of a request whose body is to come."""
    return req(*fields, stream=stream, flags=HEAD, method="POST", **parts)


def setting(number: int, value: int) -> bytes:
    """The payload of a SETTINGS frame with one of them."""
    return struct.pack(">HI", number, value)


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


BLOCK = head()
TRAILER = lit("x-sum", "1")

CASES: list[tuple[str, str, bytes, str]] = [
    # 4.1 frames
    ("4.1", "a frame of an unknown kind is ignored", f(0x16, b"what"), "ok"),
    ("4.1", "of an unknown kind on an idle stream", f(0xFE, b"what", 9), "ok"),
    ("4.1", "flags without meaning are ignored", f(PING, bytes(8), 0, 0xFE), "ok"),
    ("4.1", "the reserved bit is ignored", f(HEADERS, BLOCK, 1 | 1 << 31, ALL), "200 1"),
    # 4.2 sizes
    ("4.2", "DATA of 16,384 bytes", post() + f(DATA, bytes(16384), 1, END), "200 1"),
    ("4.2", "DATA of 16,385 bytes", post() + f(DATA, bytes(16385), 1, END), "GOAWAY FRAME_SIZE_ERROR"),
    ("4.2", "HEADERS of 16,385 bytes", f(HEADERS, bytes(16385), 1, ALL), "GOAWAY FRAME_SIZE_ERROR"),
    ("4.2", "SETTINGS of 16,385 bytes", f(SETTINGS, bytes(16385)), "GOAWAY FRAME_SIZE_ERROR"),
    ("4.2", "an unknown kind of 16,385 bytes", f(0xBB, bytes(16385)), "GOAWAY FRAME_SIZE_ERROR"),
    ("4.2", "a head announced too long, before its bytes", b"\x00\x40\x01\x01\x05" + u32(1), "GOAWAY FRAME_SIZE_ERROR"),
    # 4.3 compression
    ("4.3", "an index that is not in the table", f(HEADERS, b"\xbf", 1, ALL), "GOAWAY COMPRESSION_ERROR"),
    ("4.3", "index 0", f(HEADERS, b"\x80", 1, ALL), "GOAWAY COMPRESSION_ERROR"),
    ("4.3", "a field that ends in the middle", f(HEADERS, BLOCK[:-1], 1, ALL), "GOAWAY COMPRESSION_ERROR"),
    ("4.3", "a table beyond what was allowed", f(HEADERS, b"\x3f\xe2\x1f" + BLOCK, 1, ALL), "GOAWAY COMPRESSION_ERROR"),
    ("4.3", "a table resized to nothing", f(HEADERS, b"\x20" + BLOCK, 1, ALL), "200 1"),
    ("4.3", "a size of the table behind a field", f(HEADERS, BLOCK + b"\x20", 1, ALL), "GOAWAY COMPRESSION_ERROR"),
    ("4.3", "Huffman code with EOS", f(HEADERS, BLOCK + b"\x00\x01x\x84\xff\xff\xff\xff", 1, ALL), "GOAWAY COMPRESSION_ERROR"),
    ("4.3", "Huffman padding with zeros", f(HEADERS, BLOCK + b"\x00\x01x\x81\x18", 1, ALL), "GOAWAY COMPRESSION_ERROR"),
    ("4.3", "a number without end", f(HEADERS, b"\xff" + b"\xff" * 12, 1, ALL), "GOAWAY COMPRESSION_ERROR"),
    ("4.3", "errors of trailers too", post() + f(HEADERS, b"\x80", 1, ALL), "GOAWAY COMPRESSION_ERROR"),
    ("4.3", "the block of a refused request still counts", req(stream=1, path="/#") + f(HEADERS, b"\x80", 3, ALL), "GOAWAY COMPRESSION_ERROR"),
    ("4.3", "PING within a header block", f(HEADERS, BLOCK[:9], 1, END) + f(PING, bytes(8)), "GOAWAY PROTOCOL_ERROR"),
    ("4.3", "DATA within a header block", f(HEADERS, BLOCK[:9], 1) + f(DATA, b"x", 1), "GOAWAY PROTOCOL_ERROR"),
    ("4.3", "an unknown kind within a header block", f(HEADERS, BLOCK[:9], 1, END) + f(0xBB), "GOAWAY PROTOCOL_ERROR"),
    # 5.1 states of streams
    ("5.1", "idle: DATA", f(DATA, b"x", 1), "GOAWAY PROTOCOL_ERROR"),
    ("5.1", "idle: RST_STREAM", f(RST, u32(8), 1), "GOAWAY PROTOCOL_ERROR"),
    ("5.1", "idle: WINDOW_UPDATE", f(WINDOW, u32(1), 1), "GOAWAY PROTOCOL_ERROR"),
    ("5.1", "idle: a WINDOW_UPDATE of nothing", f(WINDOW, u32(0), 1), "GOAWAY PROTOCOL_ERROR"),
    ("5.1", "idle: CONTINUATION", f(CONTINUATION, BLOCK, 1, HEAD), "GOAWAY PROTOCOL_ERROR"),
    ("5.1", "idle: PRIORITY", f(PRIORITY, u32(0) + b"\x10", 1), "ok"),
    ("5.1", "half closed: DATA", req(path="/wait") + f(DATA, b"x", 1), "GOAWAY STREAM_CLOSED"),
    ("5.1", "half closed: HEADERS", req(path="/wait") + req(path="/wait"), "GOAWAY STREAM_CLOSED"),
    ("5.1", "half closed: WINDOW_UPDATE", req(path="/wait") + f(WINDOW, u32(9), 1), "ok"),
    ("5.1", "half closed: PRIORITY", req(path="/wait") + f(PRIORITY, u32(0) + b"\x10", 1), "ok"),
    ("5.1", "half closed: RST_STREAM", req(path="/wait") + f(RST, u32(8), 1), "ok"),
    ("5.1", "half closed: CONTINUATION", req(path="/wait") + f(CONTINUATION, BLOCK, 1, HEAD), "GOAWAY PROTOCOL_ERROR"),
    ("5.1", "closed: DATA", req() + THEN + f(DATA, b"x", 1), "200 1; GOAWAY STREAM_CLOSED"),
    ("5.1", "closed: HEADERS", req() + THEN + req(), "200 1; GOAWAY STREAM_CLOSED"),
    ("5.1", "closed: WINDOW_UPDATE", req() + THEN + f(WINDOW, u32(9), 1), "200 1"),
    ("5.1", "closed: RST_STREAM", req() + THEN + f(RST, u32(8), 1), "200 1"),
    ("5.1", "closed: PRIORITY", req() + THEN + f(PRIORITY, u32(0) + b"\x10", 1), "200 1"),
    ("5.1", "reset by the client: DATA", post() + f(RST, u32(8), 1) + f(DATA, b"x", 1), "GOAWAY STREAM_CLOSED"),
    ("5.1", "reset by the client: trailers", post() + f(RST, u32(8), 1) + f(HEADERS, TRAILER, 1, ALL), "GOAWAY STREAM_CLOSED"),
    ("5.1", "reset by us: DATA on its way", post(path="/#") + THEN + f(DATA, b"x" * 99, 1), "RST 1 PROTOCOL_ERROR"),
    ("5.1", "reset by us: trailers on their way", post(path="/#") + THEN + f(HEADERS, TRAILER, 1, ALL), "RST 1 PROTOCOL_ERROR"),
    ("5.1", "reset by us: RST_STREAM on its way", post(path="/#") + THEN + f(RST, u32(8), 1), "RST 1 PROTOCOL_ERROR"),
    ("5.1", "reset by us: WINDOW_UPDATE on its way", post(path="/#") + THEN + f(WINDOW, u32(1), 1), "RST 1 PROTOCOL_ERROR"),
    # 5.1.1 numbers of streams
    ("5.1.1", "an even number", req(stream=2), "GOAWAY PROTOCOL_ERROR"),
    ("5.1.1", "stream 0", req(stream=0), "GOAWAY PROTOCOL_ERROR"),
    ("5.1.1", "a number below the last", req(stream=5) + THEN + req(stream=3), "200 5; GOAWAY PROTOCOL_ERROR"),
    ("5.1.1", "numbers may be left out", req(stream=1) + req(stream=101), "200 1; 200 101"),
    ("5.1.1", "the highest number", req(stream=(1 << 31) - 1), "200 2147483647; last"),
    # 5.1.2 how many at a time
    ("5.1.2", "100 streams at a time", b"".join(req(path="/wait", stream=n) for n in range(1, 200, 2)), "full"),
    ("5.1.2", "one more", b"".join(req(path="/wait", stream=n) for n in range(1, 202, 2)), "RST 201 REFUSED_STREAM; full"),
    ("5.1.2", "one that ended makes room", b"".join(req(path="/wait", stream=n) for n in range(1, 200, 2)) + f(RST, u32(8), 1) + req(stream=201), "200 201"),
    # 5.2 and 6.9 flow control
    ("6.9", "WINDOW_UPDATE of the connection by 0", f(WINDOW, u32(0)), "GOAWAY PROTOCOL_ERROR"),
    ("6.9", "WINDOW_UPDATE of a stream by 0", req(path="/wait") + f(WINDOW, u32(0), 1), "RST 1 PROTOCOL_ERROR"),
    ("6.9", "WINDOW_UPDATE of 3 bytes", f(WINDOW, b"123"), "GOAWAY FRAME_SIZE_ERROR"),
    ("6.9", "WINDOW_UPDATE of 5 bytes on a stream", req(path="/wait") + f(WINDOW, b"12345", 1), "GOAWAY FRAME_SIZE_ERROR"),
    ("6.9", "the reserved bit is ignored", f(WINDOW, u32(1 << 31 | 5)), "ok"),
    ("6.9", "DATA beyond the window of the stream", post() + f(DATA, bytes(16384), 1) * 17, "GOAWAY FLOW_CONTROL_ERROR"),
    ("6.9.1", "a window of the connection beyond 2^31-1", f(WINDOW, u32((1 << 31) - 1)), "GOAWAY FLOW_CONTROL_ERROR"),
    ("6.9.1", "by two frames", f(WINDOW, u32(1 << 30)) * 2, "GOAWAY FLOW_CONTROL_ERROR"),
    ("6.9.1", "a window of a stream beyond 2^31-1", req(path="/wait") + f(WINDOW, u32((1 << 31) - 1), 1), "RST 1 FLOW_CONTROL_ERROR"),
    ("6.9.1", "the largest window of a stream", req(path="/wait") + f(WINDOW, u32((1 << 31) - 1 - 65535), 1), "ok"),
    ("6.9.1", "an empty answer needs no window", f(SETTINGS, setting(4, 0)) + req(path="/empty"), "200 1; shut"),
    ("6.9.1", "an answer waits for the window", f(SETTINGS, setting(4, 0)) + req() + THEN + f(WINDOW, u32(9), 1), "200 1; shut"),
    ("6.9.2", "INITIAL_WINDOW_SIZE counts for streams that are there", f(SETTINGS, setting(4, 0)) + req() + THEN + f(SETTINGS, setting(4, 9)), "200 1"),
    ("6.9.2", "a window that became negative", req(path="/large") + THEN + f(SETTINGS, setting(4, 9)) + f(WINDOW, u32(99), 1), "200 1; shut"),
    ("6.9.2", "INITIAL_WINDOW_SIZE beyond 2^31-1", f(SETTINGS, setting(4, 1 << 31)), "GOAWAY FLOW_CONTROL_ERROR"),
    ("6.9.2", "one that makes a window overflow", req(path="/wait") + f(WINDOW, u32(99), 1) + f(SETTINGS, setting(4, (1 << 31) - 1)), "GOAWAY FLOW_CONTROL_ERROR"),
    # 5.3 priority
    ("5.3.2", "priority in HEADERS is passed over", f(HEADERS, u32(0) + b"\xff" + BLOCK, 1, ALL | PRIO), "200 1"),
    ("5.3.2", "an exclusive one", f(HEADERS, u32(1 << 31 | 3) + b"\x01" + BLOCK, 1, ALL | PRIO), "200 1"),
    ("6.2", "HEADERS too short for its priority", f(HEADERS, b"1234", 1, ALL | PRIO), "GOAWAY FRAME_SIZE_ERROR"),
    ("6.3", "PRIORITY on itself", f(PRIORITY, u32(1) + b"\x10", 1), "ok"),
    ("6.3", "PRIORITY on stream 0", f(PRIORITY, u32(1) + b"\x10"), "GOAWAY PROTOCOL_ERROR"),
    ("6.3", "PRIORITY of 4 bytes", req(path="/wait") + f(PRIORITY, b"1234", 1), "RST 1 FRAME_SIZE_ERROR"),
    ("6.3", "PRIORITY of 6 bytes", req(path="/wait") + f(PRIORITY, b"123456", 1), "RST 1 FRAME_SIZE_ERROR"),
    # 6.1 DATA
    ("6.1", "DATA on stream 0", f(DATA, b"x"), "GOAWAY PROTOCOL_ERROR"),
    ("6.1", "padding is taken out", post() + f(DATA, b"\x03abc\0\0\0", 1, END | PADDED), "200 1"),
    ("6.1", "nothing but padding", post() + f(DATA, b"\x03\0\0\0", 1, END | PADDED), "200 1"),
    ("6.1", "padding as long as the frame", post() + f(DATA, b"\x04abcd", 1, END | PADDED), "200 1"),
    ("6.1", "padding beyond the frame", post() + f(DATA, b"\x05abcd", 1, END | PADDED), "GOAWAY PROTOCOL_ERROR"),
    ("6.1", "padded, and no length of it", post() + f(DATA, b"", 1, END | PADDED), "GOAWAY PROTOCOL_ERROR"),
    ("6.1", "an empty body", post() + f(DATA, b"", 1, END), "200 1"),
    # 6.2 HEADERS
    ("6.2", "padding is taken out", f(HEADERS, b"\x02" + BLOCK + b"\0\0", 1, ALL | PADDED), "200 1"),
    ("6.2", "padding beyond the frame", f(HEADERS, b"\xff" + BLOCK, 1, ALL | PADDED), "GOAWAY PROTOCOL_ERROR"),
    ("6.2", "padding and priority", f(HEADERS, b"\x01" + u32(0) + b"\x10" + BLOCK + b"\0", 1, ALL | PADDED | PRIO), "200 1"),
    # 6.4 RST_STREAM
    ("6.4", "on stream 0", f(RST, u32(8)), "GOAWAY PROTOCOL_ERROR"),
    ("6.4", "of 3 bytes", req(path="/wait") + f(RST, b"123", 1), "GOAWAY FRAME_SIZE_ERROR"),
    ("6.4", "of 5 bytes", req(path="/wait") + f(RST, b"12345", 1), "GOAWAY FRAME_SIZE_ERROR"),
    ("6.4", "with a code that nobody knows", req(path="/wait") + f(RST, u32(0xFFFF), 1), "ok"),
    ("6.4", "of a request that came with it", req() + f(RST, u32(8), 1), "ok"),
    # 6.5 SETTINGS
    ("6.5", "on a stream", f(SETTINGS, b"", 1), "GOAWAY PROTOCOL_ERROR"),
    ("6.5", "of 5 bytes", f(SETTINGS, b"12345"), "GOAWAY FRAME_SIZE_ERROR"),
    ("6.5", "ACK with a payload", f(SETTINGS, setting(4, 1), 0, ACK), "GOAWAY FRAME_SIZE_ERROR"),
    ("6.5", "none at all", f(SETTINGS), "ok"),
    ("6.5.2", "ENABLE_PUSH of 2", f(SETTINGS, setting(2, 2)), "GOAWAY PROTOCOL_ERROR"),
    ("6.5.2", "ENABLE_PUSH of 1", f(SETTINGS, setting(2, 1)), "ok"),
    ("6.5.2", "MAX_FRAME_SIZE of 16,383", f(SETTINGS, setting(5, 16383)), "GOAWAY PROTOCOL_ERROR"),
    ("6.5.2", "MAX_FRAME_SIZE of 2^24", f(SETTINGS, setting(5, 1 << 24)), "GOAWAY PROTOCOL_ERROR"),
    ("6.5.2", "MAX_FRAME_SIZE of 2^24-1", f(SETTINGS, setting(5, (1 << 24) - 1)), "ok"),
    ("6.5.2", "HEADER_TABLE_SIZE of 0", f(SETTINGS, setting(1, 0)) + req(), "200 1"),
    ("6.5.2", "HEADER_TABLE_SIZE of 2^32-1", f(SETTINGS, setting(1, (1 << 32) - 1)) + req(), "200 1"),
    ("6.5.2", "one that nobody knows", f(SETTINGS, setting(0xFF, 1)), "ok"),
    ("6.5.3", "values in order, the last counts", f(SETTINGS, setting(4, 0) + setting(4, 99)) + req(), "200 1"),
    # 6.6 PUSH_PROMISE
    ("6.6", "a client cannot push", req(path="/wait") + f(PUSH, u32(2) + BLOCK, 1, HEAD), "GOAWAY PROTOCOL_ERROR"),
    # 6.7 PING
    ("6.7", "on a stream", f(PING, bytes(8), 1), "GOAWAY PROTOCOL_ERROR"),
    ("6.7", "of 7 bytes", f(PING, bytes(7)), "GOAWAY FRAME_SIZE_ERROR"),
    ("6.7", "of 9 bytes", f(PING, bytes(9)), "GOAWAY FRAME_SIZE_ERROR"),
    ("6.7", "an ACK that was not asked for", f(PING, bytes(8), 0, ACK), "ok"),
    # 6.8 GOAWAY
    ("6.8", "on a stream", f(GOAWAY, bytes(8), 1), "GOAWAY PROTOCOL_ERROR"),
    ("6.8", "of 7 bytes", f(GOAWAY, bytes(7)), "GOAWAY FRAME_SIZE_ERROR"),
    ("6.8", "ends the connection when all is answered", req(path="/wait") + f(GOAWAY, bytes(8)), "parting"),
    ("6.8", "at once when nothing is", f(GOAWAY, bytes(8)), "closed"),
    # 6.10 CONTINUATION
    ("6.10", "a head in three frames", f(HEADERS, BLOCK[:5], 1, END) + f(CONTINUATION, BLOCK[5:9], 1) + f(CONTINUATION, BLOCK[9:], 1, HEAD), "200 1"),
    ("6.10", "empty ones", f(HEADERS, b"", 1, END) + f(CONTINUATION, b"", 1) + f(CONTINUATION, BLOCK, 1, HEAD), "200 1"),
    ("6.10", "on another stream", f(HEADERS, BLOCK[:5], 1, END) + f(CONTINUATION, BLOCK[5:], 3, HEAD), "GOAWAY PROTOCOL_ERROR"),
    ("6.10", "on stream 0", f(HEADERS, BLOCK[:5], 1, END) + f(CONTINUATION, BLOCK[5:], 0, HEAD), "GOAWAY PROTOCOL_ERROR"),
    ("6.10", "behind a head that is whole", req(path="/wait") + f(CONTINUATION, b"", 1, HEAD), "GOAWAY PROTOCOL_ERROR"),
    ("6.10", "without HEADERS", f(CONTINUATION, BLOCK, 1, HEAD), "GOAWAY PROTOCOL_ERROR"),
    ("10.5.1", "without end", f(HEADERS, BLOCK, 1, END) + f(CONTINUATION, b"", 1) * 40, "GOAWAY ENHANCE_YOUR_CALM"),
    ("10.5.1", "a head of 50,000 bytes", f(HEADERS, BLOCK, 1, END) + f(CONTINUATION, lit("x", "y" * 16000), 1) * 6, "GOAWAY ENHANCE_YOUR_CALM"),
    # 8.1 messages
    ("8.1", "trailers", post() + f(DATA, b"x", 1) + f(HEADERS, TRAILER, 1, ALL), "200 1"),
    ("8.1", "trailers without a body", post() + f(HEADERS, TRAILER, 1, ALL), "200 1"),
    ("8.1", "trailers that do not end the stream", post() + f(DATA, b"x", 1) + f(HEADERS, TRAILER, 1, HEAD), "RST 1 PROTOCOL_ERROR"),
    ("8.1", "pseudo-fields in trailers", post() + f(HEADERS, lit(":path", "/"), 1, ALL), "RST 1 PROTOCOL_ERROR"),
    ("8.1.1", "a body shorter than its length", post(lit("content-length", "3")) + f(DATA, b"ab", 1, END), "RST 1 PROTOCOL_ERROR"),
    ("8.1.1", "a body longer than its length", post(lit("content-length", "3")) + f(DATA, b"abcd", 1, END), "RST 1 PROTOCOL_ERROR"),
    ("8.1.1", "a body, and a length of 0", post(lit("content-length", "0")) + f(DATA, b"a", 1, END), "RST 1 PROTOCOL_ERROR"),
    ("8.1.1", "no body, and a length", req(lit("content-length", "3"), method="POST"), "RST 1 PROTOCOL_ERROR"),
    ("8.1.1", "a length of 0 and no body", req(lit("content-length", "0"), method="POST"), "200 1"),
    ("8.1.1", "trailers before the length is reached", post(lit("content-length", "3")) + f(HEADERS, TRAILER, 1, ALL), "RST 1 PROTOCOL_ERROR"),
    ("8.1.1", "one wrong length leaves other streams", post(lit("content-length", "3")) + req(stream=3) + f(DATA, b"ab", 1, END), "200 3; RST 1 PROTOCOL_ERROR"),
    ("8.1.1", "two lengths", post(lit("content-length", "1"), lit("content-length", "2")), "RST 1 PROTOCOL_ERROR"),
    ("8.1.1", "a negative length", post(lit("content-length", "-1")), "RST 1 PROTOCOL_ERROR"),
    ("8.1.1", "a length of nothing", post(lit("content-length", "")), "RST 1 PROTOCOL_ERROR"),
    ("8.1.1", "a length of 30 digits", post(lit("content-length", "9" * 30)), "RST 1 PROTOCOL_ERROR"),
    # 8.2 fields
    ("8.2.1", "a name with an upper-case letter", req(lit("X", "1")), "RST 1 PROTOCOL_ERROR"),
    ("8.2.1", "an empty name", req(lit("", "1")), "RST 1 PROTOCOL_ERROR"),
    ("8.2.1", "a name with a blank", req(lit("a b", "1")), "RST 1 PROTOCOL_ERROR"),
    ("8.2.1", "a name with a colon", req(lit("a:b", "1")), "RST 1 PROTOCOL_ERROR"),
    ("8.2.1", "a name beyond ASCII", req(lit("\x80", "1")), "RST 1 PROTOCOL_ERROR"),
    ("8.2.1", "a value with NUL", req(lit("x", "a\0b")), "RST 1 PROTOCOL_ERROR"),
    ("8.2.1", "a value with CR", req(lit("x", "a\rb")), "RST 1 PROTOCOL_ERROR"),
    ("8.2.1", "a value with LF", req(lit("x", "a\nb")), "RST 1 PROTOCOL_ERROR"),
    ("8.2.1", "a value that begins with a blank", req(lit("x", " a")), "RST 1 PROTOCOL_ERROR"),
    ("8.2.1", "a value that ends with a tab", req(lit("x", "a\t")), "RST 1 PROTOCOL_ERROR"),
    ("8.2.1", "an empty value", req(lit("x", "")), "200 1"),
    ("8.2.1", "a value beyond ASCII", req(lit("x", "\xe4")), "200 1"),
    ("8.2.2", "Connection", req(lit("connection", "close")), "RST 1 PROTOCOL_ERROR"),
    ("8.2.2", "Keep-Alive", req(lit("keep-alive", "1")), "RST 1 PROTOCOL_ERROR"),
    ("8.2.2", "Proxy-Connection", req(lit("proxy-connection", "close")), "RST 1 PROTOCOL_ERROR"),
    ("8.2.2", "Transfer-Encoding", post(lit("transfer-encoding", "chunked")), "RST 1 PROTOCOL_ERROR"),
    ("8.2.2", "Upgrade", req(lit("upgrade", "h2c")), "RST 1 PROTOCOL_ERROR"),
    ("8.2.2", "TE: trailers", req(lit("te", "trailers")), "200 1"),
    ("8.2.2", "TE: gzip", req(lit("te", "gzip")), "RST 1 PROTOCOL_ERROR"),
    ("8.2.3", "cookies in several fields", req(lit("cookie", "a=1"), lit("cookie", "b=2")), "200 1"),
    # 8.3 pseudo-fields
    ("8.3", "one behind a field", f(HEADERS, head(x="1") + lit(":path", "/"), 1, ALL), "RST 1 PROTOCOL_ERROR"),
    ("8.3", "one that nobody knows", f(HEADERS, lit(":what", "1") + BLOCK, 1, ALL), "RST 1 PROTOCOL_ERROR"),
    ("8.3", "one of answers", f(HEADERS, lit(":status", "200") + BLOCK, 1, ALL), "RST 1 PROTOCOL_ERROR"),
    ("8.3", "a path twice", f(HEADERS, lit(":path", "/") + BLOCK, 1, ALL), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "no method", f(HEADERS, lit(":scheme", "http") + lit(":path", "/") + lit(":authority", "a"), 1, ALL), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "no scheme", f(HEADERS, lit(":method", "GET") + lit(":path", "/") + lit(":authority", "a"), 1, ALL), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "no path", f(HEADERS, lit(":method", "GET") + lit(":scheme", "http") + lit(":authority", "a"), 1, ALL), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "neither authority nor host", req(authority=None), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "a host for an authority", req(authority=None, host="a"), "200 1"),
    ("8.3.1", "a host that is the authority", req(host="A"), "200 1"),
    ("8.3.1", "a host that is another", req(host="b"), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "two hosts", req(lit("host", "a"), lit("host", "a")), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "an empty authority", req(authority=""), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "an authority with blanks", req(authority="a/b c"), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "an authority with a user", req(authority="u@a"), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "a list of authorities", req(authority="a,b"), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "a port that is none", req(authority="a:b"), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "an address and a port", req(authority="[::1]:80"), "200 1"),
    ("8.3.1", "an empty path", req(path=""), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "a path without a slash", req(path="x"), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "a whole URI for a path", req(path="http://a/"), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "a path with a blank", req(path="/a b"), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "a path with a control character", req(path="/\x01"), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "a path with a fragment", req(path="/#a"), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "a path beyond ASCII", req(path="/\xe4"), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "a path that leaves the root", req(path="/../.."), "200 1"),
    ("8.3.1", "an asterisk for a path", req(path="*"), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "an asterisk with OPTIONS", req(path="*", method="OPTIONS"), "200 1"),
    ("8.3.1", "https over clear text, as behind a proxy", req(scheme="https"), "200 1"),
    ("8.3.1", "an empty scheme", req(scheme=""), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "another scheme", req(scheme="ftp"), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "a scheme that is none", req(scheme="{}"), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "an empty method", req(method=""), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "a method with a blank", req(method="GE T"), "RST 1 PROTOCOL_ERROR"),
    ("8.3.1", "a method that nobody knows", req(method="BREW"), "200 1"),
    # 8.5 CONNECT
    ("8.5", "CONNECT has an authority alone", f(HEADERS, lit(":method", "CONNECT") + lit(":authority", "a:1"), 1, ALL), "200 1"),
    ("8.5", "CONNECT with a path", req(method="CONNECT"), "RST 1 PROTOCOL_ERROR"),
    ("8.5", "CONNECT without an authority", f(HEADERS, lit(":method", "CONNECT") + lit("host", "a"), 1, ALL), "RST 1 PROTOCOL_ERROR"),
    ("8.5", "CONNECT for another protocol", f(HEADERS, head(method="CONNECT") + lit(":protocol", "websocket"), 1, ALL), "RST 1 PROTOCOL_ERROR"),
]  # fmt: skip


class Server:
    """A connection, and what it said, frame by frame."""

    def __init__(self, opening: bytes = PREFACE + f(SETTINGS)) -> None:
        self.http = Http2(self.serve, Limits())
        self.heard: list[tuple[int, int, int, bytes]] = []  # kind, flags, stream, payload
        self.tell(opening)

    def serve(self, request: Request, response: Response) -> None:
        if request.path == b"/wait":
            return
        if request.path != b"/empty":
            response.write(bytes(100_000) if request.path == b"/large" else b"answer")
        response.flush_end()

    def tell(self, data: bytes) -> None:
        self.http.feed(data)
        said = b"".join(self.http.output)
        self.http.output.clear()
        self.http.sent(len(said))
        while said:
            size = 9 + int.from_bytes(said[:3], "big")
            self.heard.append((said[3], said[4], int.from_bytes(said[5:9], "big"), said[9:size]))
            said = said[size:]

    def outcome(self) -> list[str]:
        """What it came to, in the words of the cases."""
        found = []
        for kind, _, stream, payload in self.heard:
            if kind == HEADERS:
                found.append(f"200 {stream}" if 0x88 in payload[:7] else f"? {stream}")
            elif kind == RST:
                found.append(f"RST {stream} {CODES[int.from_bytes(payload, 'big')]}")
            elif kind == GOAWAY:
                found.append(f"GOAWAY {CODES[int.from_bytes(payload[4:8], 'big')]}")
        return sorted(found)

    def answers(self, stream: int) -> bool:
        """Whether a request on *stream* still has its answer."""
        self.tell(req(stream=stream))
        return f"200 {stream}" in self.outcome() and any(each[:3] == (DATA, END, stream) for each in self.heard)


def test_there_are_a_hundred_and_fifty_of_them() -> None:
    assert len(CASES) >= 150


@pytest.mark.parametrize(("section", "about", "sent", "expected"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES])
def test_frames(section: str, about: str, sent: bytes, expected: str) -> None:
    server = Server()
    for part in sent.split(THEN):
        server.tell(part)
    words = [each.strip() for each in expected.split(";")]
    marks = {"full", "last", "parting", "shut"} & set(words)
    wanted = sorted(set(words) - marks - {"ok", "closed"})
    assert server.outcome() == wanted
    if "GOAWAY" in expected or expected == "closed":
        assert server.http.closing
        return
    assert not server.http.closing
    if not marks:
        assert server.answers(9999)
    server.tell(f(PING, b"01234567"))
    assert server.heard[-1] == (PING, ACK, 0, b"01234567")


@pytest.mark.parametrize(
    ("section", "about", "opening", "expected"),
    [
        ("3.4", "preface and SETTINGS", PREFACE + f(SETTINGS), []),
        ("3.4", "another preface", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + f(SETTINGS), ["GOAWAY PROTOCOL_ERROR"]),
        ("3.4", "a request of HTTP/1", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", ["GOAWAY PROTOCOL_ERROR"]),
        ("3.4", "PING before SETTINGS", PREFACE + f(PING, bytes(8)), ["GOAWAY PROTOCOL_ERROR"]),
        ("3.4", "HEADERS before SETTINGS", PREFACE + req(), ["GOAWAY PROTOCOL_ERROR"]),
        ("3.4", "an ACK before SETTINGS", PREFACE + f(SETTINGS, b"", 0, ACK), ["GOAWAY PROTOCOL_ERROR"]),
        ("3.4", "SETTINGS that are wrong", PREFACE + f(SETTINGS, b"123"), ["GOAWAY FRAME_SIZE_ERROR"]),
        ("3.4", "a request at once", PREFACE + f(SETTINGS) + req(), ["200 1"]),
    ],
)
def test_openings(section: str, about: str, opening: bytes, expected: list[str]) -> None:
    server = Server(opening)
    assert server.outcome() == expected
    assert server.heard[0][:3] == (SETTINGS, 0, 0)  # RFC 9113 3.4: first, and at once


def test_the_settings_that_are_announced_are_those_that_hold() -> None:
    payload = Server().heard[0][3]
    announced = {struct.unpack_from(">HI", payload, at) for at in range(0, len(payload), 6)}
    assert announced == {(3, 100), (4, 256 << 10), (6, Limits().max_header), (9, 1)}
