"""A response: what its handler says, and what is sent of it when.  How it looks on the wire its sink knows.

A handler may end it before it returns or later, on the loop thread of the request.  A response that was never flushed
leaves with its length.
"""

import traceback
import zlib
from collections.abc import Callable
from typing import Any

from runtime import hooks, log

from . import encoding as _encoding
from . import traced
from .content import Part
from .draft import CHUNKED, CLOSE, DEFLATE, GZIP, Draft
from .headers import as_bytes
from .owner import Owner
from .request import Request
from .sink import Sink
from .status import date_line
from .status import reason as usual_reason

STARTING = hooks.declare("http_response_starting")
"""``callback(request, response)``: the head is about to be sent, and can still be added to."""

_EMPTY = (204, 205, 304)


class Response(Draft):
    """The response to one request.  All methods belong on the request's loop thread, :meth:`resume` excepted.

    Attributes, besides those of what was said: ``started``, the head is on its way; ``written``, bytes on the wire so
    far; ``on_close``, None or called once when complete; ``on_lost``, None or called where it never will be;
    ``abandoned``, the client has gone, or has ended its side; ``owner``, the loop thread, or None; ``sink``, the
    protocol that it leaves by."""

    __slots__ = (
        "_compressor",
        "_left",
        "_mute",
        "_plain",
        "_waiting",
        "_watchers",
        "abandoned",
        "on_close",
        "on_lost",
        "owner",
        "sink",
        "started",
        "written",
    )

    def __init__(self, request: Request, sink: Sink, owner: Owner | None = None) -> None:
        super().__init__(request)
        self.owner = owner
        self.sink = sink
        self.started = False
        self.written = 0
        self.on_close: Callable[[], object] | None = None
        self.on_lost: Callable[[], object] | None = None
        self.abandoned = False
        self._watchers: list[Callable[[bool], object]] | None = None
        self._waiting = False  # for the client to take more of a file
        self._mute = request.method == b"HEAD"
        self._plain = (
            request.keep_alive and not self._mute and request.protocol != b"HTTP/1.0" and request.upload is None
        )
        self._left: int | None = None  # of the length that the head announced
        self._compressor: Any = None

    def __repr__(self) -> str:
        return f"<Response {self.code} to {self.request!r}>"

    def described(self) -> dict[str, Any]:
        """What hooks in Lua get of it."""
        return {"status": self.code, "bytes_written": self.written, "complete": self.complete}

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
            elif self.options or self.reason is not None or len(self._content) > 1 or not self._plain:
                self._end_slowly()
            else:
                self._end_plainly()
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
            if traced.RESPONSE_START.heard[0]:
                traced.tell(traced.RESPONSE_START, self.request.peer)
            self._ending = self.started = self.complete = True
            self.code = code
            raw(self, data)
            if self.on_close is not None or self._watchers:
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
            self._cut_off()
            self.sink.push()
            return
        self.discard()
        self.reason = None
        self.options &= CLOSE
        self._compressor = None
        self._headers = {key: line for key, line in self._headers.items() if key == b"allow"}
        self.code = code
        self.header("Content-Type", content_type)
        self._content.append(as_bytes(message) or usual_reason(code) + b"\n")
        self.flush_end()

    def watch(self, function: Callable[[bool], object]) -> None:
        """Have *function* called once: with True when the client goes away before the response is complete, with False
        when it is.  A client that has ended its side has gone, though it may take what is still sent."""
        if self.abandoned or self.complete:
            function(self.abandoned)
        elif self._watchers is None:
            self._watchers = [function]
        else:
            self._watchers.append(function)
            return
        self.sink.push()  # for who reads may now have to read on

    @property
    def watched(self) -> bool:
        """Whether somebody waits for that."""
        return self._watchers is not None

    def abandon(self) -> None:
        """The client has ended its side, or more."""
        if not self.complete and not self.abandoned:
            self.abandoned = True
            self._tell_watchers()

    def disconnected(self) -> None:
        """The client went away: what is still written goes nowhere."""
        if not self.complete:
            self.abandon()
            self.complete = True
            self._content.drop()
            self._notify()
            if self.on_lost is not None:
                self.on_lost()

    def _end_plainly(self) -> None:
        """The handler has said all, and nothing of it is sent yet: the usual case, in one piece."""
        content = self._content
        headers = self._headers
        if (content and content[0].__class__ is not bytes) or b"content-length" in headers or self.code in _EMPTY:
            self._end_slowly()
            return
        self._tell_starting()
        data: Any = content[0] if content else b""
        content.clear()
        self.started = self.complete = True
        self.sink.whole(self, headers, data)
        if self.on_close is not None or self._watchers:
            self._notify()

    def _end_slowly(self) -> None:
        encoding = self._encoding()
        if encoding is not None and self._content.is_in_memory() and not self._mute:
            compressor = _encoding.compressor(encoding)
            data = b"".join(compressor.compress(piece) for piece in self._content) + compressor.flush()
            self._encode(encoding)
            self._content.clear()
            self._content.append(data)
            self._compressor = encoding = None
        length = self._content.length()
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
        if traced.RESPONSE_START.heard[0]:
            traced.tell(traced.RESPONSE_START, self.request.peer)
        if STARTING.exists():
            try:
                STARTING.invoke(self.request, self)
            except Exception:
                log.facility("error/rest").log(f"hook {STARTING.name} failed for {self!r}\n{traceback.format_exc()}")

    def _pump(self) -> None:
        """Send the content as far as it is there and the client takes it; finish when the handler has."""
        if self._waiting:
            return
        content = self._content
        if self._mute:
            content.drop()
        while content and not self.complete:
            if isinstance(content[0], Part) and not self.sink.writable:
                self._waiting = True
                self.sink.on_drain(self._drained)
                return
            data = content.take()
            if not data:  # the file shrank
                self._cut_off()
                return
            self._frame(data if self._compressor is None else self._compressor.compress(data))
        if self.complete:
            return
        if self._compressor is not None and not self._mute:
            self._frame(self._compressor.flush(zlib.Z_FINISH if self._ending else zlib.Z_SYNC_FLUSH))
        if self._ending:
            self._complete()

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

    def _frame(self, data: bytes) -> None:
        if self._left is not None:
            data = data[: self._left]  # more than was announced would be taken for the next response
            self._left -= len(data)
        if data:
            self.sink.data(self, data)

    def _complete(self, cut: bool = False) -> None:
        self.complete = self._ending = True
        short = bool(self._left) and not self._mute
        self.sink.end(self, cut or short)
        self._notify()

    def _cut_off(self) -> None:
        self._content.drop()
        self._complete(cut=True)

    def _notify(self) -> None:
        self._tell_watchers()
        function, self.on_close = self.on_close, None
        if function is not None:
            self._call(function)

    def _tell_watchers(self) -> None:
        watchers, self._watchers = self._watchers, None
        for function in watchers or ():
            self._call(function, self.abandoned)

    def _call(self, function: Callable[..., object], *args: object) -> None:
        """Call one of those who wanted to know of the end: what it raises is no fault of the others."""
        try:
            function(*args)
        except Exception:
            told = f"{function!r}, called at the end of {self!r}, failed\n{traceback.format_exc()}"
            log.facility("error/rest").log(told)

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
