"""From HTTP/1.1 to WebSocket: the mounted handler that shakes hands.  RFC 6455, section 4.

The request has gone through routing and access control by then.  What is said afterwards is :mod:`_websocket`'s.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Any

from runtime.http.message.request import Request
from runtime.http.message.response import Response
from runtime.http.protocol.http1 import Http1

from .dispatch import mount
from .table import Auth, Mountpoint

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def websocket(
    base: bytes | str,
    expression: bytes | str,
    handler: Any,
    *,
    protocols: "tuple[str, ...] | Callable[[Request], tuple[str, ...]]" = (),
    auth: "Auth | None" = None,
) -> Mountpoint:
    """Have *handler* serve WebSocket connections to paths that begin with *base* and whose rest matches *expression*.

    Args: *handler*, an object with any of ``ready(ws)``, ``message(ws, opcode, payload)`` and ``closed(ws)``, which are
    called on the connection's loop thread with its :class:`WebSocket`; *protocols*, the subprotocols spoken, best
    first, or a function of the request that gives them; *auth* as of :func:`mount`.
    Raises ValueError for a base without a slash or a bad expression."""

    def upgrade(request: Request, response: Response) -> None:
        _upgrade(request, response, handler, protocols(request) if callable(protocols) else protocols)

    return mount("GET", base, expression, upgrade, auth=auth)


def _upgrade(request: Request, response: Response, handler: Any, protocols: tuple[str, ...]) -> None:
    http = response.sink
    key = request.header(b"sec-websocket-key") or b""
    asked = request.protocol == b"HTTP/1.1" and b"websocket" in _tokens(request, b"upgrade")
    if request.method != b"GET" or not isinstance(http, Http1) or not asked:
        response.status(426)
        response.header("Upgrade", "websocket")
        response.flush_end()
    elif (request.header(b"sec-websocket-version") or b"").strip() != b"13":
        response.status(426)
        response.header("Upgrade", "websocket")
        response.header("Sec-WebSocket-Version", "13")
        response.flush_end()
    elif b"upgrade" not in _tokens(request, b"connection") or not _is_key(key) or not http.switchable:
        response.error(400)
    else:
        _switch(request, response, http, handler, _chosen(request, protocols))


def _switch(request: Request, response: Response, http: Http1, handler: Any, protocol: str | None) -> None:
    from runtime.http.protocol.websocket import WebSocket  # with its library, for those who need it

    accept = base64.b64encode(hashlib.sha1(request.headers[b"sec-websocket-key"] + _GUID).digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += b"Sec-WebSocket-Accept: %b\r\n" % accept
    if protocol is not None:
        head += b"Sec-WebSocket-Protocol: %b\r\n" % protocol.encode("latin-1")
    carrier = http.carrier
    assert carrier is not None  # or the request was read from no connection
    early = http.switch(response, head + b"\r\n")
    ws = WebSocket(carrier, request, handler, protocol, http, response.owner)
    carrier.converse(ws)
    ws.start(early)


def _chosen(request: Request, protocols: tuple[str, ...]) -> str | None:
    """The best of *protocols* that the client offers."""
    header = request.header(b"sec-websocket-protocol") or b""
    offered = {each.strip() for each in header.decode("latin-1").split(",")}
    return next((each for each in protocols if each in offered), None)


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False


def _tokens(request: Request, name: bytes) -> list[bytes]:
    return [each.strip() for each in (request.header(name) or b"").lower().split(b",")]
