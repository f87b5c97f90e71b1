"""The ``<consul><service>`` elements of the configuration, as services.  Manual: consul."""

import os
import re
import socket
from collections.abc import Mapping
from typing import Any

from runtime.conf import Conf, Section, names, parse_duration

from ._service import Check, Service

_SERVICE = names.names("id", "address", "port")
_CHILDREN = names.names("check", "weights", "tags", "tag", "meta")
_CHECK = names.names(
    "DeregisterCriticalServiceAfter", "deregister_after", "Interval", "interval", "Timeout", "timeout",
    "Method", "method", "HTTP", "HTTPS", "TCP", "PUSH",
)  # fmt: skip
_DURATION = (r"((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+", "a duration as the agent reads it, such as 1m30s")
_PATTERNS = {
    "deregistercriticalserviceafter": _DURATION,
    "deregister_after": _DURATION,
    "interval": _DURATION,
    "timeout": _DURATION,
    "method": (r"[A-Za-z]+", "a method of HTTP"),
    "http": (r"/\S*|https?://\S+", "a URL, or a path of the service"),
    "https": (r"/\S*|https?://\S+", "a URL, or a path of the service"),
    "tcp": (r"\S+:\d{1,5}", "HOST:PORT"),
}
"""What attributes of ``<check>``, in lower case, may be."""
_WEIGHTS = names.names("passing", "warning")
_META = names.names("version", "features")


def services(c: Conf, versions: Mapping[str, str], features: Mapping[str, str]) -> list[Service]:
    """Each child of ``<consul><service>`` that has a port.

    Raises :exc:`runtime.conf.ConfError` with the line of what cannot be used."""
    found: list[Service] = []
    for section in c.get_sections("//consul/service/*"):
        if not c.env_off(section) and section.get("port") is not None:
            found.append(_service(c, section, versions, features))
    return found


def own_address() -> str:
    """The address that others reach this host by."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return "127.0.0.1"
        return str(sock.getsockname()[0])


def _service(c: Conf, section: Section, versions: Mapping[str, str], features: Mapping[str, str]) -> Service:
    _only(c, section, _SERVICE)
    for child in section.iterchildren("*"):
        if not _CHILDREN.knows(str(child.tag)):
            nearest = _CHILDREN.nearest(str(child.tag))
            raise c.error(f"<{section.tag}>: there is no element {child.tag}, expected {nearest}", child)
    app, node = c.root_name, os.uname().nodename
    pattern = c.get_string("@id", section) or "{app}-{node}"
    made = Service(
        name=str(section.tag),
        id=pattern.replace("{app}", app).replace("{node}", node),
        address=c.get_string("@address", section) or own_address(),
        port=_number(c, section, "port", 1, 65535, 0),
        single=True,
    )
    weights = c.get_section("weights", section)
    if weights is not None:
        _only(c, weights, _WEIGHTS)
        made.weights = (_number(c, weights, "passing", 0, 65535, 10), _number(c, weights, "warning", 0, 65535, 1))
    made.tags = [c.get_string("self::node()", each) or "" for each in c.get_sections("tag", section)]
    made.tags += [
        f"{each.tag}:{c.get_string('self::node()', each) or ''}" for each in c.get_sections("tags/*", section)
    ]
    for meta in c.get_sections("meta", section):
        _only(c, meta, _META)
        made.meta |= {str(each.tag): c.get_string("self::node()", each) or "" for each in meta.iterchildren("*")}
        for attribute, more in (("version", versions), ("features", features)):
            if c.get_boolean(f"@{attribute}", meta):
                made.meta |= more
    made.add(_check(c, c.get_section("check", section), made))
    return made


def _check(c: Conf, section: Section | None, service: Service) -> Check:
    given: dict[str, str] = {}
    if section is not None:
        _only(c, section, _CHECK)
        given = {name: c.get_string(f"@{name}", section) or "" for name in map(str, section.attrib)}
        for name, text in given.items():
            pattern, what = _PATTERNS.get(name.lower(), ("(?s).*", ""))
            if not re.fullmatch(pattern, text):
                raise c.error(f"<check> {name}='{text}': expected {what}", section)
    after = given.get("DeregisterCriticalServiceAfter", given.get("deregister_after", "30m"))
    found: dict[str, Any] = {"DeregisterCriticalServiceAfter": after}
    ways = [each for each in ("HTTP", "HTTPS", "TCP", "PUSH") if each in given]
    if len(ways) > 1 and section is not None:
        raise c.error(f"<check>: expected one of HTTP, HTTPS, TCP and PUSH, got {' and '.join(ways)}", section)
    if ways == ["PUSH"]:
        assert section is not None
        every = _duration(c, section, given["PUSH"])
        return Check({**found, "TTL": f"{every * 3:g}s"}, push=every)
    if ways == ["TCP"]:
        found["TCP"] = given["TCP"]
    else:
        default = f"/module/consul/health/{service.id}?n=1"
        scheme = "https" if ways == ["HTTPS"] else "http"
        found["HTTP"] = service.url(given.get(ways[0], default) if ways else default, scheme)
    found["Interval"] = given.get("Interval", given.get("interval", "5s"))
    for name in ("Method", "Timeout"):
        value = given.get(name, given.get(name.lower()))
        if value is not None:
            found[name] = value
    return Check(found)


def _duration(c: Conf, section: Section, text: str) -> float:
    try:
        found = parse_duration(text)
    except ValueError as mistake:
        raise c.error(f"<check> PUSH='{text}': {mistake}", section) from None
    if found <= 0:
        raise c.error(f"<check> PUSH='{text}': expected more than 0", section)
    return found


def _number(c: Conf, section: Section, name: str, least: int, most: int, default: int) -> int:
    text = c.get_string(f"@{name}", section)
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal() or not least <= int(text[:9]) <= most:
        raise c.error(f"<{section.tag}> {name}='{text}': expected a number from {least} to {most}", section)
    return int(text)


def _only(c: Conf, section: Section, known: names.Names) -> None:
    for name in map(str, section.attrib):
        if name not in names.COMMON and not known.knows(name):
            raise c.error(f"<{section.tag}>: there is no attribute {name}, expected {known.nearest(name)}", section)
