"""Addresses of listeners: text in, a bound and listening socket out.  Manual: Listeners (address, port).

Knows nothing of configuration and events.
"""

import os
import socket
import stat
from pathlib import Path
from typing import Any

from ._errors import NetError

UNIX_PATH_MAX = 103  # bytes; the shortest of the platforms


def parse(address: str, port: int) -> tuple[socket.AddressFamily, Any]:
    """The family of *address* and what ``bind`` takes for it.

    An address is a path (it has a slash), an IPv4 or IPv6 address, ``*`` or ``inet:*`` for any IPv4 address, or
    ``inet6:*`` for any IPv6 address; *port* is 0 to 65535 and means nothing for a path.
    Raises :exc:`NetError` for anything else."""
    if "/" in address:
        if len(os.fsencode(address)) > UNIX_PATH_MAX or "\0" in address:
            raise NetError(f"'{address}': expected a path of at most {UNIX_PATH_MAX} bytes")
        return socket.AF_UNIX, address
    if not 0 <= port <= 65535:
        raise NetError(f"'{address}': expected a port of 0 to 65535, not {port}")
    if address in ("*", "inet:*"):
        return socket.AF_INET, ("0.0.0.0", port)
    if address == "inet6:*":
        return socket.AF_INET6, ("::", port, 0, 0)
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    try:
        if ":" not in bare:
            socket.inet_pton(socket.AF_INET, bare)  # stricter than getaddrinfo, which takes 1.2 for 1.0.0.2
            return socket.AF_INET, (bare, port)
        found = socket.getaddrinfo(bare, port, socket.AF_INET6, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
        return socket.AF_INET6, found[0][4]
    except (OSError, ValueError):
        pass
    raise NetError(f"'{address}': expected a path, an IPv4 or IPv6 address, *, inet:* or inet6:*")


def listening(address: str, port: int, backlog: int) -> socket.socket:
    """A non-blocking socket that listens on *address*; a path that only a dead process left behind is replaced.

    Raises :exc:`NetError` naming the address and why not."""
    family, where = parse(address, port)
    if family == socket.AF_UNIX:
        _clear(address)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(where)
        sock.listen(backlog)
    except OSError as refused:
        sock.close()
        raise NetError(f"cannot listen on {shown(address, port)}: {refused.strerror or refused}") from None
    return sock


def shown(address: str, port: int) -> str:
    """*address* and *port* as people read them."""
    if "/" in address:
        return address
    return f"[{address}]:{port}" if ":" in address and not address.startswith(("inet", "[")) else f"{address}:{port}"


def _clear(path: str) -> None:
    """Remove the socket at *path* if nobody listens there.  Raises :exc:`NetError` if somebody does, or it is none."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as unreachable:
        raise NetError(f"cannot listen on {path}: {unreachable.strerror}") from None
    if not stat.S_ISSOCK(mode):
        raise NetError(f"cannot listen on {path}: it exists and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            try:
                Path(path).unlink()
            except OSError as refused:
                raise NetError(f"cannot replace the dead socket {path}: {refused.strerror}") from None
            return
        except OSError:
            pass  # a full backlog, or no permission: somebody is there
    raise NetError(f"cannot listen on {path}: another process listens there")
