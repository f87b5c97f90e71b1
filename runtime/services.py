"""The listeners and clusters of a configuration, from their opening to the last answer.  Manual: Listeners, REST.

Few programs listen, so what it takes is imported only for those that do.
"""

import importlib
import sys

from runtime import lifecycle, log
from runtime.conf import Conf, ConfError, parse_boolean

_mounting: list[str] = []

PATIENCE = 10.0
"""Seconds that requests in flight have to end when the process is to end."""


def register(target: str) -> None:
    """Have the function *target*, ``package.module:function``, called before anything is listened on, if anything is.

    It mounts handlers; its module is imported then."""
    _mounting.append(target)


def open_listeners(configuration: Conf) -> None:
    """Bind what *configuration* listens on, and take its access control; nothing is accepted before the start.

    Raises :exc:`runtime.conf.ConfError` with file and line."""
    root = configuration.root_name
    clustered = None
    if configuration.get_section("//clusters") is not None:
        from runtime import cluster

        cluster.init(configuration)
        register("runtime.cluster:mount")
        clustered = cluster
    listens = configuration.get_sections(f"/{root}/listeners//listener|/{root}/include/listeners//listener")
    if listens or "runtime.http" in sys.modules:
        _listen(configuration)
    if clustered is not None:
        lifecycle.on_start(clustered.start)
        lifecycle.on_reload(clustered.reload)
        lifecycle.on_stop(clustered.stop)


def _listen(configuration: Conf) -> None:
    from runtime import console, http, net, ops

    wanted = _switches(configuration)
    ops.mount(page=wanted["page"], profile=wanted["profile"])
    for target in _mounting:
        module, _, function = target.partition(":")
        getattr(importlib.import_module(module), function)()
    http.configure(configuration)
    console.mount(net.listen(configuration), websocket=wanted["console"])

    def accept() -> None:
        try:
            net.start()
        except net.NetError as mistake:
            raise ConfError(str(mistake)) from None
        for each in net.listeners():
            log.notice.log(f"listening on {each} ({each.type})\n")

    def drain() -> None:
        net.stop_accepting()
        if not http.drain(PATIENCE):
            log.facility("error/rest").log(f"requests still in flight after {PATIENCE:g} s are dropped\n")

    lifecycle.on_start(accept)
    lifecycle.on_stop(drain)
    lifecycle.on_exit(http.settle_all)


def _switches(configuration: Conf) -> dict[str, bool]:
    """What ``<ops><config>`` turns off of that which shows more than figures: page, profile, console (WebSocket)."""
    wanted = {"page": True, "profile": True, "console": True}
    root = configuration.root_name
    for section in configuration.get_sections(f"/{root}/ops|/{root}/include/ops"):
        for key, value in configuration.get_hash(section, "config").items():
            if key not in wanted:
                raise configuration.error(f"<ops>: '{key}' is not known: expected {', '.join(wanted)}", section)
            try:
                wanted[key] = parse_boolean(value)
            except ValueError as mistake:
                raise configuration.error(f"<ops> {key}='{value}': {mistake}", section) from None
    return wanted
