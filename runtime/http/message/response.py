"""A response: collected by its handler, and what is sent of it when.  How it looks on the wire its sink knows.

A handler may end it before it returns or later, on the loop thread of the request.  A response that was never flushed
leaves with its length.
"""

import os
import re
import traceback
import zlib
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from runtime import hooks, log

from . import encoding as _encoding
from .owner import Owner
from .request import Request
from .status import date_line
from .status import reason as usual_reason

CHUNKED, CLOSE, GZIP, DEFLATE = 0x1, 0x2, 0x10, 0x20
"""Options: chunks even where the length is known, no further request, compressed when the client accepts it."""

STARTING = hooks.declare("http_response_starting")
"""``callback(request, response)``: the head is about to be sent, and can still be added to."""

FILE_CHUNK = 64 << 10
_EMPTY = (204, 205, 304)

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BAD_REASON = re.compile(rb"[\x00-\x1f\x7f]")
_OURS = {b"connection", b"transfer-encoding"}

_lines: dict[tuple[bytes | str, bytes | str], tuple[bytes, bytes]] = {}


class Sink(Protocol):
    """Where a response goes, and how it is framed there: the protocol of a connection, or of one stream of it."""

    @property
    def writable(self) -> bool:
        """Whether a handler should make more."""

    @property
    def raw(self) -> "Callable[[Response, bytes], None] | None":
        """Sends a response that is complete, given as bytes of HTTP/1.1; None where another version is spoken."""

    def whole(self, response: "Response", headers: dict[bytes, bytes], content: bytes) -> None:
        """Send a response to a request of HTTP/1.1 or above in one piece; *headers* are lines by lower-case name."""

    def head(self, response: "Response", headers: dict[bytes, bytes], measured: bool, silent: bool) -> None:
        """Send status and *headers*; *measured*, they tell the length or it goes without saying; *silent*, no body."""

    def data(self, response: "Response", data: bytes) -> None:
        """Send *data* of the body."""

    def ended(self, response: "Response", cut: bool) -> None:
        """*response* is complete, or *cut* short, which the client must notice."""

    def on_drain(self, function: Callable[[], object]) -> None:
        """Have *function* called once when ``writable`` holds again."""

    def push(self) -> None:
        """That was all for now: get it on its way."""


class _Slice:
    """A part of a file that is still to be sent."""

    __slots__ = ("fd", "left", "offset")

    def __init__(self, fd: int, offset: int, left: int) -> None:
        self.fd, self.offset, self.left = fd, offset, left


