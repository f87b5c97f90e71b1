"""HTTP/1.0 and 1.1 without I/O: bytes in, calls of the handler, bytes out.  RFC 9112.

Requests are served one at a time, so responses leave in order, and are read whole before, unless their handler reads
the body itself; a request that cannot be read is answered behind those before it, and ends the connection.  How they
are read is the matter of ``parsing``, how responses look that of ``framing``.

Clients send the same heads again and again: one that came twice, each time by itself and with no body to follow, is
known, and not parsed again.
"""

import traceback
from collections import deque
from collections.abc import Callable
from math import inf
from time import perf_counter

import httptools

from runtime import log
from runtime.http.message import traced
from runtime.http.message.body import decode
from runtime.http.message.draft import CLOSE
from runtime.http.message.known import LONGEST, Known
from runtime.http.message.limits import HIGH_WATER, Limits
from runtime.http.message.peer import NOBODY
from runtime.http.message.request import Request
from runtime.http.message.response import Response
from runtime.http.message.upload import Upload
from runtime.http.message.upload import begin as begin_upload

from .conversation import BODY, IDLE, TERMS, Serve, Terms
from .framing import Framing
from .parsing import NONE, Parsing

_known: Known[bytes, Request] = Known()  # heads that came twice, and what they ask
_seen = [0] * 256  # hashes of those that came once, each in the place that it tells
READ_AHEAD = 16 << 10  # bytes
_PASSED_OVER = 64 << 10  # bytes of a body that nobody read, at most, behind which a connection goes on


