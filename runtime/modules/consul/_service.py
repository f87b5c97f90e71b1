"""A service as an agent knows it: what it is registered with, its checks, and how they are now."""

from dataclasses import dataclass, field
from typing import Any, Final

STATES: Final = {"passing": "pass", "warning": "warn", "critical": "fail"}
"""States of a check, and the word of each in the path that tells the agent."""


@dataclass
class Check:
    """One check.  *definition* is what the agent gets of it; *push* is every how many seconds its state is told, 0 for
    one that the agent looks at itself."""

    definition: dict[str, Any]
    push: float = 0.0
    state: str = "passing"
    note: str = ""
    due: float = 0.0  # when it is to be told next, steady seconds


@dataclass
class Service:
    """What is to be registered.  With *single* the one check goes as ``Check``, as those of the configuration do, else
    all as ``Checks``."""

    name: str
    id: str
    address: str
    port: int
    tags: list[str] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)
    weights: tuple[int, int] = (10, 1)
    single: bool = False
    checks: list[Check] = field(default_factory=list)
    wanted: bool = False
    registered: bool = False
    due: float = 0.0  # when registering is to be tried next, steady seconds
    told: str = ""  # what was logged of the last failure

    def check_id(self, index: int) -> str:
        """The agent's name of check *index*, from 0."""
        return f"service:{self.id}:{index + 1}"

    def url(self, where: str, scheme: str = "http") -> str:
        """*where*, a URL or a path of this service, as a URL."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{scheme}://{host}:{self.port}{where}" if where.startswith("/") else where

    def add(self, check: Check) -> int:
        """One more check; its index."""
        self.checks.append(check)
        return len(self.checks) - 1

    def document(self) -> dict[str, Any]:
        """What the agent gets."""
        checks = [each.definition | {"CheckID": self.check_id(at)} for at, each in enumerate(self.checks)]
        found: dict[str, Any] = {
            "ID": self.id,
            "Name": self.name,
            "Address": self.address,
            "Port": self.port,
            "EnableTagOverride": False,
        }
        found |= {"Check": checks[0]} if self.single else {"Checks": checks}
        passing, warning = self.weights
        return found | {
            "Weights": {"Passing": passing, "Warning": warning},
            "Tags": self.tags,
            "Meta": self.meta,
        }


def seconds(number: float) -> str:
    """A duration as agents read it."""
    return f"{number:g}s"


def push(name: str, ttl: float, deregister: float) -> Check:
    """A check whose state is told three times within *ttl* seconds."""
    definition = {"DeregisterCriticalServiceAfter": seconds(deregister), "Name": name, "TTL": seconds(ttl)}
    return Check(definition, push=ttl / 3)


def http(name: str, url: str, method: str, interval: float, timeout: float, deregister: float) -> Check:
    """A check for which the agent asks *url* every *interval* seconds."""
    return Check(
        {
            "DeregisterCriticalServiceAfter": seconds(deregister),
            "Name": name,
            "HTTP": url,
            "Interval": seconds(interval),
            "Method": method,
            "Timeout": seconds(timeout),
        }
    )


def tcp(name: str, address: str, interval: float, timeout: float, deregister: float) -> Check:
    """A check for which the agent connects to *address*, HOST:PORT, every *interval* seconds."""
    return Check(
        {
            "DeregisterCriticalServiceAfter": seconds(deregister),
            "Name": name,
            "TCP": address,
            "Interval": seconds(interval),
            "Timeout": seconds(timeout),
        }
    )
