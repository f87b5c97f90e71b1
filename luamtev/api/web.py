"""HTTP requests for Lua's web handlers: what ``web.lua`` asks of a request and says in response.

A request is known to Lua by a number until its handler has returned.  Lua may run on another loop thread than the
request's (lua_web's loop_assign): then what it says is posted there.  Manual: lua_web.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from luamtev.api.zipkin import number_of
from luamtev.bridge import LuaError
from runtime import eventer, log

if TYPE_CHECKING:
    from luamtev.state import State
    from runtime.http import Request, Response
    from runtime.http.message.peer import Peer
    from runtime.http.protocol.batches import Answer, Exchange
    from runtime.http.protocol.websocket import WebSocket
    from runtime.zipkin import Span

WRITABLE, ALIVE = 1, 2
"""What Lua learns when it has said something: the client takes more at once; the client is there."""

_configs: dict[int, Mapping[str, str]] = {}  # by the number of the listener


class LuaSockets:
    """The handler of WebSocket connections of one mount, for :func:`runtime.http.websocket`."""

    def __init__(self, exchanges: "Callable[[], Exchanges]", mount: int) -> None:
        self._exchanges = exchanges
        self._mount = mount

    def protocols(self, _request: "Request") -> tuple[str, ...]:
        """The subprotocols that the module's table ``websocket`` speaks, best first."""
        return self._exchanges().protocols(self._mount)

    def ready(self, ws: "WebSocket") -> None:
        """A connection is open."""
        exchanges = self._exchanges()
        ws.closure = (exchanges, exchanges.add_socket(ws))
        ws.hold()  # until the callback is done, which may be a while
        config = config_id(ws.request.peer)
        exchanges.tell(ws.closure[1], self._mount, b"ready", ws.request.path, config, ws.protocol)

    def message(self, ws: "WebSocket", opcode: int, payload: bytes) -> None:
        """A message came."""
        exchanges, handle = ws.closure
        ws.hold()
        exchanges.tell(handle, self._mount, b"message", opcode, payload)

    def closed(self, ws: "WebSocket") -> None:
        """It is over."""
        if ws.closure is not None:
            exchanges, handle = ws.closure
            exchanges.tell(handle, self._mount, b"cleanup", ws.code, ws.reason)


