"""What ``web.lua`` asks of a request, and says of one: of those that Python has read."""

from collections.abc import Callable
from typing import Any

from luamtev.bridge import LuaError
from luamtev.port import Port
from runtime.http import CHUNKED, CLOSE, DEFLATE, GZIP, Request, Response, client_cert_auth, reason
from runtime.http.message import encoding as encodings

from .bodies import read_body
from .exchanges import Exchanges, configs
from .said import ALIVE, NO_WORK, WRITABLE, await_drain, say, say_file, say_there


def functions(state: Port, exchanges: Exchanges) -> dict[str, Callable[..., Any]]:
    """What ``web.lua`` builds on."""

    def is_away(response: Response) -> bool:
        return response.owner is not None and response.owner is not state.thread

    def request_of(handle: int) -> Request:
        ws = exchanges.sockets.get(handle)
        return response_of(handle).request if ws is None else ws.request

    def websocket_send(handle: int, opcode: float, payload: bytes) -> bool:
        ws = exchanges.sockets.get(handle)
        try:
            return ws is not None and ws.send(int(opcode), payload)
        except ValueError as mistake:
            raise LuaError(f"websocket: {mistake}") from None

    def websocket_close(handle: int, code: float, reason: bytes) -> None:
        ws = exchanges.sockets.get(handle)
        try:
            if ws is not None:
                ws.close(int(code), reason)
        except ValueError as mistake:
            raise LuaError(f"websocket: {mistake}") from None

    def websocket_next(handle: int) -> None:
        ws = exchanges.sockets.get(handle)
        if ws is not None:
            ws.release()

    def response_of(handle: int) -> Response:
        found = exchanges.response_of(int(handle))
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
            response.resume(say_there, response, int(code), reason, int(options), ending, body, headers)
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

    def web_discard(handle: int) -> None:
        response_of(handle).discard()

    def web_drain(handle: int, ticket: float) -> None:
        response = response_of(handle)
        number = int(ticket)
        state.tickets[number] = NO_WORK
        response.resume(await_drain, response, lambda: state.ticket_done(number, True))

    def web_ask(handle: int, what: bytes) -> Any:
        request = request_of(handle)
        if what == b"payload":
            if request.upload is not None:
                return False  # it is read as it comes
            return request.payload if request.payload or _announces_body(request) else None
        if what == b"target":
            return request.uri
        if what == b"client":
            return request.peer.remote.encode()
        if what == b"querystring":
            return request.querystring()
        return _options(request)

    def web_watch(handle: int, ticket: float) -> bool:
        response = exchanges.response_of(int(handle))
        if response is None or (response.complete and not response.abandoned):
            return False
        number = int(ticket)
        state.tickets[number] = NO_WORK
        response.resume(response.watch, lambda gone: state.ticket_done(number, gone))
        return True

    def web_read(handle: int, most: float, ticket: float) -> tuple[bytes | bool | None, bytes | None, int]:
        response = exchanges.response_of(int(handle))
        return read_body(state, response, is_away, int(most), int(ticket))

    def web_abort(handle: int) -> None:
        response = response_of(handle)
        response.resume(response.error, 500)

    def web_acl(handle: int) -> bool:
        return client_cert_auth(request_of(handle))

    def web_note(handle: int, key: bytes, value: bytes) -> bool:
        from runtime.modules import http_observer

        return http_observer.note(request_of(handle), key.decode(errors="replace"), value.decode(errors="replace"))

    def web_reason(code: float) -> bytes:
        return reason(int(code))

    def web_release(handle: int) -> None:
        exchanges.open.pop(handle, None)

    return {
        "web_accepts": _accepted,
        "web_mounts": lambda: exchanges.mounts,
        "web_mount_names": lambda: exchanges.names,
        "web_respond": web_respond,
        "web_whole": web_whole,
        "web_respond_fd": web_respond_fd,
        "web_discard": web_discard,
        "web_drain": web_drain,
        "web_ask": web_ask,
        "web_headers": lambda handle: request_of(handle).headers,
        "web_config": lambda number: dict(configs[int(number)]),
        "web_abort": web_abort,
        "web_acl": web_acl,
        "web_note": web_note,
        "web_read": web_read,
        "web_reason": web_reason,
        "web_watch": web_watch,
        "web_release": web_release,
        "web_socket_send": websocket_send,
        "web_socket_close": websocket_close,
        "web_socket_next": websocket_next,
    }


def _options(request: Request) -> int:
    options = CLOSE
    if request.protocol == b"HTTP/1.0":
        return options
    if request.protocol == b"HTTP/1.1":
        options |= CHUNKED
    return options | _accepted(request.header(b"accept-encoding"))


def _accepted(accept: bytes | None) -> int:
    """GZIP and DEFLATE, whichever a client with that header takes."""
    options = 0
    for encoding, option in ((encodings.GZIP, GZIP), (encodings.DEFLATE, DEFLATE)):
        if encodings.choose(accept, encoding) is not None:
            options |= option
    return options


def _announces_body(request: Request) -> bool:
    return request.header(b"content-length") is not None or request.header(b"transfer-encoding") is not None
