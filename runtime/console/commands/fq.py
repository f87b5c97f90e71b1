"""``show fq``: the connections to fq brokers.  Manual: Console, show; fq."""

from typing import TYPE_CHECKING

from runtime import late
from runtime.console._console import Console
from runtime.console._grammar import Registry

if TYPE_CHECKING:
    from runtime.modules.fq.client import Client

_BROKERS = (
    ("drops rx", "dropped_in"),
    ("no exchange tx", "no_exchange"),
    ("no routes tx", "no_route"),
    ("routed tx", "routed"),
    ("drops tx", "dropped"),
    ("msgs tx", "msgs_in"),
    ("msgs rx", "msgs_out"),
)


def install(registry: Registry) -> None:
    """Enter it."""
    registry.add("show fq", fq, about="show fq: connections to fq brokers", listed=lambda: bool(_clients()))


def fq(console: Console, _words: list[str]) -> None:
    """``show fq``: (c) is counted here, (s) by the broker."""
    for each in _clients():
        console.print(_shown(each))


def _clients() -> "list[Client]":
    room = late.imported("runtime.modules.fq")
    return [] if room is None else list(room.clients())


def _shown(client: "Client") -> str:
    settings = client.settings
    own = {"connects": client.connects, "msgs rx": client.received, "msgs tx": client.sent}
    own["drops tx"] = client.backlog.dropped
    lines = [f"== {client.name} ==", f"  user: {_text(settings.user)}", f"  exchange: {_text(settings.exchange)}"]
    lines += [f"  program: {_text(settings.program)}"]
    lines += [f"  (c) {what}: {count}" for what, count in own.items()]
    lines += [f"  (c) waiting tx: {len(client.backlog)}"]
    lines += [f"  (s) {what}: {client.status.get(key, 0)}" for what, key in _BROKERS]
    return "\n".join(lines) + "\n"


def _text(octets: bytes | None) -> str:
    return "(null)" if octets is None else octets.decode("utf-8", "replace")
