"""Which address of this host others see.  Manual: mtev_getip_ipv4."""

import socket


def getip_ipv4(remote: str) -> str:
    """The local IPv4 address from which *remote* would be talked to; nothing is sent.

    Raises OSError where there is no way.  Manual: mtev_getip_ipv4."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((remote, 1))
        address: str = probe.getsockname()[0]
        return address
