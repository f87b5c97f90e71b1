"""WebSocket connections of Lua's mounts, as :func:`runtime.http.websocket` has them handled."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from runtime.http import Request

from .exchanges import Exchanges, config_id

if TYPE_CHECKING:
    from runtime.http.protocol.websocket import WebSocket


class LuaSockets:
    """The handler of WebSocket connections of one mount, for :func:`runtime.http.websocket`."""

    def __init__(self, exchanges: Callable[[], Exchanges], mount: int) -> None:
        self._exchanges = exchanges
        self._mount = mount

    def protocols(self, _request: Request) -> tuple[str, ...]:
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
