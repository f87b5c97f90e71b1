"""WebSocket clients: the runtime's protocol, and Lua moves the bytes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from luamtev.bridge import Handles

if TYPE_CHECKING:
    from luamtev.port import Port
    from runtime.util.websocket_protocol import Client


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/websocket.lua`` builds on."""
    clients: Handles[Client] = Handles()

    def open_client(host: bytes, target: bytes, service: bytes) -> tuple[int | None, bytes]:
        from runtime.util.websocket_protocol import greet

        wanted = [each.strip() for each in service.decode("latin-1").split(",") if each.strip()]
        try:
            client, data = greet(host.decode("latin-1"), target.decode("latin-1"), wanted)
        except ValueError as wrong:
            return None, str(wrong).encode()
        return clients.add(client), data

    def send(handle: int, opcode: float, data: bytes) -> Any:
        try:
            return clients[handle].send(int(opcode), data)
        except ValueError as wrong:
            return None, str(wrong)

    return {
        "websocket_open": open_client,
        "websocket_receive": lambda handle, data: clients[handle].receive(data),
        "websocket_send": send,
        "websocket_release": lambda handle: clients.pop(handle) is not None,
    }
