"""The reverse connections that are up, by id, and what is counted of them."""

import threading
from collections.abc import Iterator

from runtime import stats

from ._tunnel import Tunnel

_tunnels: dict[str, Tunnel] = {}
_lock = threading.Lock()


def register(tunnel: Tunnel) -> bool:
    """Have *tunnel* be found by its id; False when that is taken."""
    with _lock:
        return _tunnels.setdefault(tunnel.id, tunnel) is tunnel


def forget(tunnel: Tunnel) -> None:
    """It is over."""
    with _lock:
        if _tunnels.get(tunnel.id) is tunnel:
            del _tunnels[tunnel.id]


def find(tunnel_id: str) -> Tunnel | None:
    """The reverse connection of that id, or None."""
    return _tunnels.get(tunnel_id)


def tunnels() -> list[Tunnel]:
    """Those that are up, by id."""
    return [tunnel for _, tunnel in sorted(_tunnels.items())]


def _readings() -> Iterator[stats.Reading]:
    for tunnel in tunnels():
        tags = (("id", tunnel.id),)
        for name in ("in_bytes", "in_frames", "out_bytes", "out_frames"):
            yield stats.Reading(f"reverse.{name}", tags, getattr(tunnel, name))
        yield stats.Reading("reverse.channels", tags, len(tunnel.channels), is_level=True)


stats.source(_readings)
