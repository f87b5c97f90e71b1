"""HTTP/2 without I/O: bytes in, calls of the handler, bytes out.  RFC 9113.

Requests are read whole and served as they are complete, up to a hundred at a time.  The library keeps the states and
compresses heads (nghttp2.py); what a client may do how often frames.py counts, whose turn it is to send turns.py says.
Requests come together in requests.py, several at once in batches.py.  Here is how streams and the connection begin and
end.  Imported when the first such connection comes.
"""

import itertools
import traceback
from collections import deque
from collections.abc import Callable
from math import inf
from time import perf_counter
from typing import Any, Final

from runtime import log
from runtime.http.message.draft import CLOSE
from runtime.http.message.limits import HIGH_WATER, Limits
from runtime.http.message.response import Response

from . import frames, nghttp2
from .batches import Batcher, Batches, Head
from .conversation import BODY, HEAD, IDLE, TERMS, Serve, Terms
from .frames import Fault, FrameError, Frames, Late, Update
from .heads import request_of
from .nghttp2 import MAX_STREAMS
from .requests import Requests
from .stream import Stream
from .turns import Turns

_debug: Final = log.facility("debug/http2")

DRAINED = 1 << 20  # bytes of a body that nobody wants, taken so that the client sees the answer
FORGIVEN = 128  # streams reset from here on which late frames are passed over
LINGER = 2.0  # seconds that such a client has to end it


