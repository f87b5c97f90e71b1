"""Requests of an HTTP/2 connection as they come: heads are judged, bodies gathered, whole ones handed on to be served.

What happens to their streams otherwise, the connection knows.  RFC 9113, section 8.
"""

import traceback
from typing import TYPE_CHECKING, Any

from runtime import log
from runtime.http.message import traced
from runtime.http.message.body import decode
from runtime.http.message.owner import Owner
from runtime.http.message.response import Response
from runtime.http.message.upload import begin as begin_upload

from . import frames
from .conversation import Admit, Serve
from .heads import request_of, size_of
from .patience import Patience
from .stream import Stream

if TYPE_CHECKING:
    from .http2 import Http2

LEAST_HELD = 16 << 20


class Requests:
    """Those of one connection.

    Attributes: ``uploads``, streams whose bodies are to come; ``read``, those whose handlers read them as they come."""

    __slots__ = ("_admit", "_held", "_http", "_may_hold", "_owner", "_patience", "_serve", "read", "uploads")

    def __init__(self, http: "Http2", serve: Serve, admit: Admit | None, owner: Owner | None) -> None:
        self.uploads: dict[int, Stream] = {}
        self.read: dict[int, Stream] = {}
        self._patience = Patience()
        self._http = http
        self._serve = serve
        self._admit = admit
        self._owner = owner
        self._held = 0  # bytes of bodies that are not answered yet
        self._may_hold = max(LEAST_HELD, 4 * http.limits.max_upload)

    def head(self, event: Any) -> bool:
        """A head has come; returns whether a handler has run."""
        http, number = self._http, event.stream_id
        request = request_of(http.peer, event.headers)
        if request is None or not http.takes(number):
            http.refuse_stream(number, frames.PROTOCOL_ERROR if request is None else frames.REFUSED_STREAM)
            return False
        if traced.REQUEST_START.heard[0]:
            traced.tell(traced.REQUEST_START, http.peer)
        request.received = http.now
        request.span = http.judged(number)
        stream = http.streams[number] = Stream(http, number, request)
        stream.closed = event.end_stream
        status = self._judge(stream)
        if status is not None:
            self._refuse(stream, status)
        elif stream.closed:
            self._whole(stream)
            return True
        elif request.streams:
            self._stream(stream)
            return True
        else:
            self.uploads[number] = stream
            if request.header(b"expect") is not None:
                http.inform(number)
        return False

    def data(self, event: Any) -> bool:
        """Bytes of a body; returns whether a handler has run."""
        number, data = event.stream_id, event.data
        stream = self.uploads.get(number)
        if stream is None and number in self.read:
            self._receive(self.read[number], data, event.end_stream)
            return False
        if stream is None:
            self._http.pass_over(number, len(data), event.end_stream)
            return False
        stream.body.append(data)
        stream.body_bytes += len(data)
        self._held += len(data)
        stream.closed = event.end_stream
        if stream.body_bytes > self._http.limits.max_upload:
            self._refuse(stream, 413)
        elif self._held > self._may_hold:
            self._http.refuse_stream(number, frames.REFUSED_STREAM)
        elif stream.closed:
            self._whole(stream)
            return True
        return False

    def trailers(self, event: Any) -> bool:
        """The end of a request, with more fields; returns whether a handler has run."""
        stream = self.uploads.get(event.stream_id) or self.read.get(event.stream_id)
        if stream is None:
            self._http.pass_over(event.stream_id, 0, True)
            return False
        stream.request.trailers = list(event.headers)
        if stream.id in self.read:
            self._receive(stream, b"", True)
            return False
        stream.closed = True
        if size_of(stream.request.trailers) > self._http.limits.max_header:
            self._refuse(stream, 431)
            return False
        self._whole(stream)
        return True

    def overdue(self, now: float) -> list[Stream]:
        """The streams whose handlers wait for their client too long, at *now*."""
        uploads = {stream: stream.request.upload for stream in self.read.values()}
        waiting = {
            stream: upload.received for stream, upload in uploads.items() if upload is not None and upload.wanted
        }
        return self._patience.overdue(waiting, now, self._http.limits.idle_timeout)

    def forget(self, stream: Stream) -> None:
        """*stream* is over, and so is what it brought."""
        self.uploads.pop(stream.id, None)
        if self.read.pop(stream.id, None) is not None and stream.held:
            self._http.let_upload(stream, True)  # the rest is passed over
        self._held -= stream.body_bytes

    def _judge(self, stream: Stream) -> int | None:
        """The status to refuse a request with before its body, or None."""
        limits, request = self._http.limits, stream.request
        if len(request.uri) > limits.max_uri:
            return 414
        if size_of(request.fields) + len(request.uri) > limits.max_header:
            return 431
        length = request.header(b"content-length")  # a number, as the library has seen
        if length is not None and int(length) > limits.max_upload:
            return 413
        if (request.header(b"expect") or b"100-continue").lower() != b"100-continue":
            return 417
        if stream.closed or self._admit is None:
            return None
        try:
            return self._admit(request)
        except Exception:
            log.facility("error/rest").log(f"routing {request!r} failed\n{traceback.format_exc()}")
            return 500

    def _refuse(self, stream: Stream, status: int) -> None:
        """Answer *stream* with *status*, and take no more of its body."""
        self.forget(stream)
        stream.body_bytes = 0
        stream.body.clear()
        stream.response = response = Response(stream.request, stream, self._owner)
        response.error(status)

    def _stream(self, stream: Stream) -> None:
        """Serve the request on *stream* now: its handler reads what comes."""
        request = stream.request
        refusal = begin_upload(request, self._http.limits.max_upload)
        if refusal is not None:
            self._refuse(stream, refusal)
            return
        upload = request.upload
        assert upload is not None
        upload.on_wanted = lambda: self._read_on(stream)
        self.read[stream.id] = stream
        stream.response = response = Response(request, stream, self._owner)
        try:
            self._serve(request, response)
        except Exception:
            log.facility("error/rest").log(f"serving {request!r} failed\n{traceback.format_exc()}")
            response.error(500)

    def _receive(self, stream: Stream, data: bytes, over: bool) -> None:
        """*data* has come of a body that a handler reads."""
        upload = stream.request.upload
        assert upload is not None
        stream.closed = over
        if upload.received + len(data) > self._http.limits.max_upload:
            upload.fail(413, "the body is too long")
        upload.put(data)
        if over:
            self.read.pop(stream.id, None)
            upload.end()
        elif upload.full and not stream.held:
            stream.held = True
            self._http.let_upload(stream, False)

    def _read_on(self, stream: Stream) -> None:
        """A handler wants more of its body, or has made room for it."""
        upload = stream.request.upload
        if upload is None or stream.id not in self.read:
            return
        if stream.held and not upload.full:
            stream.held = False
            self._http.let_upload(stream, True)
        if upload.wanted and stream.request.header(b"expect") is not None and not upload.received:
            stream.request.drop(b"expect")
            self._http.inform(stream.id)
        self._http.push()

    def _whole(self, stream: Stream) -> None:
        self.uploads.pop(stream.id, None)
        request = stream.request
        if traced.REQUEST_FINISH.heard[0]:
            traced.tell(traced.REQUEST_FINISH, request.peer)
        if stream.body:
            request.payload = b"".join(stream.body)
            stream.body.clear()
        stream.response = response = Response(request, stream, self._owner)
        try:
            refusal = decode(request, self._http.limits.max_upload)
            self._held += len(request.payload) - stream.body_bytes  # decoded it may be much more
            stream.body_bytes = len(request.payload)
            if refusal is not None:
                response.error(refusal)
            elif self._held > self._may_hold:
                response.error(503)
            else:
                self._serve(request, response)
        except Exception:
            log.facility("error/rest").log(f"serving {request!r} failed\n{traceback.format_exc()}")
            response.error(500)
