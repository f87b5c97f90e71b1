"""``show reverse``: the reverse connections that are up.  Manual: Console, show; Reverse Connections."""

import time
from typing import TYPE_CHECKING

from runtime import late
from runtime.console._console import Console
from runtime.console._grammar import Registry

if TYPE_CHECKING:
    from runtime.net.reverse import Channel, Tunnel


def install(registry: Registry) -> None:
    """Enter it."""
    about = "show reverse [ID]: reverse connections and channels"
    registry.add("show reverse", reverse, complete=_ids, about=about, listed=_is_used)


def reverse(console: Console, words: list[str]) -> None:
    """``show reverse [ID]``."""
    for tunnel in _tunnels():
        if not words or tunnel.id == words[0]:
            console.print(_shown(tunnel))


def _is_used() -> bool:
    return bool(_tunnels())


def _tunnels() -> "list[Tunnel]":
    room = late.imported("runtime.net.reverse")
    return [] if room is None else list(room.tunnels())


def _ids(_console: Console, _words: list[str]) -> list[str]:
    return [each.id for each in _tunnels()]


def _shown(tunnel: "Tunnel") -> str:
    text = f"{tunnel.id} [{tunnel.fd}]\n"
    for family, proxy in sorted(tunnel.proxies.items()):
        text += f"  listening (IPv{family[-1]}): {proxy.address} :{proxy.port}\n"
    text += f"  {_figures(tunnel)}\n"
    for number, channel in sorted(tunnel.channels.items()):
        text += f"  [{number:3}:{channel.fd:4}:{tunnel.fd:4}]: {_figures(channel)}\n"
    return text


def _figures(one: "Tunnel | Channel") -> str:
    up = time.monotonic() - one.began
    return f"[UP: {up:.3f}s IN: {one.in_bytes}b / {one.in_frames}f  OUT: {one.out_bytes}b / {one.out_frames}f]"
