"""Listeners as configured: every ``<listener>`` below ``<listeners>``.  Manual: Listeners."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from runtime import conf, eventer, log
from runtime.conf import Conf, ConfError, Section, parse_boolean, parse_integer

from ._errors import NetError
from ._listener import BACKLOG, Listener, open_listener

if TYPE_CHECKING:
    from ._tls import Tls

_debug: Final = log.facility("debug/listener")

conf.hide("//sslconfig/*[contains(., 'PRIVATE KEY')]")


def listen(c: Conf) -> list[Listener]:
    """Open the listeners that *c* declares, in order; :func:`start` has them accept.

    Attributes come from the listener or its nearest ancestor that has them, ``<config>`` and ``<sslconfig>`` merge from
    the ancestors down.  Complains (:meth:`Conf.complain`) of what cannot be opened; when that raises, those opened
    before are closed again.  Manual: Listeners."""
    opened: list[Listener] = []
    for section in _sections(c):
        if c.env_off(section):
            if _debug.enabled:
                where = f"{c.inherited(section, 'address') or '*'}:{c.inherited(section, 'port') or ''}"
                _debug.log(f"listener {where} environmentally disabled.\n")
            continue
        try:
            listener = _open(c, section)
        except ConfError:
            for each in opened:
                each.close()
            raise
        if listener is not None:
            opened.append(listener)
    return opened


def _sections(c: Conf) -> list[Section]:
    root = c.root_name
    return c.get_sections(f"/{root}/listeners//listener|/{root}/include/listeners//listener")


def _open(c: Conf, section: Section) -> Listener | None:
    """The listener of *section*; complains of what it cannot be, and returns None where that is listened to."""
    before = c.complaints

    def wrong(message: str, name: str = "config") -> ConfError:
        return c.complaint(f"<listener>: {message}", section, name)

    type_name = c.inherited(section, "type")
    if not type_name:
        c.complain(wrong("expected a type, such as http_rest_api, control_dispatch or mtev_console"))
    address = c.inherited(section, "address") or "*"
    port = _integer(c, section, "port", None if "/" not in address else 0, 0, 65535)
    config = _config(c, section, wrong)
    pool = c.inherited(section, "fanout_pool") or None
    if pool is not None and eventer.pool(pool) is None:
        there = ", ".join(each.name for each in eventer.pools())
        c.complain(wrong(f"fanout_pool='{pool}': there is no such loop: there are {there}"))
    tls = _tls(c, section, wrong) if _boolean(c, section, "ssl", False) else None
    backlog = _integer(c, section, "backlog", BACKLOG, 1, 65535)
    switches = {
        name: _boolean(c, section, name, default)
        for name, default in (("fanout", False), ("no_delay", True), ("accept_thread", False))
    }
    if c.complaints > before:
        return None
    try:
        made = open_listener(
            type_name or "", address, port, config, backlog=backlog, fanout_pool=pool, tls=tls, **switches
        )
    except NetError as mistake:
        c.complain(wrong(str(mistake)))
        return None
    made.wrong = wrong
    return made


def _config(c: Conf, section: Section, wrong: Callable[[str], ConfError]) -> dict[str, str]:
    """What stands in ``<config>``, with paths as they are found, and the idle timeout."""
    config = c.get_hash(section, "config")
    root = config.get("document_root")
    if root:
        config["document_root"] = c.found(root)
        if not os.path.isdir(config["document_root"]):  # noqa: PTH112
            where = "" if os.path.isabs(root) else f" here, nor beside {c.name}"  # noqa: PTH117
            c.complain(wrong(f"document_root: there is no directory '{root}'{where}"))
    history = config.get("history_file")
    if history:
        config["history_file"] = c.place(history)
        directory = os.path.dirname(config["history_file"])  # noqa: PTH120
        if directory and not os.path.isdir(directory):  # noqa: PTH112
            c.warn(wrong(f"history_file: there is no directory '{directory}'"))
    idle_timeout = _idle_timeout(c, section)
    if idle_timeout is not None:
        config["idle_timeout"] = idle_timeout
    return config


def _tls(c: Conf, section: Section, wrong: Callable[[str, str], ConfError]) -> "Tls | None":
    """What ``<sslconfig>`` says; complains and returns None where that cannot be."""
    from runtime.tls import is_inline

    from ._sslconfig import PEMS
    from ._tls import Tls  # few programs need it, and none should wait for it

    files = {*PEMS, *PEMS.values()}
    sslconfig = c.get_hash(section, "sslconfig")
    for key in files & sslconfig.keys():
        if not is_inline(sslconfig[key]):
            sslconfig[key] = c.found(sslconfig[key])
    try:
        return Tls(sslconfig)
    except NetError as mistake:
        c.complain(wrong(str(mistake), "sslconfig"))
        return None


def _idle_timeout(c: Conf, section: Section) -> str | None:
    """The nearest there is: an attribute, or in a ``<config>``, which at the same place wins."""
    for element in (section, *section.iterancestors()):
        configured = c.get_own_hash(element, "config").get("idle_timeout")
        if configured is not None:
            return configured
        attribute = c.get_string("@idle_timeout", element)
        if attribute is not None:
            return attribute
    return None


def _boolean(c: Conf, section: Section, name: str, default: bool) -> bool:
    text = c.inherited(section, name)
    try:
        return default if text is None else parse_boolean(text)
    except ValueError as mistake:
        c.complain(c.error(f"<listener> {name}='{text}': {mistake}", section))
        return default


def _integer(c: Conf, section: Section, name: str, default: int | None, least: int, most: int) -> int:
    text = c.inherited(section, name)
    if text is None:
        if default is None:
            c.complain(c.error(f"<listener>: expected a {name}", section))
        return default or 0
    try:
        value = parse_integer(text)
        if not least <= value <= most:
            raise ValueError(f"expected {least} to {most}")
    except ValueError as mistake:
        c.complain(c.error(f"<listener> {name}='{text}': {mistake}", section))
        return default or 0
    return value
