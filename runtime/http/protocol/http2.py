"""HTTP/2 without I/O: bytes in, calls of the handler, bytes out.  RFC 9113.

Requests are read whole and served as they are complete, up to a hundred at a time; their responses share the connection
frame by frame.  h2 keeps the states and compresses heads; limits, turns and what a client may do how often is decided
here.  Imported when the first such connection comes.
"""

import re
import traceback
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from runtime import eventer, log
from runtime.http.message.limits import HIGH_WATER, Limits
from runtime.http.message.peer import NOBODY, Peer
from runtime.http.message.request import Request
from runtime.http.message.response import CLOSE, Response

from . import frames as _frames
from .conversation import BODY, HEAD, IDLE, Admit, Carrier, Serve
from .frames import Allowance, Frame, FrameError, Frames
from .stream import Stream

MAX_STREAMS = 100  # at a time
STREAM_WINDOW = 256 << 10  # bytes of a body that may be on their way
CONNECTION_WINDOW = 1 << 20
LEAST_HELD = 16 << 20
SMALL = 32  # bytes of a body; a frame with less counts as a nuisance

_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PATH = re.compile(rb"/[\x21-\x7e\x80-\xff]*")


class Http2:
    """One connection's protocol; attributes are those of :class:`Http1`.

    Further: ``lagging``, streams whose handlers wait for the client."""

    def __init__(
        self,
        serve: Serve,
        limits: Limits | None = None,
        *,
        admit: Admit | None = None,
        on_output: Callable[[], object] | None = None,
        on_complete: Callable[[Response], object] | None = None,
        peer: Peer = NOBODY,
        carrier: Carrier | None = None,
        owner: eventer.LoopThread | None = None,
        budget: float = inf,
    ) -> None:
        """Args as of :class:`Http1`."""
        self.limits = limits = limits or Limits()
        self.output: list[bytes] = []
        self.backlog = 0
        self.closing = False
        self.unfinished = False
        self.lingering = True
        self.now = 0.0
        self.lagging: dict[int, Stream] = {}
        self._serve = serve
        self._admit = admit
        self._on_output = on_output
        self._on_complete = on_complete
        self._peer = peer
        self._carrier = carrier
        self._owner = owner
        self._budget = budget
        self._streams: dict[int, Stream] = {}
        self._uploads: dict[int, Stream] = {}
        self._turns: deque[Stream] = deque()
        self._held = 0  # bytes of bodies that are not answered yet
        self._may_hold = max(LEAST_HELD, 4 * limits.max_upload)
        self._busy = self._finishing = False
        self._frames = Frames(2 * limits.max_header + _frames.MAX_FRAME)
        self._nuisances = Allowance(1000, 500)
        self._resets = Allowance(200, 50)
        self._connection = _connection(limits)
        self._receivers: dict[type, Callable[[Any], object]] = {
            events.RequestReceived: self._request,
            events.DataReceived: self._data,
            events.TrailersReceived: self._trailers,
            events.StreamEnded: self._whole,
            events.StreamReset: self._reset,
            events.WindowUpdated: self._window,
            events.RemoteSettingsChanged: self._windows,
        }

    @property
    def paused(self) -> bool:
        """Whether to leave further bytes to the network: the client does not read what it asked for."""
        return self.backlog > HIGH_WATER

    @property
    def active(self) -> Response | None:
        """A response that its handler is at work on, and not the client's to wait for."""
        for stream in self._streams.values():
            response = stream.response
            if response is not None and not response.complete and stream.writable:
                return response
        return None

    @property
    def phase(self) -> str:
        """What is being read: the head of a request or another frame, bodies, or nothing."""
        if not self._frames.begun or self._frames.torn:
            return HEAD
        return BODY if self._uploads else IDLE

    @property
    def begun(self) -> int:
        """What exactly: a number that changes with it."""
        return next(iter(self._uploads), 0) if self.phase is BODY else self._frames.count

    def feed(self, data: bytes) -> None:
        """Take *data* from the client and serve the requests that it completes."""
        if self._is_over():
            return
        self._busy = True
        try:
            for frame in self._frames.feed(data):
                self._receive(frame)
                self._send()
                if self._is_over():
                    break
        except FrameError as mistake:
            self._fail(mistake.code)
        except ProtocolError:
            self._fail(None)  # h2 has said so
        except Exception:
            log.facility("error/rest").log(f"HTTP/2 failed on {self._carrier!r}\n{traceback.format_exc()}")
            self._fail(_frames.INTERNAL_ERROR)
        finally:
            self._busy = False
        self.advance()

    def advance(self) -> None:
        """Go on where it stopped: give each stream its turn, tell handlers that there is room again."""
        if self._busy:
            return
        self._busy = True
        try:
            self._send()
            while not self.closing:
                function = next(filter(None, (stream.drained() for stream in self.lagging.values())), None)
                if function is None:
                    break
                try:
                    function()
                except Exception:
                    log.facility("error/rest").log(f"a handler on {self._carrier!r} failed\n{traceback.format_exc()}")
                self._send()
        except Exception:
            log.facility("error/rest").log(f"HTTP/2 failed on {self._carrier!r}\n{traceback.format_exc()}")
            self._fail(_frames.INTERNAL_ERROR)
        finally:
            self._busy = False

    def sent(self, size: int) -> None:
        """*size* bytes of the output were taken by the network."""
        self.backlog -= size
        if self._turns or self.lagging:
            self.advance()

    def finish(self) -> None:
        """Be done with what was begun, and take no more."""
        if not self._finishing:
            self._finishing = True
            self._flush()
            self._emit(_frames.goaway(self._connection.highest_inbound_stream_id, _frames.NO_ERROR))
        self._close_if_done()

    def farewell(self) -> bytes:
        """The last words when the connection is closed at once."""
        if self.closing:
            return b""
        return _frames.goaway(self._connection.highest_inbound_stream_id, _frames.NO_ERROR)

    def disconnect(self) -> None:
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

    def enqueue(self, stream: Stream) -> None:
        """Give *stream* a turn: it has something to send."""
        if not stream.queued and stream.id in self._streams:
            stream.queued = True
            self._turns.append(stream)

    # What the client says

    def _receive(self, frame: Frame) -> None:
        kind = frame.kind
        if kind == _frames.GOAWAY and not frame.stream and len(frame.octets) >= 17:
            self._finishing = True  # h2 would forget what is still to be answered
            self._close_if_done()
            return
        if kind == _frames.RST_STREAM:
            self._resets.spend(self.now)
        elif kind not in (_frames.DATA, _frames.HEADERS, _frames.CONTINUATION) or (
            kind == _frames.DATA and frame.stream not in self._streams
        ):
            self._nuisances.spend(self.now)
        for event in self._connection.receive_data(frame.octets):
            receiver = self._receivers.get(event.__class__)
            if receiver is not None:
                receiver(event)

    def _request(self, event: Any) -> None:
        request = Request(self._peer)
        request.received = self.now
        request.protocol = b"HTTP/2.0"
        stream = self._streams[event.stream_id] = Stream(self, event.stream_id, request)
        if self._finishing or len(self._streams) > MAX_STREAMS:
            self._cut(stream, _frames.REFUSED_STREAM)
            return
        if not _fill(request, event.headers):
            self._cut(stream, _frames.PROTOCOL_ERROR)
            return
        lengths = {value for name, value in request.fields if name == b"content-length"}
        if lengths:
            length = lengths.pop()
            if lengths or not length.isdigit() or len(length) > 18:
                self._cut(stream, _frames.PROTOCOL_ERROR)
                return
            stream.expected = int(length)
        upload = event.stream_ended is None
        status = self._judge(request, stream.expected or 0, upload)
        if status is not None:
            self._refuse(stream, status)
        elif upload:
            self._uploads[stream.id] = stream
            if request.header(b"expect") is not None:
                self._connection.send_headers(stream.id, [(b":status", b"100")])

    def _judge(self, request: Request, length: int, upload: bool) -> int | None:
        """The status to refuse *request* with before its body, or None."""
        limits = self.limits
        if len(request.uri) > limits.max_uri:
            return 414
        if _size(request.fields) + len(request.uri) > limits.max_header:
            return 431
        if length > limits.max_upload:
            return 413
        if (request.header(b"expect") or b"100-continue").lower() != b"100-continue":
            return 417
        return self._admit(request) if upload and self._admit is not None else None

    def _data(self, event: Any) -> None:
        stream = self._streams.get(event.stream_id)
        data = event.data
        if len(data) < SMALL and event.stream_ended is None:
            self._nuisances.spend(self.now)
        if stream is not None and stream.id in self._uploads:
            stream.body += data
            self._held += len(data)
            if len(stream.body) > self.limits.max_upload:
                self._refuse(stream, 413)
            elif self._held > self._may_hold:
                self._cut(stream, _frames.REFUSED_STREAM)
        if event.flow_controlled_length:
            self._connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def _trailers(self, event: Any) -> None:
        stream = self._uploads.get(event.stream_id)
        if stream is not None:
            stream.request.trailers = [(bytes(name), bytes(value)) for name, value in event.headers]
            if _size(stream.request.trailers) > self.limits.max_header:
                self._refuse(stream, 431)

    def _whole(self, event: Any) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        stream.closed = True
        if stream.response is not None:
            return
        self._uploads.pop(stream.id, None)
        if stream.expected is not None and stream.expected != len(stream.body):
            self._cut(stream, _frames.PROTOCOL_ERROR)
            return
        request = stream.request
        request.payload = bytes(stream.body)
        stream.body = bytearray()
        stream.response = response = Response(request, stream, self._owner)
        try:
            self._serve(request, response)
        except Exception:
            log.facility("error/rest").log(f"serving {request!r} failed\n{traceback.format_exc()}")
            response.error(500)

    def _reset(self, event: Any) -> None:
        if not event.remote_reset:
            self._resets.spend(self.now)
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            self._forget(stream)
            stream.drop()
            self._close_if_done()

    def _window(self, event: Any) -> None:
        if not event.stream_id:
            self._windows(event)
        elif event.stream_id in self._streams:
            stream = self._streams[event.stream_id]
            if stream.waiting:
                self.enqueue(stream)

    def _windows(self, _event: Any) -> None:
        for stream in self._streams.values():
            if stream.waiting:
                self.enqueue(stream)

    # What we say

    def _refuse(self, stream: Stream, status: int) -> None:
        """Answer *stream* with *status*, and take no more of its body."""
        self._uploads.pop(stream.id, None)
        self._held -= len(stream.body)
        stream.body = bytearray()
        stream.response = response = Response(stream.request, stream, self._owner)
        response.error(status)

    def _cut(self, stream: Stream, code: int) -> None:
        """Reset *stream*."""
        self._resets.spend(self.now)
        self._connection.reset_stream(stream.id, code)
        self._forget(stream)
        stream.drop()

    def _send(self) -> None:
        """Give each stream that has something to send its turn, a frame at a time, while the network keeps up."""
        turns = self._turns
        while turns and self.backlog <= HIGH_WATER:
            for _ in range(min(16, len(turns))):
                if not turns:
                    break  # the client vanished meanwhile
                stream = turns.popleft()
                stream.queued = False
                if stream.id in self._streams and self._turn(stream):
                    self.enqueue(stream)
            self._flush()
        self._flush()

    def _turn(self, stream: Stream) -> bool:
        """Send a frame of *stream*; returns whether it wants another turn."""
        connection = self._connection
        if stream.cut:
            connection.reset_stream(stream.id, _frames.INTERNAL_ERROR)
            self._sent_all(stream)
            return False
        fields = stream.fields
        if fields is not None:
            stream.fields = None
            alone = stream.last and not stream.waiting
            connection.send_headers(stream.id, fields, end_stream=alone)
            if alone:
                self._sent_all(stream)
            return not alone and (stream.last or stream.waiting > 0)
        if stream.waiting:
            window = min(
                connection.outbound_flow_control_window,
                connection.streams[stream.id].outbound_flow_control_window,
                connection.max_outbound_frame_size,
                _frames.MAX_FRAME,
            )
            if window <= 0:
                return False  # until the client opens it
            data = stream.take(window)
            over = stream.last and not stream.waiting
            connection.send_data(stream.id, data, end_stream=over)
            self._nuisances.earn(3)  # each is answered by updates of windows
            if over:
                self._sent_all(stream)
            return not over and (stream.last or stream.waiting > 0)
        if not stream.last:
            return False
        connection.send_data(stream.id, b"", end_stream=True)
        self._sent_all(stream)
        return False

    def _sent_all(self, stream: Stream) -> None:
        response = stream.response
        if not stream.closed and not stream.cut:
            self._connection.reset_stream(stream.id, _frames.NO_ERROR)  # RFC 9113 8.1: the rest is not wanted
        self._forget(stream)
        if response is not None:
            if self._on_complete is not None:
                self._on_complete(response)
            if response.options & CLOSE:
                self.finish()
        self._close_if_done()

    def _forget(self, stream: Stream) -> None:
        self._streams.pop(stream.id, None)
        self._uploads.pop(stream.id, None)
        self._held -= len(stream.body) + len(stream.request.payload)

    def _flush(self) -> None:
        data = self._connection.data_to_send()
        if data:
            self._emit(data)

    def _emit(self, data: bytes) -> None:
        self.output.append(data)
        self.backlog += len(data)

    def _is_over(self) -> bool:
        return self.closing

    def _close_if_done(self) -> None:
        if self._finishing and not self._streams and not self.closing:
            self._flush()
            self.closing = True

    def _fail(self, code: int | None) -> None:
        """End the connection for *code*, or for what h2 told the client already."""
        if code is not None:
            self._flush()
            self._emit(_frames.goaway(self._connection.highest_inbound_stream_id, code))
        self._flush()
        self.closing = True
        self._drop_all()

    def _drop_all(self) -> None:
        streams = list(self._streams.values())
        for each in (self._streams, self._uploads, self.lagging):
            each.clear()
        self._turns.clear()
        for stream in streams:
            stream.drop()


