"""One stream of an HTTP/2 connection: the request that came on it, and the sink of its response.  RFC 9113, section 8.

What is sent when, the connection decides: a stream holds what waits for its turn and for the client's window.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from runtime.http.message.request import Request
from runtime.http.message.response import Response
from runtime.http.message.status import date_line

from .heads import pairs_of
from .nghttp2 import Fields

if TYPE_CHECKING:
    from .http2 import Http2

HIGH_WATER = 64 << 10
"""Bytes that wait on one stream above which its handler should make no more."""


class Stream:
    """One stream.

    Attributes: ``id``; ``request``; ``response``, None until the request is whole; ``body``, what came of it, and
    ``body_bytes``, how much; ``closed``, the client has sent all; ``fields``, the head that is to be sent; ``waiting``,
    bytes to be sent, and ``sent``, those that were; ``last``, nothing comes after those; ``queued``, it has its turn;
    ``cut``, it ends with a reset; ``held``, its client is to send no more of the body for now."""

    __slots__ = (
        "_drained",
        "_http",
        "_pieces",
        "_taken",
        "body",
        "body_bytes",
        "closed",
        "cut",
        "fields",
        "held",
        "id",
        "last",
        "queued",
        "request",
        "response",
        "sent",
        "waiting",
    )

    def __init__(self, http: "Http2", number: int, request: Request) -> None:
        self.id = number
        self.request = request
        self.response: Response | None = None
        self.body: list[bytes] = []
        self.body_bytes = 0
        self.closed = False
        self.fields: Fields | None = None
        self.waiting = 0
        self.sent = 0
        self.last = False
        self.cut = False
        self.held = False
        self.queued = False
        self._http = http
        self._pieces: deque[bytes] = deque()
        self._taken = 0  # bytes of the first piece
        self._drained: list[Callable[[], object]] = []

    raw = None
    """Part of :class:`Sink`."""

    @property
    def writable(self) -> bool:
        """Part of :class:`Sink`."""
        return self.waiting <= HIGH_WATER and self._http.turns.room(self) > 0

    @property
    def stalled(self) -> bool:
        """Whether it waits for the client: there is more to send than that lets it."""
        return self.fields is None and (self.waiting > 0 or bool(self._drained)) and not self.queued

    def whole(self, response: Response, headers: dict[bytes, bytes], content: bytes) -> None:
        """Part of :class:`Sink`."""
        headers[b"content-length"] = b"Content-Length: %d\r\n" % len(content)
        self.head(response, headers, True, False)
        if content:
            self.data(response, content)
        self.end(response, False)

    def head(self, response: Response, headers: dict[bytes, bytes], _measured: bool, _silent: bool) -> None:
        """Part of :class:`Sink`."""
        fields = [(b":status", b"%d" % response.code)]
        if b"date" not in headers:
            fields += pairs_of(date_line())
        for line in headers.values():
            fields += pairs_of(line)
        response.written = sum(len(name) + len(value) for name, value in fields)
        self.fields = fields
        self._http.turns.enqueue(self)

    def data(self, response: Response, data: bytes) -> None:
        """Part of :class:`Sink`."""
        response.written += len(data)
        self.waiting += len(data)
        self._pieces.append(data)
        self._http.turns.enqueue(self)

    def end(self, _response: Response, cut: bool) -> None:
        """Part of :class:`Sink`."""
        self.last = True
        self.cut = cut
        self._http.turns.enqueue(self)

    def push(self) -> None:
        """Part of :class:`Sink`."""
        self._http.push()

    def on_drain(self, function: Callable[[], object]) -> None:
        """Part of :class:`Sink`."""
        self._drained.append(function)
        self._http.turns.lagging[self.id] = self

    def drained(self) -> Callable[[], object] | None:
        """Who is to be told next that there is room again, if there is and anybody waits for that."""
        if not self._drained or not self.writable:
            return None
        function = self._drained.pop(0)
        if not self._drained:
            self._http.turns.lagging.pop(self.id, None)
        return function

    def take(self, size: int) -> bytes:
        """The next bytes to be sent, *size* at most."""
        pieces = self._pieces
        taken: list[bytes] = []
        while pieces and size:
            piece, start = pieces[0], self._taken
            part = piece if len(piece) - start <= size and not start else piece[start : start + size]
            if start + len(part) == len(piece):
                pieces.popleft()
                self._taken = 0
            else:
                self._taken = start + len(part)
            taken.append(part)
            size -= len(part)
        data = taken[0] if len(taken) == 1 else b"".join(taken)
        self.waiting -= len(data)
        self.sent += len(data)
        return data

    def drop(self) -> None:
        """The stream is over: nothing more is sent, and the response learns that the client is gone."""
        self._pieces.clear()
        self._drained.clear()
        self.body.clear()
        self.waiting = 0
        self.fields = None
        self.closed = self.last = True
        self._http.turns.lagging.pop(self.id, None)
        response, self.response = self.response, None  # or they would hold each other
        if self.request.upload is not None:
            self.request.upload.fail(0, "the client is gone")
        if response is not None:
            response.disconnected()
