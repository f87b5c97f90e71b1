"""Reverse connections for Lua: diallers that are kept up, and channels through what others dialled.

Manual: mtev.reverse_start, mtev.socket.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from luamtev.bridge import LuaError
from runtime import late
from runtime.log import facility

if TYPE_CHECKING:
    from luamtev.port import Port


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/reverse.lua`` and sockets build on."""
    return {
        "reverse_connect": _connect,
        "reverse_start": _start,
        "reverse_stop": _stop,
        "reverse_details": _details,
    }


def _connect(tunnel_id: bytes, descriptor: float) -> bool:
    """Make *descriptor* a stream through a reverse connection; False when there is none of that id."""
    reverse = late.imported("runtime.net.reverse")
    if reverse is None:
        return False
    try:
        with reverse.connect(tunnel_id.decode("latin-1")) as sock:
            sock.setblocking(False)
            os.dup2(sock.fileno(), int(descriptor), inheritable=False)
    except OSError:
        return False
    return True


def _start(host: bytes, port: float, sslconfig: bytes, config: bytes) -> None:
    import json  # few programs need it

    from runtime.net import NetError, reverse

    try:
        reverse.start(host.decode("utf-8", "replace"), int(port), json.loads(sslconfig), json.loads(config))
    except NetError as mistake:  # as the original, which tells nobody but the log
        facility("error/reverse").log(f"{mistake}\n")
    except ValueError as mistake:
        raise LuaError(f"reverse_start: {mistake}") from None


def _stop(host: bytes, port: float) -> bool:
    reverse = late.imported("runtime.net.reverse")
    return reverse is not None and bool(reverse.stop(host.decode("utf-8", "replace"), int(port)))


def _details(host: bytes, port: float) -> dict[str, Any] | None:
    reverse = late.imported("runtime.net.reverse")
    if reverse is None:
        return None
    found: dict[str, Any] | None = reverse.details(host.decode("utf-8", "replace"), int(port))
    return found
