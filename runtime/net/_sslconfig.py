"""What an ``<sslconfig>`` says: its keys, under one name each.  Manual: sslconfig.

It does not look into files and knows nothing of contexts.
"""

from collections.abc import Mapping
from typing import Final

from runtime.conf import parse_boolean
from runtime.tls import is_inline, shown

from ._errors import NetError

PEMS: Final = {
    "certificate_file": "certificate",
    "key_file": "key",
    "ca_chain": "ca_file",
    "crl": "crl",
    "ca_accept": "ca_accept",
}
"""The keys whose values are PEM, each with its other name: paths of files, or texts with lines."""

_OFFERED: Final = {"h2", "http/1.1", "http/1.0", "none"}


class SslConfig:
    """The settings of one side of TLS.

    Attributes: ``ciphers``, ``layer``, ``offer``, the protocols that ALPN is to speak of; ``optional_no_ca`` and
    ``ignore_dates``, booleans."""

    def __init__(self, config: Mapping[str, str], default_ca_chain: str | None = None) -> None:
        """Without a ca_chain of its own it has *default_ca_chain*.  Raises :exc:`NetError` naming what is no value."""
        self._config = dict(config)
        if default_ca_chain and not self.pem("ca_chain"):
            self._config["ca_chain"] = default_ca_chain
        self.ciphers = config.get("ciphers", "")
        self.layer = config.get("layer_openssl_11", config.get("layer", "all"))
        self.optional_no_ca = self._boolean("optional_no_ca")
        self.ignore_dates = self._boolean("ignore_dates")
        self.offer = {each.strip() for each in config.get(self._alpn, "h2").split(",")}

    def pem(self, key: str) -> str:
        """The path or text of *key*, one of PEMS; empty without one."""
        return self._config.get(key) or self._config.get(PEMS[key], "")

    def pems(self) -> list[str]:
        """The keys of PEMS that have a value."""
        return [key for key in PEMS if self.pem(key)]

    def files(self) -> list[str]:
        """The paths of all files."""
        return [self.pem(key) for key in self.pems() if not is_inline(self.pem(key))]

    def called(self, key: str) -> str:
        """*key*, one of PEMS, as it was called, and its value, for a message."""
        name = key if self._config.get(key) else PEMS[key] if self._config.get(PEMS[key]) else key
        return f"{name} {shown(self.pem(key))}"

    @property
    def spoken(self) -> tuple[bytes, ...]:
        """The protocols for ALPN, best first.  curl offers ``http/1.0`` when it is to speak that."""
        return ((b"h2",) if "h2" in self.offer else ()) + (b"http/1.1", b"http/1.0")

    @property
    def accepts(self) -> str:
        """The key of PEMS that has the authorities a client is told of; empty where it is told of none."""
        if "ca_accept" in self._config:
            return "ca_accept" if self.pem("ca_accept") else ""
        return "ca_chain" if self.pem("ca_chain") else ""

    def check_offer(self) -> None:
        """Raises :exc:`NetError` for protocols that a listener does not speak."""
        if not self.offer <= _OFFERED:
            raise NetError(f"sslconfig {self._alpn}: expected h2 or none, not '{self._config[self._alpn]}'")

    @property
    def _alpn(self) -> str:
        return "alpn" if "alpn" in self._config else "npn"

    def _boolean(self, key: str) -> bool:
        try:
            return parse_boolean(self._config.get(key, "false"))
        except ValueError as mistake:
            raise NetError(f"sslconfig {key}: {mistake}") from None