class Response:
    """The response to one request.  All methods belong on the request's loop thread, :meth:`resume` excepted.

    Attributes: ``request``; ``code``; ``started``, the head is on its way; ``complete``, nothing more can be said, or
    the client is gone; ``written``, bytes on the wire so far; ``on_close``, None or called once when complete;
    ``reason``, the one that was given, or None; ``options``, those set so far;
    ``sink``, the protocol that it leaves by."""

    __slots__ = (
        "_body",
        "_compressor",
        "_ending",
        "_headers",
        "_left",
        "_mute",
        "_plain",
        "_waiting",
        "code",
        "complete",
        "on_close",
        "options",
        "owner",
        "reason",
        "request",
        "sink",
        "started",
        "written",
    )

    def __init__(self, request: Request, sink: Sink, owner: Owner | None = None) -> None:
        self.request = request
        self.owner = owner
        self.code = 200
        self.started = False
        self.complete = False
        self.written = 0
        self.on_close: Callable[[], object] | None = None
        self.options = 0
        self.reason: bytes | None = None
        self.sink = sink
        self._headers: dict[bytes, bytes] = {}
        self._body: deque[bytes | _Slice] = deque()
        self._ending = False
        self._waiting = False
        self._mute = request.method == b"HEAD"
        self._plain = request.keep_alive and not self._mute and request.protocol != b"HTTP/1.0"
        self._left: int | None = None  # of the length that the head announced
        self._compressor: Any = None

    def __repr__(self) -> str:
        return f"<Response {self.code} to {self.request!r}>"

    def status(self, code: int, reason: bytes | str | None = None) -> None:
        """Answer with *code*, 200 to 999, and *reason* as given or the usual one.

        Raises ValueError for another code or a reason with line ends."""
        if not 200 <= code <= 999:
            raise ValueError(f"a response needs a status of 200 to 999, not {code}")
        if reason is not None:
            reason = _bytes(reason)
            if _BAD_REASON.search(reason):
                raise ValueError("a reason cannot hold control characters")
        self.code = int(code)
        self.reason = None if reason == usual_reason(code) else reason

    def header(self, name: bytes | str, value: bytes | str) -> None:
        """Send the header *name*; replaces one of that name, Set-Cookie adds up, ``Connection: close`` is CLOSE.

        Raises ValueError for a name or value that a header cannot have, or that is the server's to send."""
        try:
            key, line = _lines[name, value]
        except KeyError:
            key, line = _header_line(name, value)
        if key == b"connection":
            self.options |= CLOSE
            return
        if key == b"set-cookie" and key in self._headers:
            line = self._headers[key] + line
        self._headers[key] = line

    def header_value(self, name: bytes) -> bytes | None:
        """The value that the header *name*, in lower case, has so far; None when it is not set."""
        line = self._headers.get(name)
        return None if line is None else line.partition(b": ")[2].partition(b"\r\n")[0]

    def option(self, option: int) -> None:
        """Set CHUNKED, CLOSE, GZIP or DEFLATE, or several.  Raises ValueError for others."""
        if option & ~(CHUNKED | CLOSE | GZIP | DEFLATE):
            raise ValueError(f"{option:#x} is no option of a response")
        self.options |= option

    def write(self, data: bytes | str) -> None:
        """Append *data* to the body; str as UTF-8.  Raises ValueError after :meth:`flush_end`."""
        if self._ending:
            raise ValueError("the response has ended")
        if data and not self.complete:
            self._body.append(data.encode() if isinstance(data, str) else bytes(data))

    def write_fd(self, fd: int, size: int | None = None, offset: int = 0) -> None:
        """Append *size* bytes of the file *fd* from *offset* to the body; without a size, up to its end.

        The descriptor may be closed at once.  Read as the client takes it, so memory stays flat.
        Raises OSError for no file, ValueError for a part that it does not have."""
        length = os.fstat(fd).st_size
        left = length - offset if size is None else size
        if offset < 0 or left < 0 or offset + left > length:
            raise ValueError(f"a file of {length} bytes has no {left} bytes at {offset}")
        if self._ending:
            raise ValueError("the response has ended")
        if left and not self.complete:
            self._body.append(_Slice(os.dup(fd), offset, left))

    def flush(self) -> bool:
        """Send what there is; returns False when the client lags behind and :meth:`on_drain` should be awaited."""
        if not self.complete and not self._ending:
            self._start(None)
            self._pump()
            self.sink.push()
        return self.sink.writable

    def flush_end(self) -> None:
        """End the response.  Ending twice does no harm."""
        if self._ending:
            return
        self._ending = True
        if self.complete:
            return
        try:
            if self.started:
                self._pump()
            elif self.options or self.reason is not None or len(self._body) > 1 or not self._plain:
                self._finish_slowly()
            else:
                self._finish_plainly()
        except Exception:
            self._ending = False  # whoever sees the failure may still answer with it
            raise
        self.sink.push()

    def date_if_plain(self) -> bytes | None:
        """The Date line for :meth:`end_whole`; None where the response needs more care than that gives it."""
        if self._plain and self.sink.raw is not None and not (self.started or self._ending or STARTING.exists()):
            return date_line(self.request.received)
        return None

    def end_whole(self, code: int, data: bytes) -> None:
        """End with *data*: status line of *code*, Date, head and body, for whoever makes many and knows how.

        Only where :meth:`date_if_plain` gave a date."""
        if not self.complete:
            raw = self.sink.raw
            assert raw is not None
            self._ending = self.started = self.complete = True
            self.code = code
            raw(self, data)
            if self.on_close is not None:
                self._notify()
            self.sink.push()

    def on_drain(self, function: Callable[[], object]) -> None:
        """Have *function* called once when the client has caught up, or at once when it has."""
        if self.sink.writable or self.complete:
            function()
        else:
            self.sink.on_drain(function)

    def resume(self, function: Callable[..., object], *args: object) -> None:
        """Have ``function(*args)`` called on the request's loop thread; from any thread.

        Manual: ``mtev_http_session_resume_after_float``."""
        if self.owner is None:
            function(*args)
        else:
            self.owner.post(function, *args)

    def error(self, code: int, message: bytes | str = b"", content_type: str = "text/plain") -> None:
        """End with *code* and *message*, by default the usual phrase, whatever was written before and not sent.

        A response that is under way already is cut off with its connection."""
        if self.complete or self._ending:
            return
        if self.started:
            self._close_files()
            self._done(cut=True)
            self.sink.push()
            return
        self._close_files()
        self.reason = None
        self.options &= CLOSE
        self._compressor = None
        self._headers = {key: line for key, line in self._headers.items() if key == b"allow"}
        self.code = code
        self.header("Content-Type", content_type)
        self._body.append(_bytes(message) or usual_reason(code) + b"\n")
        self.flush_end()

    def gone(self) -> None:
        """The client went away: what is still written goes nowhere."""
        if not self.complete:
            self.complete = True
            self._close_files()
            self._notify()

    # Framing

    def _finish_plainly(self) -> None:
        """The usual case, in one piece."""
        body = self._body
        headers = self._headers
        if (body and body[0].__class__ is not bytes) or b"content-length" in headers or self.code in _EMPTY:
            self._finish_slowly()
            return
        self._tell_starting()
        content: Any = body[0] if body else b""
        body.clear()
        self.started = self.complete = True
        self.sink.whole(self, headers, content)
        if self.on_close is not None:
            self._notify()

    def _finish_slowly(self) -> None:
        encoding = self._encoding()
        if encoding is not None and all(piece.__class__ is bytes for piece in self._body) and not self._mute:
            compressor = _encoding.compressor(encoding)
            content = b"".join(compressor.compress(piece) for piece in self._body) + compressor.flush()
            self._encode(encoding)
            self._body = deque([content])
            self._compressor = encoding = None
        length = sum(piece.left if isinstance(piece, _Slice) else len(piece) for piece in self._body)
        self._start(None if self.options & CHUNKED or (encoding is not None and not self._mute) else length)
        self._pump()

    def _start(self, length: int | None) -> None:
        """Have the head sent; *length* of the body, or None for one that nobody knows yet."""
        if self.started:
            return
        self._tell_starting()
        self.started = True
        headers = self._headers
        if length is None:
            encoding = self._encoding()
            if encoding is not None:
                self._encode(encoding)
        if self.code == 205:  # RFC 9110, 15.3.6
            length = 0
            headers.pop(b"content-length", None)
        empty = self.code in (204, 304)
        self._mute = self._mute or self.code in _EMPTY
        if b"content-length" in headers and self._compressor is None:
            self._left = int(headers[b"content-length"].split(b":")[1])
        elif length is not None and not empty:
            self._left = length
            headers[b"content-length"] = b"Content-Length: %d\r\n" % length
        elif not empty:
            headers.pop(b"content-length", None)
        self.sink.head(self, headers, empty or self._left is not None, self._mute)

    def _tell_starting(self) -> None:
        if STARTING.exists():
            try:
                STARTING.invoke(self.request, self)
            except Exception:
                log.facility("error/rest").log(f"hook {STARTING.name} failed for {self!r}\n{traceback.format_exc()}")

    def _pump(self) -> None:
        """Send the body as far as it is there and the client takes it; finish when the handler has."""
        if self._waiting:
            return
        body = self._body
        while body and not self.complete:
            piece = body[0]
            if isinstance(piece, _Slice):
                if self._mute:
                    os.close(piece.fd)
                    body.popleft()
                    continue
                if not self.sink.writable:
                    self._waiting = True
                    self.sink.on_drain(self._drained)
                    return
                data = os.pread(piece.fd, min(FILE_CHUNK, piece.left), piece.offset)
                piece.offset += len(data)
                piece.left -= len(data)
                if not data or not piece.left:
                    os.close(piece.fd)
                    body.popleft()
                if not data:  # the file shrank
                    self._close_files()
                    self._done(cut=True)
                    return
                self._send_body(data)
            else:
                body.popleft()
                self._send_body(piece)
        if self.complete:
            return
        if self._compressor is not None and not self._mute:
            self._frame(self._compressor.flush(zlib.Z_FINISH if self._ending else zlib.Z_SYNC_FLUSH))
        if self._ending:
            self._done()

    def _drained(self) -> None:
        self._waiting = False
        if not self.complete:
            try:
                self._pump()
            except Exception:
                log.facility("error/rest").log(f"{self!r} is cut off\n{traceback.format_exc()}")
                self._ending = False
                self.error(500)
            self.sink.push()

    def _send_body(self, data: bytes) -> None:
        if not self._mute:
            self._frame(data if self._compressor is None else self._compressor.compress(data))

    def _frame(self, data: bytes) -> None:
        if self._left is not None:
            data = data[: self._left]  # more than was announced would be taken for the next response
            self._left -= len(data)
        if data:
            self.sink.data(self, data)

    def _done(self, cut: bool = False) -> None:
        self.complete = self._ending = True
        short = bool(self._left) and not self._mute
        self.sink.ended(self, cut or short)
        self._notify()

    def _notify(self) -> None:
        function, self.on_close = self.on_close, None
        if function is not None:
            function()

    def _encoding(self) -> bytes | None:
        """The content encoding to use; tells caches that it depends on the client."""
        offered = (self.options & GZIP and _encoding.GZIP) | (self.options & DEFLATE and _encoding.DEFLATE)
        offered |= offered and _encoding.LZ4F
        if not offered or b"content-encoding" in self._headers or self.code in (204, 205, 206, 304):
            return None
        self._headers.setdefault(b"vary", b"Vary: Accept-Encoding\r\n")
        return _encoding.choose(self.request.header(b"accept-encoding"), offered)

    def _encode(self, encoding: bytes) -> None:
        self._headers[b"content-encoding"] = b"Content-Encoding: %b\r\n" % encoding
        self._headers.pop(b"content-length", None)
        self._compressor = _encoding.compressor(encoding)

    def _close_files(self) -> None:
        for piece in self._body:
            if isinstance(piece, _Slice):
                os.close(piece.fd)
        self._body.clear()


def _header_line(name: bytes | str, value: bytes | str) -> tuple[bytes, bytes]:
    raw, text = _bytes(name), _bytes(value)
    key = raw.lower()
    if not _NAME.fullmatch(raw):
        raise ValueError(f"{name!r} is no name of a header")
    if _BAD_VALUE.search(text):
        raise ValueError(f"the header {name!r} cannot hold control characters")
    if key in _OURS and (key != b"connection" or text.lower() != b"close"):
        raise ValueError(f"the header {name!r} is the server's to send; see option()")
    if key == b"content-length" and not (text.isdigit() and len(text) < 19):
        raise ValueError(f"a Content-Length is a number of bytes, not {value!r}")
    line = b"%b: %b\r\n" % (raw, text)
    if len(line) < 256:
        if len(_lines) >= 1024:
            _lines.clear()  # values that differ every time would fill it
        _lines[name, value] = (key, line)
    return key, line


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)