class Http1(Parsing, Framing):
    """One connection's protocol.

    Attributes: ``output``, bytes to be sent, and ``backlog``, how many bytes are not sent yet, which whoever sends them
    reduces; ``writable``, whether a handler should make more; ``active``, the response under way; ``unfinished``,
    requests wait only because those before them took their time: :meth:`advance` is to be called again, after everybody
    else had a turn; ``closing``, to be closed once all is sent; ``carrier``, the connection, or None; ``budget``, as
    given."""

    def __init__(self, serve: Serve, limits: Limits | None = None, terms: Terms = TERMS) -> None:
        """*serve* gets each request and its response."""
        Parsing.__init__(self, limits or Limits(), terms.admit, terms.peer)
        Framing.__init__(self)
        self._most_known = min(LONGEST, self.limits.max_header, self.limits.max_uri)  # bytes of a head
        self.output: list[bytes] = []
        self.backlog = 0
        self.writable = True
        self.active: Response | None = None
        self.unfinished = False
        self.closing = False
        self._serve = serve
        self._on_output = terms.on_output
        self._on_complete = terms.on_complete
        self.carrier = terms.carrier
        self._owner = terms.owner
        self.budget = terms.budget
        self._queue: deque[Request] = deque()
        self._waiting: list[Callable[[], object]] = []
        self._finishing = False
        self._half_closed = False  # the client sends no more
        self._switched = False
        self._ahead = 0  # bytes read since requests wait
        self._early = b""  # what came behind a request that asks for another protocol
        self._advancing = False

    @property
    def paused(self) -> bool:
        """Whether to leave further bytes to the network: requests wait already, or the client does not read.

        For a handler that wants to hear of the end, which may be behind what waits, a little is read ahead."""
        if not self.writable or (self._upload is not None and self._upload.full):
            return True
        if not self._queue:
            return False
        return self.active is None or not self.active.watched or self._ahead > READ_AHEAD

    def feed(self, data: bytes) -> None:
        """Take *data* from the client and serve the requests that it completes."""
        if self._last or self._failure:
            self.lingering = True
            return
        self._ahead = self._ahead + len(data) if self._queue else 0
        begun = self.begun if self.phase is IDLE and len(data) < self._most_known else None
        if begun is not None:
            same = _known.get(data)
            if same is not None:
                self._again(same)
                if self._finishing:
                    self._say_last()
                self.advance()
                return
        rest = data
        size = 0
        pieces = self._pieces
        while rest and not (self._last or self._failure):
            if self.phase is not BODY:
                size = pieces.head(rest)
            elif self._length is None:
                size = pieces.chunks(rest)
            else:
                size = self._length - self._received
            if pieces.refusal is not None:
                self._failure = pieces.refusal
                break
            try:
                self._parse(rest if size >= len(rest) else rest[:size])
            except httptools.HttpParserUpgrade as upgrade:
                self._stay(rest[upgrade.args[0] :])
                return
            rest = rest[size:]
        if begun is not None and self.begun == begun + 1 and self.phase is IDLE and size >= len(data):
            self._remember(data)
        if self._finishing:
            self._say_last()
        if rest:
            self.lingering = True
        if self._failure and self._upload is not None:
            self._break_off()
        self.advance()

    def _again(self, same: Request) -> None:
        """Another request like one whose head is known came, whole."""
        self.begun += 1
        if traced.REQUEST_START.heard[0]:
            traced.tell(traced.REQUEST_START, self._peer)
        self.arrived(same.again(self._peer, self.now))

    def _remember(self, data: bytes) -> None:
        """*data* was a whole request, unless it was refused; once it came twice it is known."""
        mark = hash(data)
        if _seen[mark & 255] != mark:
            _seen[mark & 255] = mark
        elif not (self._last or self._failure):
            _known.keep(data, self._queue[-1].again(NOBODY, 0.0), len(data))

    def _break_off(self) -> None:
        """The body that a handler reads cannot be read on: it is told, and answers."""
        upload, status = self._upload, self._failure
        assert upload is not None
        self._request.keep_alive = False
        self._last, self._failure, self._upload = True, 0, None
        self.phase = IDLE
        upload.fail(status, "the body is too long" if status == 413 else "the body is malformed")

    def advance(self) -> None:
        """Go on where it stopped: serve what waits, tell those that wait for the client to catch up."""
        if self._advancing:
            return
        self._advancing = True
        self.unfinished = False
        served, end = False, perf_counter() + self.budget if len(self._queue) > 1 else inf
        try:
            while True:
                if self.backlog <= HIGH_WATER:
                    self.writable = True
                    if self._waiting:
                        self._waiting.pop(0)()
                        continue
                if self.active is not None or self.closing or not self.writable:
                    break
                if self._queue:
                    if served and perf_counter() >= end:
                        self.unfinished = True
                        break
                    served = True
                    request = self._queue.popleft()
                    self.active = response = Response(request, self, self._owner)
                    response.abandoned = self._half_closed
                    try:
                        refusal = decode(request, self.limits.max_upload)
                        if refusal is None:
                            self._serve(request, response)
                        else:
                            response.error(refusal)
                    except Exception:
                        log.facility("error/rest").log(f"serving {request!r} failed\n{traceback.format_exc()}")
                        response.error(500)
                elif self._failure:
                    self._fail()
                else:
                    if self._continue and self.phase is BODY and not self._body:
                        self.emit(b"HTTP/1.1 100 Continue\r\n\r\n")
                    self._continue = False
                    break
        finally:
            self._advancing = False

    def sent(self, size: int) -> None:
        """*size* bytes of the output were taken by the network."""
        self.backlog -= size
        if self._waiting or not self.writable:
            self.advance()

    def expire(self, now: float) -> None:
        """Nothing waits that the connection does not wait for."""

    @property
    def fresh(self) -> bool:
        """Whether the client has not begun to ask for anything yet."""
        return self.begun == 0 and self.phase is IDLE

    def last_call(self) -> None:
        """What has come by now is answered, and the last of these answers says that it is."""
        self._finishing = True
        self._say_last()

    def _say_last(self) -> None:
        """Have the answer to the last request that came say so, unless there is the beginning of another."""
        if self._queue and self.phase is IDLE:
            self._queue[-1].keep_alive = False
            self._last = True
        elif self.active is not None and (self.phase is IDLE or self._upload is not None):
            self.active.option(CLOSE)

    def finish(self) -> None:
        """Be done with what was begun, and take no more."""
        self.last_call()
        if self.active is None and self._is_idle():
            self._last = self.closing = True

    @property
    def is_between(self) -> bool:
        """Whether everything that came was answered, and nothing is begun."""
        return self._is_idle() and self.active is None and not (self._failure or self._last or self._finishing)

    def _is_idle(self) -> bool:
        return self.phase is IDLE and not self._queue

    @property
    def switchable(self) -> bool:
        """Whether the request under way is the last that came, so that another protocol may follow it."""
        return not self._queue and not self._failure and self.phase is IDLE and not self._finishing

    def switch(self, response: Response, head: bytes) -> bytes:
        """Answer with *head*, the 101 that *response* is, and be done; returns what came behind the request."""
        if traced.RESPONSE_START.heard[0]:
            traced.tell(traced.RESPONSE_START, self._peer)
        response.code = 101
        response.started = response.complete = True
        response.written = len(head)
        self.emit(head)
        self.active = None
        if self._on_complete is not None:
            self._on_complete(response)
        self._last = self.closing = self._switched = True
        early, self._early = self._early, b""
        return early

    def farewell(self) -> bytes:
        """The last words when the connection is closed at once: this version has none."""
        return b""

    def half_closed(self) -> None:
        """The client sends no more."""
        self._half_closed = True
        if self._upload is not None:
            self._upload.fail(0, "the client is gone")
        if self.active is not None:
            self.active.abandon()

    def disconnected(self) -> None:
        """The client is gone; a response under way learns it."""
        self._last = self.closing = True
        self._queue.clear()
        self.output.clear()
        self.writable = False
        response, self.active = self.active, None
        if self._upload is not None:
            self._upload.fail(0, "the client is gone")
        if response is not None:
            response.disconnected()
        self._waiting.clear()
        self._body.clear()
        self._request = NONE

    # Sink, with its framing

    def emit(self, data: bytes) -> None:
        """Send *data* after everything before it."""
        if self.closing:
            return
        self.output.append(data)
        self.backlog += len(data)
        if self.backlog > HIGH_WATER:
            self.writable = False

    def push(self) -> None:
        """Part of :class:`Sink`."""
        if self._advancing:
            return
        owner = self._owner
        if owner is not None and not owner.is_on_hub():
            owner.soon(self.push)  # the next handler is to be called on the hub, not in this aco
            return
        self.advance()
        if self._on_output is not None:
            self._on_output()

    def on_drain(self, function: Callable[[], object]) -> None:
        """Part of :class:`Sink`."""
        self._waiting.append(function)

    def completed(self, response: Response, keep_alive: bool) -> None:
        """Part of :class:`Framing`."""
        if self.active is not response:
            return
        self.active = None
        if response.request.upload is not None:
            keep_alive = self._pass_over(response.request) and keep_alive
        if self._on_complete is not None:
            self._on_complete(response)
        if not keep_alive or (self._finishing and self._is_idle()):
            self._last = self.closing = True
            self.lingering = self.lingering or bool(self._queue) or self.phase is not IDLE
            self._queue.clear()

    def arrived(self, request: Request, upload: Upload | None = None) -> None:
        """*request* is there whole; its handler has had it already if it reads *upload*, its body, itself."""
        self._continue = False
        if not request.keep_alive:
            self._last = True
        if traced.REQUEST_FINISH.heard[0]:
            traced.tell(traced.REQUEST_FINISH, self._peer)
        if upload is not None:
            upload.end()
        else:
            self._queue.append(request)

    # Bodies that handlers read

    def stream(self, request: Request) -> None:
        """Have *request* served now: its handler reads what comes."""
        refusal = begin_upload(request, self.limits.max_upload)
        if refusal is not None:
            self._refuse(refusal)
        self._upload = upload = request.upload
        assert upload is not None
        upload.on_wanted = self._read_on
        self._queue.append(request)

    @property
    def starved(self) -> bool:
        """Whether a handler waits for what its client has still to send."""
        return self._upload is not None and self._upload.wanted

    def _read_on(self) -> None:
        """A handler wants more of its body, or has made room for it; or it cannot be read on."""
        upload = self._upload
        if upload is not None and upload.over and self.active is not None:
            self.active.request.keep_alive = False
        if self._continue and upload is not None and upload.wanted:
            self._continue = False
            if not self._received and self.active is not None and not self.active.started:
                self.emit(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.push()

    def head(self, response: Response, headers: dict[bytes, bytes], measured: bool, silent: bool) -> None:
        """Part of :class:`Sink`."""
        if response.ended and self._upload is not None and not self._may_go_on():
            response.request.keep_alive = False
        super().head(response, headers, measured, silent)

    def _may_go_on(self) -> bool:
        """Whether what is left of a body that nobody reads is so little that it can be passed over.

        Of one that its client holds back nobody knows whether it comes."""
        return self._length is not None and self._length - self._received <= _PASSED_OVER and not self._continue

    def _pass_over(self, request: Request) -> bool:
        """Let go of the body of *request*, which was answered; whether another can follow."""
        upload = request.upload
        assert upload is not None
        good = upload.failure is None and (self._upload is not upload or self._may_go_on())
        upload.drop()
        return good

    def _stay(self, rest: bytes) -> None:
        """The parser stopped for an Upgrade: serve it, and unless that was accepted go on in HTTP/1 with *rest*.

        It took the request to have no body; if it has one, it is on the queue too early and comes off again."""
        request = self._queue[-1]
        headers = request.headers
        chunked = b"transfer-encoding" in headers
        length = int(headers.get(b"content-length") or b"0")
        self._parser = httptools.HttpRequestParser(self)
        if request.method != b"CONNECT" and (chunked or length):
            self._request = self._queue.pop()
            self._last = False
            self._skip_head = True
            self._length = None if chunked else length
            self._overhead = -len(rest)
            self._continue = b"expect" in headers
            framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % length
            self._parser.feed_data(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n")
        else:
            self._early = rest
            self.advance()
            if self._switched:
                return
            self._early = b""
        if rest:
            self.feed(rest)
        self.advance()

    def _fail(self) -> None:
        """Answer what could not be read, and be done."""
        request = Request(self._peer) if self.phase is IDLE else self._request
        if not request.method:  # refused within the head
            request.method = self._pieces.method
        request.keep_alive = False
        self.lingering = True
        self.active = response = Response(request, self, self._owner)
        response.error(self._failure)
