"""The listeners and clusters of a configuration, from their opening to the last answer.  Manual: Listeners, REST.

Few programs listen, so what it takes is imported only for those that do.
"""

import importlib
import sys

from runtime import lifecycle, log, modules
from runtime.conf import Conf, ConfError, parse_boolean

_mounting: list[str] = []

TIMEOUT = 10.0
"""Seconds that requests in flight have to end when the process is to end."""


def register(target: str) -> None:
    """Have the function *target*, ``package.module:function``, called before anything is listened on, if anything is.

    It mounts handlers; its module is imported then."""
    _mounting.append(target)


def open_listeners(configuration: Conf) -> None:
    """Bind what *configuration* listens on, and take its access control; nothing is accepted before the start.

    Raises :exc:`runtime.conf.ConfError` with file and line."""
    clustered = None
    if configuration.get_section("//clusters") is not None:
        from runtime import cluster

        cluster.init(configuration)
        register("runtime.cluster:mount")
        clustered = cluster
    if is_asked_for(configuration) or "runtime.http" in sys.modules:
        _listen(configuration)
    if clustered is not None:
        lifecycle.on_start(clustered.start)
        lifecycle.on_reload("clusters", clustered.reload)
        lifecycle.on_stop(clustered.stop)


def is_asked_for(configuration: Conf) -> bool:
    """Whether *configuration* says anything of services."""
    root = configuration.root_name
    asked = "|".join(f"/{root}/{each}|/{root}/include/{each}" for each in ("listeners//listener", "rest//acl", "ops"))
    return bool(configuration.get_sections(asked))


def check(configuration: Conf) -> None:
    """Look for what is wrong with the services of *configuration*: its listeners are opened, and closed again.

    Complains (:meth:`runtime.conf.Conf.complain`)."""
    from runtime import console, http, net

    switches(configuration)
    http.configure(configuration)
    opened = net.listen(configuration)
    console.mount(opened)
    for each in opened:
        try:
            each.check()
        except ConfError as mistake:
            configuration.complain(mistake)
        each.close()


def _listen(configuration: Conf) -> None:
    from runtime import console, http, net, ops

    wanted = switches(configuration)
    ops.mount(page=wanted["page"], profile=wanted["profile"])
    for target in _mounting:
        module, _, function = target.partition(":")
        getattr(importlib.import_module(module), function)()
    http.configure(configuration)
    configuration.hold_reloads_against(http.check_access)
    lifecycle.on_reload("rest", http.configure)
    opened = net.listen(configuration)
    console.mount(opened, websocket=wanted["console"])
    for each in opened if modules.are_all_ours() else ():  # others may name types when they start
        each.check()

    def accept() -> None:
        net.start()
        for each in net.listeners():
            log.notice.log(f"listening on {each} ({each.type})\n")

    def finish() -> None:
        net.stop_accepting()
        if not http.finish(TIMEOUT):
            log.facility("error/rest").log(f"requests still in flight after {TIMEOUT:g} s are dropped\n")

    lifecycle.on_start(accept)
    lifecycle.on_stop(finish)
    lifecycle.on_exit(http.settle_all)


def switches(configuration: Conf) -> dict[str, bool]:
    """What ``<ops><config>`` turns off of that which shows more than figures: page, profile, console (WebSocket)."""
    wanted = {"page": True, "profile": True, "console": True}
    root = configuration.root_name
    for section in configuration.get_sections(f"/{root}/ops|/{root}/include/ops"):
        for key, value in configuration.get_hash(section, "config").items():
            try:
                if key in wanted:
                    wanted[key] = parse_boolean(value)
            except ValueError as mistake:
                configuration.complain(configuration.complaint(f"<ops> {key}='{value}': {mistake}", section))
    return wanted
