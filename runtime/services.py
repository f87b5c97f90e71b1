"""The listeners and clusters of a configuration, from their opening to the last answer.  Manual: Listeners, REST.

Few programs listen, so what it takes is imported only for those that do.
"""

import importlib
import sys

from runtime import log
from runtime.conf import Conf, ConfError

_mounting: list[str] = []

PATIENCE = 10.0
"""Seconds that requests in flight have to end when the process is to end."""


def register(target: str) -> None:
    """Have the function *target*, ``package.module:function``, called before anything is listened on, if anything is.

    It mounts handlers; its module is imported then."""
    _mounting.append(target)


def open_listeners(configuration: Conf) -> None:
    """Bind what *configuration* listens on, and take its access control; nothing is accepted yet.

    Raises :exc:`runtime.conf.ConfError` with file and line."""
    root = configuration.root_name
    if configuration.get_section("//clusters") is not None:
        from runtime import cluster

        cluster.init(configuration)
        register("runtime.cluster:mount")
    listens = configuration.get_sections(f"/{root}/listeners//listener|/{root}/include/listeners//listener")
    if not listens and "runtime.http" not in sys.modules:
        return
    from runtime import http, net, ops

    ops.mount()
    for target in _mounting:
        module, _, function = target.partition(":")
        getattr(importlib.import_module(module), function)()
    http.configure(configuration)
    net.listen(configuration)


def start() -> None:
    """Accept connections, and meet the clusters.

    Raises :exc:`runtime.conf.ConfError` for a listener of a type that nobody has."""
    if "runtime.cluster" in sys.modules:
        sys.modules["runtime.cluster"].start()
    if "runtime.net" in sys.modules:
        from runtime import net

        try:
            net.start()
        except net.NetError as mistake:
            raise ConfError(str(mistake)) from None


def reload(configuration: Conf) -> None:
    """Have the clusters take a configuration that was read again.  Raises :exc:`runtime.conf.ConfError`."""
    if "runtime.cluster" in sys.modules:
        sys.modules["runtime.cluster"].reload(configuration)


def stop() -> None:
    """Leave the clusters, accept no more, and let the requests in flight end; not from a loop thread."""
    if "runtime.cluster" in sys.modules:
        sys.modules["runtime.cluster"].stop()
    if "runtime.net" not in sys.modules:
        return
    from runtime import http, net

    net.stop_accepting()
    if not http.drain(PATIENCE):
        log.facility("error/rest").log(f"requests still in flight after {PATIENCE:g} s are dropped\n")
