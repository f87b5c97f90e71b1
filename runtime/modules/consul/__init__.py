"""The module consul: registers services with a Consul agent, tells it how they are, and reads values of the
configuration from its store.  Manual: consul."""

import os
from collections.abc import Mapping
from typing import Final

from runtime import conf, http, lifecycle
from runtime.conf import VALUE_FIXUP, names
from runtime.http import Request, Response

from .._peers import url
from ._agent import Agent
from ._configuration import own_address, services
from ._registrar import Registrar
from ._service import STATES, Check, Service
from ._service import http as check_http
from ._service import push as check_push
from ._service import tcp as check_tcp
from ._values import Attached, Values

AGENT: Final = "http://localhost:8500"
"""The agent, unless configured."""
TIMEOUT: Final = 3.0
"""Seconds for deregistering at the end."""

HEALTH: Final = {"passing": 204, "warning": 429, "critical": 502}

_consul: "Consul | None" = None
conf.hide("//config/bearer_token")


class Consul:
    """The module."""

    KEYS = names.names("boot_state", "kv_prefix", "bearer_token", "agent")

    def configure(self, config: Mapping[str, str]) -> None:
        """Take keys, and read what the configuration has of Consul's values; that waits for the agent.

        Raises ValueError naming what cannot be used, :exc:`runtime.conf.ConfError` for services."""
        self.boot_state = config.get("boot_state", "passing")
        if self.boot_state not in STATES:
            raise ValueError(f"boot_state: expected {', '.join(STATES)}, got {self.boot_state!r}")
        token = os.environ.get("CONSUL_BEARER_TOKEN") or config.get("bearer_token", "")
        if not token.isascii() or not token.isprintable():
            raise ValueError("bearer_token: expected printable ASCII")
        agent = Agent(url(config, "agent", AGENT), token)
        self.registrar = Registrar(agent)
        self.values = Values(agent, config.get("kv_prefix", ""))
        VALUE_FIXUP.unregister("consul")
        VALUE_FIXUP.register("consul", self.values.fix_up)
        current = conf.current()
        self.values.read_ahead(current)
        versions, features = _versions(current.root_name)
        self.services = services(current, versions, features)

    def init(self) -> None:
        """Register, and answer those who look."""
        global _consul
        _consul = self
        http.mount("GET", "/module/consul/", r"^health$", self._health)
        http.mount("GET", "/module/consul/", r"^health/(.+)$", self._health_of)
        self.registrar.start()
        for each in self.services:
            register(each)
        lifecycle.on_stop(lambda: self.registrar.stop(TIMEOUT))

    def _health(self, _request: Request, response: Response) -> None:
        """``GET /module/consul/health``: how the worst check is; without one, how the configuration says."""
        states = [check.state for each in self.registrar.services() for check in each.checks]
        _answer(response, max(states or [self.boot_state], key=list(STATES).index))

    def _health_of(self, request: Request, response: Response) -> None:
        """``GET /module/consul/health/ID?n=N``: how check N, from 1, of a service is."""
        service = self.registrar.find((request.captures[0] or b"").decode("utf-8", "replace"))
        number = (request.querystring("n") or b"").decode("latin-1")
        known = service is not None and number.isdecimal() and 0 < int(number[:9]) <= len(service.checks)
        _answer(response, service.checks[int(number) - 1].state if known and service is not None else "critical")


def _answer(response: Response, state: str) -> None:
    response.status(HEALTH[state], "HEALTH")
    response.header("Content-Type", "text/plain")
    response.flush_end()


def register(service: Service) -> None:
    """Have *service* registered as soon as the agent takes it, and its checks told.  From any thread; never waits.

    Raises ValueError when the module is not loaded."""
    module = _module()
    for each in service.checks:
        if not service.wanted:
            each.state = module.boot_state
    module.registrar.register(service)


def find(service_id: str) -> Service:
    """The service of that id that was registered.

    Raises ValueError when there is none, and when the module is not loaded."""
    found = _module().registrar.find(service_id)
    if found is None:
        raise ValueError(f"no service {service_id} is registered")
    return found


def deregister(service: Service) -> None:
    """Have it no more.  Raises ValueError when the module is not loaded."""
    _module().registrar.deregister(service)


def set_state(service: Service, index: int, state: str, note: str = "") -> None:
    """Check *index*, from 0, is ``passing``, ``warning`` or ``critical``; the agent is told at once.

    Raises ValueError for a check that there is not, and when the module is not loaded."""
    _module().registrar.set_state(service, index, state, note)


def kv_attach(path: str, function: Attached) -> None:
    """Have ``function(key, value, index)`` called on a loop with every value below *path*, now and whenever it changes.

    Raises ValueError when the module is not loaded.  Manual: ``mtev_consul_kv_attach_function``."""
    _module().values.attach(path, function)


def _module() -> Consul:
    if _consul is None:
        raise ValueError("the module consul is not loaded")
    return _consul


def _versions(app: str) -> tuple[dict[str, str], dict[str, str]]:
    from importlib.metadata import PackageNotFoundError, version

    try:
        own = version("luamtev")
    except PackageNotFoundError:
        own = "unknown"
    return {"mtev_version": own, f"{app}_version": own}, {"http_accept_encoding_gzip": "1"}


__all__ = [
    "Check",
    "Consul",
    "Service",
    "check_http",
    "check_push",
    "check_tcp",
    "deregister",
    "find",
    "kv_attach",
    "own_address",
    "register",
    "set_state",
]
