"""``<cluster>`` as it is configured, checked.  Manual: Cluster configuration."""

import ipaddress
import socket
from dataclasses import dataclass, field
from uuid import UUID

from runtime.conf import Conf, ConfError, Section, hide, parse_boolean, parse_integer

hide("//clusters//cluster/@key")

PERIOD_DEFAULT, PERIOD_MOST = 200, 5000
TIMEOUT_DEFAULT = 5000
MOST_MS = 2**31 - 1
MOST_SEQ = 2**63 - 1

REQUIRED = ("name", "key", "seq", "port")
"""Attributes that a cluster cannot be without."""
NODE_ATTRIBUTES = ("id", "cn", "address", "port")


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A ``<node>``: its address is an IP address, may be that of a multicast group or a broadcast address."""

    id: UUID
    cn: str
    address: str
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        """Of its address."""
        return socket.AF_INET6 if ":" in self.address else socket.AF_INET

    @property
    def is_group(self) -> bool:
        """Whether its address is that of many: of a multicast group, or the broadcast address."""
        return self.address == "255.255.255.255" or ipaddress.ip_address(self.address).is_multicast

    def speaks_from(self, address: str) -> bool:
        """Whether a datagram from *address* may be its: a group has members at any."""
        return address.partition("%")[0] == self.address or self.is_group


@dataclass(frozen=True, slots=True)
class Spec:
    """A ``<cluster>``: times in seconds."""

    name: str
    key: bytes
    seq: int
    port: int
    period: float
    timeout: float
    maturity: float
    check_address: bool
    nodes: tuple[NodeSpec, ...] = field(default=())


def missing(conf: Conf, section: Section) -> str | None:
    """The first attribute that a cluster cannot be without and *section* is, or None."""
    return next((each for each in REQUIRED if not _text(conf, section, each)), None)


def _text(conf: Conf, section: Section, name: str) -> str | None:
    """An attribute; what came from elsewhere than the configuration is taken to the letter, and sees no
    environment."""
    ours = section.getroottree().getroot() is conf.root
    return conf.get_string(f"@{name}", section) if ours else section.get(name)


def read(conf: Conf, section: Section) -> Spec:
    """The cluster that *section*, an element ``<cluster>``, describes.

    Raises :exc:`ConfError` with file and line."""
    lacking = missing(conf, section)
    if lacking is not None:
        raise conf.error(f"<cluster> has no {lacking}", section)
    period = _number(conf, section, "period", 0, PERIOD_MOST, PERIOD_DEFAULT)
    timeout = _number(conf, section, "timeout", period, MOST_MS, max(TIMEOUT_DEFAULT, period))
    maturity = _number(conf, section, "maturity", 0, MOST_MS, timeout)
    switch = _text(conf, section, "check_address")
    nodes = tuple(_node(conf, each) for each in section.iterchildren("node"))
    for index, each in enumerate(nodes):
        if any(each.id == other.id for other in nodes[:index]):
            raise conf.error(f"<cluster> has node {each.id} twice", section)
    return Spec(
        name=_text(conf, section, "name") or "",
        key=(_text(conf, section, "key") or "").encode(),
        seq=_number(conf, section, "seq", 0, MOST_SEQ),
        port=_number(conf, section, "port", 1, 65535),
        period=period / 1000,
        timeout=timeout / 1000,
        maturity=maturity / 1000,
        check_address=True if switch is None else _boolean(conf, section, switch),
        nodes=nodes,
    )


def parse_id(text: str) -> UUID:
    """A UUID in its usual form of 36 characters.  Raises ValueError for any other text."""
    if len(text) != 36:
        raise ValueError(f"{text!r} is no UUID")
    try:
        return UUID(text)
    except ValueError:
        raise ValueError(f"{text!r} is no UUID") from None


def _node(conf: Conf, section: Section) -> NodeSpec:
    text = {each: _text(conf, section, each) for each in NODE_ATTRIBUTES}
    for name, value in text.items():
        if not value:
            raise conf.error(f"<node> has no {name}", section)
    try:
        node_id = parse_id(text["id"] or "")
    except ValueError as bad:
        raise conf.error(f"<node> id: {bad}", section) from None
    try:
        address = str(ipaddress.ip_address(text["address"] or ""))
    except ValueError:
        raise conf.error(f"<node> address: {text['address']!r} is no IP address", section) from None
    return NodeSpec(node_id, text["cn"] or "", address, _number(conf, section, "port", 1, 65535))


def _number(conf: Conf, section: Section, name: str, least: int, most: int, default: int | None = None) -> int:
    text = _text(conf, section, name)
    if text is None and default is not None:
        return default
    try:
        value = parse_integer(text or "")
    except ValueError as bad:
        raise conf.error(f"<{section.tag}> {name}: {bad}", section) from None
    if not least <= value <= most:
        raise conf.error(f"<{section.tag}> {name}: {value} is not within {least} to {most}", section)
    return value


def _boolean(conf: Conf, section: Section, text: str) -> bool:
    try:
        return parse_boolean(text)
    except ValueError as bad:
        raise conf.error(f"<cluster> check_address: {bad}", section) from None


def check_apart(spec: Spec, others: list[Spec], me: UUID) -> None:
    """Raises :exc:`ConfError` where heartbeats of *spec* could be taken for those of another cluster.

    A datagram names no cluster: it is known by the port it comes to and the key it is under.  So two have ports of
    their own, and keys of their own where anybody but *me* is in both."""
    for other in others:
        if other.name == spec.name:
            continue
        if other.port == spec.port:
            raise ConfError(f"clusters '{other.name}' and '{spec.name}' have one port, {spec.port}")
        shared = {each.id for each in other.nodes} & {each.id for each in spec.nodes} - {me}
        if shared and other.key[:31] == spec.key[:31]:
            raise ConfError(f"clusters '{other.name}' and '{spec.name}' share nodes and have one key")
