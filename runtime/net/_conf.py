"""Listeners as configured: every ``<listener>`` below ``<listeners>``.  Manual: Listeners."""

import os
from collections.abc import Iterator
from typing import Final

from runtime import eventer, log
from runtime.conf import Conf, ConfError, Section, parse_boolean, parse_integer

from ._errors import NetError
from ._listener import BACKLOG, Listener, open_listener

_debug: Final = log.facility("debug/listener")


def listen(c: Conf) -> list[Listener]:
    """Open the listeners that *c* declares, in order; :func:`start` has them accept.

    Attributes come from the listener or its nearest ancestor that has them, ``<config>`` and ``<sslconfig>`` merge from
    the ancestors down.  Raises :exc:`runtime.conf.ConfError` with file and line for what cannot be opened; those opened
    before are closed again.  Manual: Listeners."""
    opened: list[Listener] = []
    for section in _sections(c):
        if c.env_off(section):
            if _debug.enabled:
                where = f"{c.inherited(section, 'address') or '*'}:{c.inherited(section, 'port') or ''}"
                _debug.log(f"listener {where} environmentally disabled.\n")
            continue
        try:
            opened.append(_open(c, section))
        except Exception as mistake:
            for each in opened:
                each.close()
            if isinstance(mistake, NetError):
                raise c.error(f"<listener>: {mistake}", section) from None
            raise
    return opened


def mistakes(c: Conf) -> Iterator[ConfError]:
    """What is wrong with the listeners that *c* declares, each opened and closed again."""
    for section in _sections(c):
        if not c.env_off(section):
            try:
                _open(c, section).close()
            except NetError as mistake:
                yield c.error(f"<listener>: {mistake}", section)
            except ConfError as mistake:
                yield mistake


def _sections(c: Conf) -> list[Section]:
    root = c.root_name
    return c.get_sections(f"/{root}/listeners//listener|/{root}/include/listeners//listener")


def _open(c: Conf, section: Section) -> Listener:
    type_name = c.inherited(section, "type")
    if not type_name:
        raise c.error("<listener>: expected a type", section)
    address = c.inherited(section, "address") or "*"
    port = _integer(c, section, "port", None if "/" not in address else 0, 0, 65535)
    config = c.get_hash(section, "config")
    root = config.get("document_root")
    if root:
        config["document_root"] = c.found(root)
        if not os.path.isabs(root) and not os.path.isdir(config["document_root"]):  # noqa: PTH112, PTH117
            raise c.error(f"document_root: there is no directory '{root}' here, nor beside {c.name}", section)
    idle_timeout = _idle_timeout(c, section)
    if idle_timeout is not None:
        config["idle_timeout"] = idle_timeout
    pool = c.inherited(section, "fanout_pool")
    tls = None
    if _boolean(c, section, "ssl", False):
        from ._tls import FILES, Tls  # few programs need it, and none should wait for it

        sslconfig = c.get_hash(section, "sslconfig")
        tls = Tls({key: c.found(value) if key in FILES else value for key, value in sslconfig.items()})
    return open_listener(
        type_name,
        address,
        port,
        config,
        backlog=_integer(c, section, "backlog", BACKLOG, 1, 65535),
        fanout=_boolean(c, section, "fanout", False),
        fanout_pool=pool if pool and eventer.pool(pool) is not None else None,
        no_delay=_boolean(c, section, "no_delay", True),
        accept_thread=_boolean(c, section, "accept_thread", False),
        tls=tls,
    )


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
        raise c.error(f"<listener> {name}='{text}': {mistake}", section) from None


def _integer(c: Conf, section: Section, name: str, default: int | None, least: int, most: int) -> int:
    text = c.inherited(section, name)
    if text is None:
        if default is None:
            raise c.error(f"<listener>: expected a {name}", section)
        return default
    try:
        value = parse_integer(text)
        if not least <= value <= most:
            raise ValueError(f"expected {least} to {most}")
    except ValueError as mistake:
        raise c.error(f"<listener> {name}='{text}': {mistake}", section) from None
    return value
