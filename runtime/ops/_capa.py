"""``/capa`` and ``/capa.json``: what is running here, in which version, with which modules."""

import functools
import importlib.metadata
import platform
import ssl
import struct
import sys
import time
import zlib
from typing import Any

from runtime import modules, net
from runtime.http import Request, Response

from ._answer import answer

_DISPATCH = "control_dispatch"
LZ4F_VERSION = "100"
"""The version of the frame format that lz4f is."""

MTEV_VERSION = "2.7.11"
"""The libmtev whose behaviour this stack has."""


def capabilities() -> dict[str, Any]:
    """The document of ``/capa.json``."""
    return {
        "version": _version(),
        "mtev_version": MTEV_VERSION,
        "unameBuild": _uname(),
        "unameRun": _uname(),
        "features": _features(),
        "current_time": str(int(time.time() * 1000)),
        "services": {
            _code(zlib.crc32(_DISPATCH.encode())): {_DISPATCH: _DISPATCH, "name": _DISPATCH, "commands": _commands()}
        },
        "modules": {each.name: {"type": each.type} for each in modules.loaded()},
    }


def _commands() -> dict[str, dict[str, str]]:
    found = {}
    for word, name in net.commands().items():
        name, _, version = name.partition("/")
        found[_code(int.from_bytes(word, "big"))] = {"name": name, "version": version or "1.0"}
    return found


def _code(number: int) -> str:
    return f"0x{number:08x}"


def capa_json(_request: Request, response: Response) -> None:
    """``GET /capa.json``."""
    answer(response, capabilities())


def capa(_request: Request, response: Response) -> None:
    """``GET /capa``."""
    response.header("Content-Type", "application/xml")
    response.write(as_xml())
    response.flush_end()


def as_xml(connected: str | None = None) -> bytes:
    """The same document in XML, for ``/capa`` and the bare command ``CAPA``; *connected* is the service that asks."""
    from lxml import etree

    found = capabilities()
    root = etree.Element("mtev_capabilities")
    for key in ("version", "mtev_version"):
        etree.SubElement(root, key).text = found[key]
    for key in ("unameBuild", "unameRun"):
        uname = found[key]
        element = etree.SubElement(root, key, bitwidth=str(uname["bitwidth"]))
        for name, value in uname.items():
            if name != "bitwidth":
                etree.SubElement(element, name).text = value
    features = etree.SubElement(root, "features")
    for name, value in found["features"].items():
        etree.SubElement(features, "feature", name=name, version=value)
    etree.SubElement(root, "current_time").text = found["current_time"]
    services = etree.SubElement(root, "services")
    for code, service in found["services"].items():
        element = etree.SubElement(services, "service", name=service["name"], code=code)
        if service["name"] == connected:
            element.set("connected", "true")
        for number, command in service["commands"].items():
            etree.SubElement(element, "command", name=command["name"], version=command["version"], code=number)
    listed = etree.SubElement(root, "modules")
    for name, module in found["modules"].items():
        etree.SubElement(listed, "module", type=module["type"], name=name)
    etree.indent(root)
    return etree.tostring(root, encoding="utf8", xml_declaration=True) + b"\n"


@functools.cache
def _version() -> str:
    try:
        return importlib.metadata.version("luamtev")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


@functools.cache
def _uname() -> dict[str, Any]:
    uname = platform.uname()
    return {
        "bitwidth": struct.calcsize("P") * 8,
        "sysname": uname.system,
        "nodename": uname.node,
        "release": uname.release,
        "version": uname.version,
        "machine": uname.machine,
    }


@functools.cache
def _features() -> dict[str, str]:
    found = {
        "http_accept_encoding_gzip": zlib.ZLIB_RUNTIME_VERSION,
        "http_accept_encoding_lz4f": LZ4F_VERSION,
    }
    found |= {"python": platform.python_version(), "SSL": ssl.OPENSSL_VERSION}
    for name in ("gevent", "lupa", "httptools", "ngh2", "wsproto"):
        if name in sys.modules or name == "gevent":
            found[name] = importlib.metadata.version(name)
    return found