class Exchanges:
    """The requests that a state serves."""

    def __init__(self, state: "State", mounts: list[str], names: list[str]) -> None:
        self.mounts = mounts
        self.names = names
        self._state = state
        self._last = 0
        self._untold: deque[tuple[Any, ...]] = deque()
        self.open: dict[int, Response] = {}
        self._batch: tuple[int, Sequence[Exchange]] = (0, ())  # what is served now, and the first one's number
        self.sockets: dict[int, WebSocket] = {}
        self._protocols: dict[int, tuple[str, ...]] = {}

    def serve(self, mount: int, response: "Response") -> None:
        """Run the handler of *mount*; on the state's thread, which need not be that of the response."""
        state = self._state
        if state.busy:  # a response that ends in Lua may bring the next request with it
            state.thread.soon(self.serve, mount, response)
            return
        self._last = handle = self._last + 1
        self.open[handle] = response
        request = response.request
        config = config_id(request.peer)
        date = response.date_if_plain() if response.owner is state.thread else None
        asked = (handle, mount, request.method, request.path, config, date)
        try:
            over, code, data = state.serve(*asked) if not request.span else self._serve_traced(asked, request.span)
        except Exception:
            self.open.pop(handle, None)
            raise
        if over:
            self.open.pop(handle, None)
        if data is not None:
            response.end_whole(code, data)

    def _serve_traced(self, asked: tuple[Any, ...], span: "Span") -> tuple[bool, int, bytes | None]:
        """The same with *span*, which coroutines carry from there on."""
        from runtime import zipkin

        with zipkin.within(None):
            return self._state.serve(*asked, number_of(span))

    def protocols(self, mount: int) -> tuple[str, ...]:
        """The subprotocols of the module of *mount*; asked of Lua once."""
        known = self._protocols.get(mount)
        if known is None:
            if not self._state.can_enter():
                return ()
            known = self._protocols[mount] = self._state.websocket_protocols(mount)
        return known

    def serve_many(self, exchanges: "Sequence[Exchange]", budget: float) -> "list[Answer | None]":
        """Run the handlers of *exchanges* for *budget* seconds, in one call into Lua; on the state's thread.

        Of the type :data:`runtime.http.protocol.batches.Many`."""
        state = self._state
        if state.busy:
            for each in exchanges:
                self.serve(each.offer.mount, each.make())
            return [None] * len(exchanges)
        first = self._last + 1
        self._last += len(exchanges)
        asked: list[Any] = [first, config_id(exchanges[0].peer), budget]
        for each in exchanges:
            offer = each.offer
            asked += (offer.mount, each.method, offer.path)
        self._batch = (first, exchanges)
        try:
            said = state.serve_many(*asked)
            return [self._answer(first + at // 4, *said[at : at + 4]) for at in range(0, len(said), 4)]
        finally:
            self._batch = (0, ())

    def _answer(self, handle: int, over: bool, code: int, lines: bytes, body: bytes) -> "Answer | None":
        """What Lua said of the request *handle* of a batch: its answer, if it is whole."""
        if over:
            self.open.pop(handle, None)
        else:
            self.response_of(handle)
        return (int(code), lines, body) if code else None

    def response_of(self, handle: int) -> "Response | None":
        """The response of the request *handle*, if that is not over."""
        found = self.open.get(handle)
        if found is None:
            first, exchanges = self._batch
            if 0 <= handle - first < len(exchanges):
                found = self.open[handle] = exchanges[handle - first].make()
        return found

    def add_socket(self, ws: "WebSocket") -> int:
        """Know *ws* by a number, which its request has too."""
        self._last = handle = self._last + 1
        self.sockets[handle] = ws
        return handle

    def tell(self, *event: Any) -> None:
        """Tell Lua of an *event* on a WebSocket connection, after those before it."""
        self._untold.append(event)
        if not self._state.can_enter():  # what is sent from Lua, or from an aco, may end the connection
            self._state.thread.soon(self._tell_all)
        else:
            self._tell_all()

    def _tell_all(self) -> None:
        mine = eventer.Slice()
        while self._untold and not self._state.busy:
            event = self._untold.popleft()
            self._state.tell_socket(*event)
            if event[2] == b"cleanup":
                self.sockets.pop(event[0], None)
            if self._untold and mine.is_over():
                self._state.thread.soon(self._tell_all)
                break


def config_id(peer: "Peer") -> int:
    """The number by which Lua asks for the configuration of the listener that *peer* came to."""
    _configs.setdefault(peer.listener, peer.config)
    return peer.listener


def functions(state: "State") -> "dict[str, Callable[..., Any]]":
    """What ``web.lua`` builds on."""

    def is_away(response: "Response") -> bool:
        return response.owner is not None and response.owner is not state.thread

    def request_of(handle: int) -> "Request":
        exchanges = state.exchanges
        ws = None if exchanges is None else exchanges.sockets.get(handle)
        return response_of(handle).request if ws is None else ws.request

    def websocket_send(handle: int, opcode: float, payload: bytes) -> bool:
        ws = None if state.exchanges is None else state.exchanges.sockets.get(handle)
        try:
            return ws is not None and ws.send(int(opcode), payload)
        except ValueError as mistake:
            raise LuaError(f"websocket: {mistake}") from None

    def websocket_close(handle: int, code: float, reason: bytes) -> None:
        ws = None if state.exchanges is None else state.exchanges.sockets.get(handle)
        try:
            if ws is not None:
                ws.close(int(code), reason)
        except ValueError as mistake:
            raise LuaError(f"websocket: {mistake}") from None

    def websocket_next(handle: int) -> None:
        ws = None if state.exchanges is None else state.exchanges.sockets.get(handle)
        if ws is not None:
            ws.release()

    def response_of(handle: int) -> "Response":
        found = None if state.exchanges is None else state.exchanges.response_of(int(handle))
        if found is None:
            raise LuaError("the request is over")
        return found

    def web_respond(
        handle: int,
        code: float,
        reason: bytes | None,
        options: float,
        ending: bool,
        body: bytes,
        *headers: bytes,
    ) -> int:
        response = response_of(handle)
        if response.complete:
            return WRITABLE
        if is_away(response):
            response.resume(_say_there, response, int(code), reason, int(options), ending, body, headers)
            return ALIVE
        return say(response, int(code), reason, int(options), ending, body, headers)

    def web_whole(handle: int, code: float, data: bytes) -> int:
        response = response_of(handle)
        if response.complete:
            return WRITABLE
        response.end_whole(int(code), data)
        return WRITABLE | ALIVE

    def web_respond_fd(
        handle: int, body: bytes, fd: float, size: float | None, offset: float | None
    ) -> tuple[bool, str | None]:
        response = response_of(handle)
        if response.complete or is_away(response):
            return False, "the client is gone" if response.complete else "not from another loop"
        return say_file(response, body, fd, size, offset)

    def web_drain(handle: int, ticket: float) -> None:
        response = response_of(handle)
        number = int(ticket)
        state.tickets[number] = _NO_WORK
        response.resume(_await_drain, response, lambda: state.ticket_done(number, True))

    def web_ask(handle: int, what: bytes) -> Any:
        request = request_of(handle)
        if what == b"payload":
            return request.payload if request.payload or _announces_body(request) else None
        if what == b"target":
            return request.uri
        if what == b"client":
            return request.peer.remote.encode()
        if what == b"querystring":
            return request.querystring()
        return _options(request)

    def web_abort(handle: int) -> None:
        response = response_of(handle)
        response.resume(response.error, 500)

    def web_acl(handle: int) -> bool:
        from runtime.http import client_cert_auth

        return client_cert_auth(request_of(handle))

    def web_reason(code: float) -> bytes:
        from runtime.http import reason

        return reason(int(code))

    def web_release(handle: int) -> None:
        if state.exchanges is not None:
            state.exchanges.open.pop(handle, None)

    return {
        "web_accepts": _accepted,
        "web_mounts": lambda: [] if state.exchanges is None else state.exchanges.mounts,
        "web_mount_names": lambda: [] if state.exchanges is None else state.exchanges.names,
        "web_respond": web_respond,
        "web_whole": web_whole,
        "web_respond_fd": web_respond_fd,
        "web_drain": web_drain,
        "web_ask": web_ask,
        "web_headers": lambda handle: request_of(handle).headers,
        "web_config": lambda number: dict(_configs[int(number)]),
        "web_abort": web_abort,
        "web_acl": web_acl,
        "web_reason": web_reason,
        "web_release": web_release,
        "web_socket_send": websocket_send,
        "web_socket_close": websocket_close,
        "web_socket_next": websocket_next,
    }


def say_file(
    response: "Response", body: bytes, fd: float, size: float | None, offset: float | None
) -> tuple[bool, str | None]:
    """Hand the response *body* and what the file *fd* has from *offset* on, *size* bytes or all; says what failed."""
    if body:
        response.write(body)
    try:
        response.write_fd(int(fd), None if size is None else int(size), int(offset or 0))
    except (OSError, ValueError) as failure:
        return False, str(failure)
    return True, None


def say(
    response: "Response",
    code: int,
    reason: bytes | None,
    options: int,
    ending: bool,
    body: bytes,
    headers: tuple[bytes, ...],
) -> int:
    """Hand the response what Lua gathered; returns WRITABLE and ALIVE, whichever holds."""
    if response.complete:
        return WRITABLE
    if not response.started:
        if code != 200 or (reason is not None and reason != b"OK"):
            response.status(code, reason)
        if headers:
            pairs = iter(headers)
            for name, value in zip(pairs, pairs, strict=True):
                response.header(name, value)
        if options:
            response.option(options)
    if body:
        response.write(body)
    if ending:
        response.flush_end()
        return WRITABLE | ALIVE
    return (WRITABLE if response.flush() else 0) | ALIVE


def _say_there(response: "Response", *said: Any) -> None:
    """The same where nobody is left that an error could be told: it is logged, and the client learns of it."""
    try:
        say(response, *said)
    except Exception as failure:
        log.facility("error/rest").log(f"{response!r} cannot be sent: {failure}\n")
        response.error(500)


def _await_drain(response: "Response", wake: Callable[[], object]) -> None:
    response.on_close = wake  # whichever comes first
    response.on_drain(wake)


def _options(request: "Request") -> int:
    from runtime.http import CHUNKED, CLOSE

    options = CLOSE
    if request.protocol == b"HTTP/1.0":
        return options
    if request.protocol == b"HTTP/1.1":
        options |= CHUNKED
    return options | _accepted(request.header(b"accept-encoding"))


def _accepted(accept: bytes | None) -> int:
    """GZIP and DEFLATE, whichever a client with that header takes."""
    from runtime.http import DEFLATE, GZIP
    from runtime.http.message import encoding as encodings

    options = 0
    for encoding, option in ((encodings.GZIP, GZIP), (encodings.DEFLATE, DEFLATE)):
        if encodings.choose(accept, encoding) is not None:
            options |= option
    return options


def _announces_body(request: "Request") -> bool:
    return request.header(b"content-length") is not None or request.header(b"transfer-encoding") is not None


class _NoWork:
    """Stands for a wait that needs no calling off."""

    def cancel(self) -> None:
        """Nothing is under way."""


_NO_WORK = _NoWork()