class _Connection(H2Connection):
    MAX_CLOSED_STREAMS = 1024  # that late frames are forgiven for; h2 would keep many more


def _connection(limits: Limits) -> H2Connection:
    made = _Connection(
        H2Configuration(
            client_side=False, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
        )
    )
    said = {
        SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
        SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
        SettingCodes.MAX_HEADER_LIST_SIZE: limits.max_header,
    }
    made.local_settings = Settings(client=False, initial_values=said)
    made.initiate_connection()
    made.receive_data(_frames.PREFACE)  # which Frames has seen, and takes out
    made.increment_flow_control_window(CONNECTION_WINDOW - 65535)
    # h2 ends the connection at its limits; ours, which end a stream or answer it, are below those.
    meant = {**said, SettingCodes.MAX_CONCURRENT_STREAMS: 100 * MAX_STREAMS}
    made.local_settings = Settings(client=False, initial_values=meant)
    made.decoder.max_header_list_size = 4 * limits.max_header + 65536
    return made


def _fill(request: Request, headers: Any) -> bool:
    """Put *headers* into *request*; False for a method or a path that cannot be."""
    pseudo: dict[bytes, bytes] = {}
    fields = request.fields
    for name, value in headers:
        if name.startswith(b":"):
            pseudo[name] = value
        else:
            fields.append((name, value))
    authority = pseudo.get(b":authority")
    if authority is not None and not any(name == b"host" for name, _ in fields):
        fields.insert(0, (b"host", authority))
    request.method = pseudo[b":method"]
    if request.method == b"CONNECT":
        request.uri = authority or b""
        return bool(authority) and b":protocol" not in pseudo
    request.uri = pseudo[b":path"]
    asterisk = request.uri == b"*" and request.method == b"OPTIONS"
    return _METHOD.fullmatch(request.method) is not None and (asterisk or _PATH.fullmatch(request.uri) is not None)


def _size(fields: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in fields)
