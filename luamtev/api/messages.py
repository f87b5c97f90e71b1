"""Publishing from Lua to the brokers that modules are connected with."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from luamtev.bridge import LuaError
from runtime import late

if TYPE_CHECKING:
    from luamtev.port import Port


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/messages.lua`` builds on."""
    return {"amqp_send": _amqp_send, "fq_send": _fq_send}


def _fq_send(exchange: bytes, route: bytes, payload: bytes, connection: float) -> int:
    """How many connections took a message."""
    module = late.imported("runtime.modules.fq")
    if module is None:
        raise LuaError("mtev.fq.send: the module fq is not loaded")
    try:
        return int(module.send_data(exchange, route, payload, int(connection)))
    except ValueError as mistake:
        raise LuaError(f"mtev.fq.send: {mistake}") from None


def _amqp_send(exchange: bytes, route: bytes, payload: bytes, connection: float, mandatory: bool) -> int:
    """The same."""
    module = late.imported("runtime.modules.amqp")
    if module is None:
        raise LuaError("mtev.amqp.send: the module amqp is not loaded")
    try:
        return int(module.send_data(_text(exchange), _text(route), payload, int(connection), mandatory))
    except ValueError as mistake:
        raise LuaError(f"mtev.amqp.send: {mistake}") from None


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
