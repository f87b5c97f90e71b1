"""Routes by prefix, and the longest that an address has.  The C API's ``mtev_btrie``.

A dict for each length that there is, keyed by the prefix as a number: a look-up asks those, the longest first."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Generic, TypeVar

T = TypeVar("T")
Address = str | IPv4Address | IPv6Address
Network = str | IPv4Network | IPv6Network


class Btrie(Generic[T]):
    """Routes of one family or both; they never meet."""

    def __init__(self) -> None:
        self._routes: dict[int, dict[int, dict[int, T]]] = {4: {}, 6: {}}  # by version, length, prefix
        self._lengths: dict[int, list[int]] = {4: [], 6: []}  # the longest first

    def add_route(self, network: Network, data: T) -> None:
        """Route *network*, whose host bits do not count, to *data*; what was there is replaced.

        Raises ValueError for what is no network.  C: mtev_btrie_add_route_ipv4, _ipv6."""
        net = ip_network(network, strict=False)
        by_length = self._routes[net.version]
        if net.prefixlen not in by_length:
            by_length[net.prefixlen] = {}
            self._lengths[net.version] = sorted(by_length, reverse=True)
        by_length[net.prefixlen][_prefix(int(net.network_address), net.prefixlen, net.max_prefixlen)] = data

    def del_route(self, network: Network) -> bool:
        """Whether there was a route to exactly *network*, which is gone now.  C: mtev_btrie_del_route_ipv4, _ipv6."""
        net = ip_network(network, strict=False)
        routes = self._routes[net.version].get(net.prefixlen, {})
        key = _prefix(int(net.network_address), net.prefixlen, net.max_prefixlen)
        if key not in routes:
            return False
        del routes[key]
        if not routes:
            del self._routes[net.version][net.prefixlen]
            self._lengths[net.version].remove(net.prefixlen)
        return True

    def find_bpm_route(self, address: Address) -> tuple[T, int] | None:
        """The data of the longest prefix that *address* has, and its length in bits; None when it has none.

        Raises ValueError for what is no address.  C: mtev_btrie_find_bpm_route_ipv4, _ipv6."""
        wanted = ip_address(address)
        number, by_length = int(wanted), self._routes[wanted.version]
        for length in self._lengths[wanted.version]:
            key = _prefix(number, length, wanted.max_prefixlen)
            if key in by_length[length]:
                return by_length[length][key], length
        return None

    def drop_tree(self) -> None:
        """Forget all routes.  C: mtev_btrie_drop_tree."""
        self.__init__()  # type: ignore[misc]

    def __iter__(self) -> Iterator[tuple[int, int, T]]:
        """Version, length and data of each route."""
        for version, by_length in self._routes.items():
            for length, routes in by_length.items():
                for data in routes.values():
                    yield version, length, data

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _prefix(number: int, length: int, bits: int) -> int:
    return number >> (bits - length)
