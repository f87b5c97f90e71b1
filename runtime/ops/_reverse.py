"""``/reverse/show`` and ``/reverse/show.json``: the reverse connections that are up, and their channels."""

import time
from typing import TYPE_CHECKING, Any

from runtime import late
from runtime.http import GZIP, Request, Response
from runtime.net import Connection

from ._answer import answer

if TYPE_CHECKING:
    from runtime.net.reverse import Channel, Tunnel


def accept(connection: Connection) -> None:
    """The command ``REVE``; what it takes is imported for the first who says it."""
    from runtime.net import reverse

    reverse.accept(connection)


def show_json(request: Request, response: Response) -> None:
    """``GET /reverse/show.json?id=ID``; without an id all of them."""
    found = {tunnel.id: _described(tunnel) for tunnel in _asked(request)}
    answer(response, found)


def show(request: Request, response: Response) -> None:
    """``GET /reverse/show?id=ID``: the same in XML."""
    from lxml import etree

    root = etree.Element("reverses")
    for tunnel in _asked(request):
        said = _described(tunnel)
        channels = said.pop("channels")
        element = etree.SubElement(root, "reverse", {"id": tunnel.id} | _texts(said))
        listed = etree.SubElement(element, "channels")
        for channel in channels.values():
            etree.SubElement(listed, "channel", _texts(channel))
    etree.indent(root)
    response.header("Content-Type", "text/xml")
    response.option(GZIP)
    response.write(b'<?xml version="1.0" encoding="utf8"?>\n' + etree.tostring(root) + b"\n")
    response.flush_end()


def _asked(request: Request) -> "list[Tunnel]":
    reverse = late.imported("runtime.net.reverse")
    if reverse is None:
        return []
    wanted = request.querystring("id")
    tunnels: list[Tunnel] = reverse.tunnels()
    return [each for each in tunnels if wanted is None or each.id.encode() == wanted]


def _described(tunnel: "Tunnel") -> dict[str, Any]:
    proxies = {
        f"proxy_{family}": f"{proxy.address}:{proxy.port}" if family == "ipv4" else f"[{proxy.address}]:{proxy.port}"
        for family, proxy in tunnel.proxies.items()
    }
    channels = {
        str(number): {"channel_id": number, **_counted(channel)} for number, channel in list(tunnel.channels.items())
    }
    return {**_counted(tunnel), **proxies, "channels": channels}


def _counted(one: "Tunnel | Channel") -> dict[str, int | float]:
    return {
        "fd": one.fd,
        "uptime": round(time.monotonic() - one.began, 6),
        "in_bytes": one.in_bytes,
        "in_frames": one.in_frames,
        "out_bytes": one.out_bytes,
        "out_frames": one.out_frames,
    }


def _texts(values: dict[str, Any]) -> dict[str, str]:
    return {key: f"{value:.3f}" if isinstance(value, float) else str(value) for key, value in values.items()}
