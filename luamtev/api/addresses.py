"""Addresses for Lua: the system's resolver, off the loop, and the route to an address.

The resolver blocks for as long as name servers take, so it has a job queue of its own, whose threads are daemons: the
end of the process waits for no name server.  Manual: mtev.getaddrinfo, mtev.getip_ipv4.
"""

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from luamtev.api import jobs

if TYPE_CHECKING:
    from luamtev.port import Port


def functions(state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/addresses.lua`` builds on."""

    def ask(ticket: int, host: bytes) -> None:
        def getaddrinfo() -> tuple[bytes | None, bytes]:
            return resolve(host)

        jobs.begin(state, ticket, "resolver", getaddrinfo)

    return {"route_source": route_source, "resolve": ask}


def resolve(host: bytes) -> tuple[bytes | None, bytes]:
    """The first IPv4 address of *host*, else its first IPv6 address, and "inet" or "inet6"; or None and a reason.

    Blocks."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as failure:  # gaierror too
        return None, (failure.strerror or str(failure)).encode("utf-8", "replace")
    for family, name in ((socket.AF_INET, b"inet"), (socket.AF_INET6, b"inet6")):
        for each in found:
            if each[0] == family:
                return str(each[4][0]).encode(), name
    return None, b"no address"


def route_source(target: bytes) -> tuple[str | None, str | None]:
    """The local address packets to *target* leave from, or None and a reason."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target.decode(), 53))
        except OSError as failure:
            return None, failure.strerror
        return probe.getsockname()[0], None
