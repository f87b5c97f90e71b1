"""Where consoles come from: the listener type, and the WebSocket at ``/mtev/console``.  Manual: Console, Listeners."""

from collections.abc import Iterable
from typing import Any

from runtime import http
from runtime.net import Listener

PROTOCOL = "mtev_console"

_mounted = False


def mount(listeners: Iterable[Listener], *, websocket: bool = True) -> None:
    """Make the type known if one of *listeners* has it; and mount the WebSocket, once for the life of the process.

    Args: *websocket*, whether that is wanted."""
    global _mounted
    if websocket and not _mounted:
        _mounted = True
        http.websocket("/mtev/", "^console$", _Sockets(), protocols=(PROTOCOL,))
    if any(each.type == "mtev_console" for each in listeners):
        from . import _listener

        _listener.register_type()


class _Sockets:
    """The handler, whose work is done by what is imported when the first connection comes."""

    def ready(self, ws: Any) -> None:
        """A connection is there."""
        from ._websocket import RemoteConsole

        ws.closure = RemoteConsole(ws)

    def message(self, ws: Any, _opcode: int, payload: bytes) -> None:
        """A message came."""
        ws.closure.take(payload)

    def closed(self, ws: Any) -> None:
        """The connection is gone."""
        if ws.closure is not None:
            ws.closure.close()
