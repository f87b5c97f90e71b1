"""Who asks: what is known of the other side of a connection, taken once and never changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, eq=False)
class Peer:
    """The other side of a connection.

    Attributes: ``remote`` and ``port``, its address, empty and 0 for a local socket; ``local``, the address it came to;
    ``cn``, the common name in its verified certificate, or None; ``alpn``, what TLS agreed on, or None; ``secure``, it
    is TLS; ``listener``, the number of the listener, 0 for none; ``config``, that listener's configuration; ``fd``, the
    descriptor of the connection, -1 for none."""

    remote: str = ""
    port: int = 0
    local: tuple[str, int] = ("", 0)
    cn: str | None = None
    alpn: str | None = None
    secure: bool = False
    listener: int = 0
    config: Mapping[str, str] = field(default_factory=dict)
    fd: int = -1


NOBODY = Peer()
"""Of a request that came on no connection."""
