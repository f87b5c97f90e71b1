"""Services that Lua registers with a Consul agent.  Manual: consul."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from luamtev.bridge import LuaError

if TYPE_CHECKING:
    from luamtev.port import Port


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/consul.lua`` builds on."""
    return {"consul_register": _register, "consul_deregister": _deregister, "consul_set_state": _set_state}


def _register(document: bytes) -> bytes:
    """Register what *document*, JSON, describes; its id."""
    import json  # few programs need it

    from runtime import conf
    from runtime.modules import consul

    try:
        said = json.loads(document)
    except UnicodeDecodeError:
        raise LuaError("register: names and texts are to be UTF-8") from None
    pattern = said.get("id") or "{app}-{node}"
    made = consul.Service(
        name=said["name"],
        id=pattern.replace("{app}", conf.current().root_name).replace("{node}", os.uname().nodename),
        address=said.get("address") or consul.own_address(),
        port=int(said["port"]),
        tags=list(said["tags"]),
        meta=dict(said["meta"]),
    )
    kinds: dict[str, Callable[..., consul.Check]] = {
        "push": consul.check_push,
        "http": lambda name, url, *rest: consul.check_http(name, made.url(url), *rest),
        "tcp": consul.check_tcp,
    }
    for kind, *arguments in said["checks"]:
        made.add(kinds[kind](*arguments))
    try:
        consul.register(made)
    except ValueError as mistake:
        raise LuaError(f"register: {mistake}") from None
    return made.id.encode()


def _deregister(service_id: bytes) -> None:
    from runtime.modules import consul

    try:
        consul.deregister(consul.find(service_id.decode()))
    except ValueError as mistake:
        raise LuaError(f"deregister: {mistake}") from None


def _set_state(service_id: bytes, index: float, state: bytes, note: bytes) -> None:
    from runtime.modules import consul

    try:
        service = consul.find(service_id.decode())
        consul.set_state(service, int(index), state.decode(), note.decode("utf-8", "replace"))
    except ValueError as mistake:
        raise LuaError(f"{state.decode()}: {mistake}") from None
