"""Whose turn it is to send: the streams of an HTTP/2 connection share it frame by frame.  RFC 9113, section 5.2.

A stream is given a turn when it has something to send, and gets turns until it has nothing, its window is shut or the
network is full.
"""

import traceback
from collections import deque
from typing import TYPE_CHECKING, Any

from runtime import log
from runtime.http.message.limits import HIGH_WATER

from . import frames
from .nghttp2 import INITIAL_WINDOW_SIZE, Gone, SettingsReceived
from .patience import Patience
from .stream import Stream

if TYPE_CHECKING:
    from .http2 import Http2
    from .nghttp2 import Engine


class Turns:
    """The turns of one connection.

    Attributes: ``lagging``, streams whose handlers wait for the client."""

    __slots__ = ("_credit", "_engine", "_http", "_owing", "_patience", "_queue", "_usual_window", "lagging")

    def __init__(self, http: "Http2", engine: "Engine") -> None:
        self.lagging: dict[int, Stream] = {}
        self._http = http
        self._engine = engine
        self._queue: deque[Stream] = deque()
        self._usual_window = 65535  # of a stream that begins
        self._credit = 0  # of the connection's window, less what the library has and has not sent
        self._owing = 0  # bytes that it has
        self._patience = Patience()

    def __bool__(self) -> bool:
        return bool(self._queue or self.lagging)

    def enqueue(self, stream: Stream) -> None:
        """Give *stream* a turn: it has something to send."""
        if not stream.queued and stream.id in self._http.streams:
            stream.queued = True
            self._queue.append(stream)

    def opened(self, event: Any) -> None:
        """A window has been opened, of a stream or of them all."""
        streams = self._http.streams
        number = getattr(event, "stream_id", 0)
        if event.__class__ is SettingsReceived:
            self._usual_window = event.settings.get(INITIAL_WINDOW_SIZE, self._usual_window)
        if number:
            stream = streams.get(number)
            if stream is not None and stream.waiting:
                self.enqueue(stream)
            return
        for stream in streams.values():
            if stream.waiting:
                self.enqueue(stream)

    def begin(self) -> None:
        """See how much the client takes by now; before :meth:`send_whole`."""
        self.flush()
        self._credit = self._engine.connection_window

    def send_whole(self, number: int, fields: tuple[tuple[bytes, bytes], ...], body: bytes) -> bool:
        """Send all of an answer on a stream on which nothing was sent; False when the client has no room for it."""
        size = len(body)
        if size > self._usual_window or size > self._credit or size > frames.MAX_FRAME:
            return False
        try:
            if size:
                self._engine.respond(number, fields)
                self._engine.send(number, body, end_stream=True)
            else:
                self._engine.respond(number, fields, end_stream=True)
        except Gone:
            pass  # taken back meanwhile
        self._credit -= size
        return True

    def go_on(self) -> None:
        """Send what can be sent, and tell handlers that there is room again."""
        self._send()
        told = True
        while told and not self._http.closing:
            told = False
            for stream in list(self.lagging.values()):
                function = stream.drained()
                if function is None:
                    continue
                told = True
                try:
                    function()
                except Exception:
                    carrier, report = self._http.carrier, traceback.format_exc()
                    log.facility("error/rest").log(f"a handler on {carrier!r} failed\n{report}")
                self._send()

    def flush(self) -> None:
        """Take what the library has to send."""
        self._owing = 0
        self._http.emit(self._engine.take())

    def room(self, stream: Stream) -> int:
        """How many bytes more *stream* could send."""
        return min(self._engine.window(stream.id), self._engine.connection_window) - stream.waiting

    def overdue(self, now: float, limit: float) -> list[Stream]:
        """The streams that wait for their client's window for *limit* seconds, at *now*."""
        waiting = {stream: stream.sent for stream in self._http.streams.values() if stream.stalled}
        return self._patience.overdue(waiting, now, limit)

    def clear(self) -> None:
        """Nobody gets a turn any more."""
        self._queue.clear()
        self.lagging.clear()
        self._patience.clear()

    def _send(self) -> None:
        http, queue = self._http, self._queue
        while queue and http.backlog <= HIGH_WATER:
            self._credit = self._engine.connection_window
            for _ in range(len(queue)):
                if not queue:
                    break  # the client vanished meanwhile
                stream = queue.popleft()
                stream.queued = False
                try:
                    if stream.id in http.streams and self._turn(stream):
                        self.enqueue(stream)
                except Gone:
                    http.lost(stream.id)
                if http.backlog + self._owing > HIGH_WATER:
                    break
            self.flush()
        self.flush()

    def _turn(self, stream: Stream) -> bool:
        """Send a frame of *stream*; returns whether it wants another turn."""
        engine, http, number = self._engine, self._http, stream.id
        if stream.cut:
            http.cut_short(stream)
            return False
        fields = stream.fields
        if fields is not None:
            stream.fields = None
            alone = stream.last and not stream.waiting
            engine.respond(number, fields, end_stream=alone)
            self._owing += 64
            if alone:
                http.answered(stream)
                return False
        if stream.waiting:
            window = min(self._credit, engine.window(number), frames.MAX_FRAME)
            if window <= 0:
                return False  # until the client opens it
            data = stream.take(window)
            over = stream.last and not stream.waiting
            engine.send(number, data, end_stream=over)
            self._credit -= len(data)
            self._owing += len(data) + 9
            http.earn()  # each is answered by updates of windows
            if over:
                http.answered(stream)
            return not over and (stream.last or stream.waiting > 0)
        if not stream.last:
            return False
        engine.end_stream(number)
        http.answered(stream)
        return False
