"""Reverse connections: a service behind a wall dials out, and is reached through the connection it made.

The side that is dialled listens with type ``control_dispatch``; its programs connect to the other side's service by
:func:`connect`, its clients by a proxy port that the other side asked for.  The side that dials is :func:`start`.
Manual: Reverse Connections.
"""

import socket

from ._accept import accept, register_acl, require_common_name, unregister_acl
from ._channel import Channel
from ._dial import details, start, stop, stop_all
from ._registry import find, tunnels
from ._tunnel import Tunnel


def connect(tunnel_id: str) -> socket.socket:
    """A stream to the service behind the reverse connection *tunnel_id*, from any thread.

    Raises :exc:`ConnectionError` when there is none."""
    tunnel = find(tunnel_id)
    if tunnel is None:
        raise ConnectionError("Reverse connection unavailable")
    return tunnel.connect()


__all__ = [
    "Channel",
    "Tunnel",
    "accept",
    "connect",
    "details",
    "find",
    "register_acl",
    "require_common_name",
    "start",
    "stop",
    "stop_all",
    "tunnels",
    "unregister_acl",
]