class Http2:
    """One connection's protocol; attributes are those of :class:`Http1`."""

    def __init__(
        self, serve: Serve, limits: Limits | None = None, terms: Terms = TERMS, *, batcher: Batcher | None = None
    ) -> None:
        """Args as of :class:`Http1`; *batcher* knows of handlers that serve several requests at once."""
        self.limits = limits = limits or Limits()
        self.output: list[bytes] = []
        self.backlog = 0
        self.closing = False
        self.lingering = True
        self.now = 0.0
        self.streams: dict[int, Stream] = {}  # those that are not answered whole
        self._on_output = terms.on_output
        self._on_complete = terms.on_complete
        self.carrier = terms.carrier
        self.peer = terms.peer
        self._batches = None if batcher is None else Batches(self, batcher, terms.peer)
        self._owner = terms.owner
        self._budget = terms.budget
        self._unwanted: dict[int, int] = {}  # streams answered before their end, and bytes they may still bring
        self._overdue: dict[int, float] = {}  # those, since when on the clock of expire()
        self._ours: set[int] = set()  # streams that we reset, until the library says so too
        self._forgiven: dict[int, None] = {}  # the latest streams reset from here
        self._busy = self._finishing = False
        self._last = 0  # the highest stream that is served once this is to finish
        self._events: deque[Any] = deque()
        self._reset_count = 0
        self._frames = Frames(2 * limits.max_header + frames.MAX_FRAME)
        self._engine = nghttp2.engine(limits.max_header)
        self.requests = Requests(self, serve, terms.admit, terms.owner)
        self.turns = Turns(self, self._engine)
        self.emit(self._engine.greeting)

    @property
    def paused(self) -> bool:
        """Whether to leave further bytes to the network: there is work left, or the client does not read."""
        return self.backlog > HIGH_WATER or self.unfinished

    @property
    def unfinished(self) -> bool:
        """Whether :meth:`advance` has to be called in a later turn of the loop: what was read is not worked off."""
        return bool(self._events)

    @property
    def room(self) -> int:
        """How many more requests there may be at a time."""
        return MAX_STREAMS - len(self.streams) - len(self._unwanted)

    def takes(self, number: int) -> bool:
        """Whether a request on stream *number* is served: what had come before a goodbye is.  RFC 9113 6.8."""
        return self.room > 0 and not (self._finishing and number > self._last)

    def judged(self, number: int) -> bool | None:
        """Whether the request on the stream of that *number* is traced; None where that is still to be decided."""
        return None if self._batches is None else self._batches.judged(number)

    starved = False
    """Streams whose handlers wait for their client are ended one by one."""

    @property
    def active(self) -> Response | None:
        """A response that its handler is at work on, and not the client's to wait for."""
        for stream in self.streams.values():
            response = stream.response
            if response is not None and not response.complete and not stream.stalled:
                return response
        return None

    @property
    def phase(self) -> str:
        """What is being read: the head of a request or another frame, bodies, or nothing."""
        if not self._frames.begun or self._frames.torn:
            return HEAD
        return BODY if self.requests.uploads else IDLE

    @property
    def begun(self) -> int:
        """What exactly: a number that changes with it."""
        return next(iter(self.requests.uploads), 0) if self.phase is BODY else self._frames.count

    def feed(self, data: bytes) -> None:
        """Take *data* from the client and serve the requests that it completes."""
        if self.closing:
            return
        try:
            for piece in self._frames.feed(data, self.now):
                self._take(piece)
        except FrameError as mistake:
            self._events.append(mistake)
        self.advance()

    def advance(self) -> None:
        """Go on where it stopped: with what was read, each stream's turn to send, handlers for which there is room."""
        if self._busy:
            return
        self._busy = True
        try:
            self._work()
            self.turns.go_on()
            self._close_if_done()
        except FrameError as mistake:
            self._fail(mistake.code)
        except Exception:
            log.facility("error/rest").log(f"HTTP/2 failed on {self.carrier!r}\n{traceback.format_exc()}")
            self._fail(frames.INTERNAL_ERROR)
        finally:
            self._busy = False

    def sent(self, size: int) -> None:
        """*size* bytes of the output were taken by the network."""
        self.backlog -= size
        if self.turns:
            self.advance()

    def expire(self, now: float) -> None:
        """End the streams that wait for their client too long; *now* on the clock of :func:`time.monotonic`."""
        late = [number for number, since in self._overdue.items() if now - since >= LINGER]
        for number in self._unwanted:
            self._overdue.setdefault(number, now)
        for number in late:
            self._end_unwanted(number)
        stalled = self.turns.overdue(now, self.limits.idle_timeout) + self.requests.overdue(now)
        for stream in stalled:
            self._cut(stream, frames.CANCEL)
        if late or stalled:
            self._close_if_done()
            self.push()

    @property
    def fresh(self) -> bool:
        """Whether the client has not begun to ask for anything yet."""
        return self._frames.highest == 0

    def last_call(self) -> None:
        """Nothing to say before :meth:`finish`."""

    def finish(self) -> None:
        """Be done with what was begun, and take no more."""
        if not self._finishing:
            self._finishing, self._last = True, self._frames.highest
            self._say_goodbye(frames.NO_ERROR)
        if not self._busy:
            self._close_if_done()

    def farewell(self) -> bytes:
        """The last words when the connection is closed at once."""
        return b"" if self.closing else frames.goaway(self._frames.highest, frames.NO_ERROR)

    def half_closed(self) -> None:
        """The client sends no more."""
        for stream in self.requests.read.values():
            if stream.request.upload is not None:
                stream.request.upload.fail(0, "the client is gone")
        for stream in list(self.streams.values()):
            if stream.response is not None:
                stream.response.abandon()

    def disconnected(self) -> None:
        """The client is gone; responses under way learn it."""
        self.closing = True
        self.output.clear()
        self._drop_all()

    def push(self) -> None:
        """Part of :class:`Sink`, for the streams."""
        if self._busy:
            return
        owner = self._owner
        if owner is not None and not owner.is_on_hub():
            owner.soon(self.push)
            return
        self.advance()
        if self._on_output is not None:
            self._on_output()

    def emit(self, data: bytes) -> None:
        """Have *data* sent."""
        if data:
            self.output.append(data)
            self.backlog += len(data)

    def answered(self, stream: Stream) -> None:
        """All of the response on *stream* is on its way."""
        response = stream.response
        self._forget(stream)
        if stream.request.upload is not None:
            stream.request.upload.drop()
        if not stream.closed:
            self._unwanted[stream.id] = DRAINED
        if response is not None:
            if self._on_complete is not None:
                self._on_complete(response)
            if response.options & CLOSE:
                self.finish()
        stream.response = None  # or they would hold each other

    def cut_short(self, stream: Stream) -> None:
        """The response on *stream* has failed after its head had gone."""
        response = stream.response
        self._reset_stream(stream.id, frames.INTERNAL_ERROR)
        self._forget(stream)
        if response is not None and self._on_complete is not None:
            self._on_complete(response)
        stream.response = None

    def refuse_stream(self, number: int, code: int) -> None:
        """Reset a stream for what its client did; not too often."""
        self._frames.resets.spend(self.now)
        stream = self.streams.get(number)
        if stream is None:
            self._reset_stream(number, code)
        else:
            self._cut(stream, code)

    def let_upload(self, stream: Stream, more: bool) -> None:
        """Let the client send *more* of the body on *stream*, or no more than it may by now."""
        self._engine.let_upload(stream.id, more)

    def inform(self, number: int) -> None:
        """Let the client send the body that it holds back."""
        self._engine.inform(number, [(b":status", b"100")])

    def pass_over(self, number: int, size: int, over: bool) -> None:
        """*size* bytes more have come of the body of a request that is answered already, and it is *over* or not."""
        if number in self._unwanted:
            self._unwanted[number] -= size
            if self._unwanted[number] < 0:
                self._end_unwanted(number)
        elif over and number in self.streams:
            self.streams[number].closed = True

    def earn(self) -> None:
        """A frame of a body is sent: the client may open windows for it."""
        self._frames.nuisances.earn(3)

    def lost(self, number: int) -> None:
        """Nothing more can be sent on the stream of that *number*."""
        stream = self.streams.get(number)
        if stream is not None:
            if _debug.enabled:
                _debug.log(f"{self.carrier!r}: stream {number} is over before its answer\n")
            self._forget(stream)
            stream.drop()

    # What the client says

    def _take(self, piece: "bytes | Fault | Update | Late") -> None:
        """Have the library take a *piece* of what came, or do what it would do wrong."""
        if piece.__class__ is bytes:
            events = self._events
            try:
                said, happened = self._engine.receive(piece)
            except FrameError:
                events.clear()  # nothing can be answered any more
                raise
            self.emit(said)
            if self._frames.reset_count != self._reset_count:
                self._reset_count = self._frames.reset_count
                happened = _without_reset(happened)
            elif not (self.streams or self._unwanted or self._overdue or self._ours):
                happened = [each for each in happened if each.__class__ is not nghttp2.StreamClosed or each.error_code]
            if happened and happened[-1].__class__ is nghttp2.ConnectionClosed:
                events.clear()
                del happened[:-1]
            events.extend(happened)
        elif isinstance(piece, Fault):
            self._events.append(piece)
        elif isinstance(piece, Late):
            self._late(piece.stream)
        elif isinstance(piece, Update):  # RFC 9113 6.9, 6.9.1: these end a stream, not the connection
            if not piece.increment:
                self._events.append(Fault(piece.stream, frames.PROTOCOL_ERROR))
            elif self._engine.window(piece.stream) + piece.increment > frames.MAX_WINDOW:
                self._events.append(Fault(piece.stream, frames.FLOW_CONTROL_ERROR))
            else:
                self._take(piece.octets)

    def _late(self, number: int) -> None:
        """Something comes on a stream that its client had ended, or never begun.  RFC 9113 5.1, 5.1.1."""
        if number <= self._frames.highest and number % 2 and not self._engine.has(number):
            if self._frames.was_skipped(number):
                raise FrameError(frames.PROTOCOL_ERROR)
            if number not in self._forgiven:
                raise FrameError(frames.STREAM_CLOSED)

    def _work(self) -> None:
        """Work off what has happened, as far as the budget of this turn goes."""
        events = self._events
        end = perf_counter() + self._budget if events else inf
        while events and not self.closing:
            event = events[0]
            if event.__class__ is nghttp2.RequestReceived and self._serve_batch():
                if perf_counter() >= end:
                    break
                continue
            events.popleft()
            if event.__class__ is FrameError:
                raise event
            receiver = _RECEIVERS.get(event.__class__)
            if receiver is not None and receiver(self, event) and perf_counter() >= end:
                break

    def _serve_batch(self) -> bool:
        """Serve the requests that are next and of the usual kind, together; False when the first of them is not."""
        if self._batches is None or self._finishing or self.backlog > HIGH_WATER:
            return False
        done, answered = self._batches.serve(itertools.islice(self._events, self.room), self._budget)
        if not self.closing:
            for _ in range(done):
                self._events.popleft()
        if answered:
            self._frames.nuisances.earn(3 * len(answered))
            self._batches.settle(self._owner, self.now, answered)
        return done > 0

    def respond_to(self, number: int, head: Head, route: Any) -> Response:
        """The response to a request of a batch as an object, with the request and the stream that belong to it."""
        request = request_of(self.peer, head)
        assert request is not None  # or there had been no offer
        request.received = self.now
        request.route = route
        request.span = self.judged(number)
        stream = self.streams[number] = Stream(self, number, request)
        stream.closed = True
        stream.response = response = Response(request, stream, self._owner)
        return response

    def _reset(self, event: Any) -> None:
        self._ours.add(event.stream_id)  # counted by its frame
        self.lost(event.stream_id)

    def _closed(self, event: Any) -> None:
        """A stream is over; where neither side reset it, a check of the library's failed, which has told the client."""
        number = event.stream_id
        self._unwanted.pop(number, None)
        self._overdue.pop(number, None)
        if number in self._ours:
            self._ours.discard(number)
        elif event.error_code:
            self._forgive(number)
            if _debug.enabled:
                _debug.log(f"{self.carrier!r}: stream {number} cannot be, {frames.name_of(event.error_code)}\n")
            self._frames.resets.spend(self.now)
        self.lost(number)

    def _goodbye(self, _event: Any) -> None:
        self._finishing, self._last = True, self._frames.highest

    def _ended(self, event: Any) -> None:
        """The library has ended the connection, and told the client why."""
        if _debug.enabled:
            _debug.log(f"{self.carrier!r}: {frames.name_of(event.error_code)} {event.debug_data.decode('latin-1')}\n")
        self._fail(None)

    def _fault(self, fault: Fault) -> None:
        """*fault* ends its stream, or the connection where there has never been one."""
        if fault.stream > self._frames.highest:
            raise FrameError(frames.PROTOCOL_ERROR if fault.code != frames.FRAME_SIZE_ERROR else fault.code)
        if fault.stream in self.streams or fault.stream in self._unwanted:
            self.refuse_stream(fault.stream, fault.code)

    # What we say

    def _cut(self, stream: Stream, code: int) -> None:
        """Reset *stream*."""
        self._reset_stream(stream.id, code)
        self._forget(stream)
        stream.drop()

    def _reset_stream(self, number: int, code: int) -> None:
        self._forgive(number)
        self._ours.add(number)
        if _debug.enabled:
            _debug.log(f"{self.carrier!r}: stream {number} is reset, {frames.name_of(code)}\n")
        self.turns.flush()  # or the reset would overtake what was said on it
        self._engine.reset(number, code)

    def _end_unwanted(self, number: int) -> None:
        """Ask for no more of a body that was answered already.  RFC 9113 8.1."""
        self._unwanted.pop(number, None)
        self._overdue.pop(number, None)
        self._reset_stream(number, frames.NO_ERROR)

    def _forgive(self, number: int) -> None:
        """What is on its way on a stream that was reset from here is passed over."""
        self._frames.open.discard(number)
        self._forgiven[number] = None
        if len(self._forgiven) > FORGIVEN:
            del self._forgiven[next(iter(self._forgiven))]

    def _say_goodbye(self, code: int) -> None:
        self.turns.flush()
        self.emit(frames.goaway(self._frames.highest, code))

    def _forget(self, stream: Stream) -> None:
        if self.streams.pop(stream.id, None) is not None:
            self.requests.forget(stream)

    def _close_if_done(self) -> None:
        if self._finishing and not self.streams and not self._events and not self.closing:
            self.turns.flush()
            self.closing = True

    def _fail(self, code: int | None) -> None:
        """End the connection for *code*, or for what the library told the client already."""
        self.turns.flush()
        if _debug.enabled:
            _debug.log(f"{self.carrier!r} ends, {'as its client was told' if code is None else frames.name_of(code)}\n")
        if code is not None:
            self.emit(frames.goaway(self._frames.highest, code))
        self.closing = True
        self._drop_all()

    def _drop_all(self) -> None:
        streams = list(self.streams.values())
        for each in (self.streams, self.requests.uploads, self.requests.read, self._unwanted, self._overdue):
            each.clear()
        self._events.clear()
        self.turns.clear()
        for stream in streams:
            stream.drop()


_RECEIVERS: dict[type, Callable[[Http2, Any], object]] = {
    nghttp2.RequestReceived: lambda http, event: http.requests.head(event),
    nghttp2.DataReceived: lambda http, event: http.requests.data(event),
    nghttp2.TrailersReceived: lambda http, event: http.requests.trailers(event),
    nghttp2.StreamReset: Http2._reset,
    nghttp2.StreamClosed: Http2._closed,
    nghttp2.WindowUpdated: lambda http, event: http.turns.opened(event),
    nghttp2.SettingsReceived: lambda http, event: http.turns.opened(event),
    nghttp2.GoAwayReceived: Http2._goodbye,
    nghttp2.ConnectionClosed: Http2._ended,
    Fault: Http2._fault,
}


def _without_reset(events: list[Any]) -> list[Any]:
    """*events* but for requests that their client has taken back meanwhile."""
    gone = {each.stream_id for each in events if each.__class__ is nghttp2.StreamReset}
    early = (nghttp2.RequestReceived, nghttp2.DataReceived, nghttp2.TrailersReceived)
    return [each for each in events if each.__class__ not in early or each.stream_id not in gone]
