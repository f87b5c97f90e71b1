"""What Lua cannot know of sockets by itself: the numbers of this platform."""

import errno
import os
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from luamtev.port import Port

_NAMES = """
    AF_INET AF_INET6 AF_UNIX SOCK_STREAM SOCK_DGRAM SOL_SOCKET SO_ERROR SO_BROADCAST SO_REUSEADDR SO_REUSEPORT
    SO_KEEPALIVE SO_LINGER SO_OOBINLINE SO_SNDBUF SO_RCVBUF SO_DONTROUTE SO_RCVLOWAT SO_RCVTIMEO SO_SNDLOWAT SO_SNDTIMEO
"""
_ERRORS = ("EAGAIN", "EINTR", "EINPROGRESS", "ECONNABORTED", "ENOTSOCK")


def functions(_state: "Port") -> "Mapping[str, Callable[..., Any]]":
    """The pinned functions of this family."""
    return {"socket_constants": _constants}


def _constants() -> dict[str, int]:
    """Families, types, options, flags and errors by name."""
    known = [name for name in _NAMES.split() if hasattr(socket, name)]
    numbers = {name: int(getattr(socket, name)) for name in known}
    numbers |= {name: getattr(errno, name) for name in _ERRORS}
    return numbers | {"O_NONBLOCK": os.O_NONBLOCK}
