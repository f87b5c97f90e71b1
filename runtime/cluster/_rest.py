"""``/cluster``: the clusters as this member sees them, and the way to change their configuration.  Manual: REST."""

import json
import time
from typing import Any

from lxml import etree

from runtime import conf, http, xmltext
from runtime.http import GZIP, Request, Response

from . import _clusters
from ._members import SECOND, Cluster, Node

_mounted = False


def mount() -> None:
    """Mount ``/cluster``; once for the life of the process."""
    global _mounted
    if _mounted:
        return
    _mounted = True
    http.mount("GET", "/", r"^cluster(?:/(.+?))?(\.json)?$", show)
    http.mount("POST", "/", r"^cluster$", change)


def show(request: Request, response: Response) -> None:
    """``GET /cluster[/NAME][.json]``: XML, or JSON; 404 for a name that is none."""
    name, suffix = request.captures
    if name is None:
        found = _clusters.clusters()
    else:
        one = _clusters.by_name(name.decode("utf-8", "replace"))
        found = [] if one is None else [one]
    content_type, document = ("application/json", _json) if suffix else ("text/xml", _xml)
    if name is not None and not found:
        response.status(404, "ERROR")
    response.header("Content-Type", content_type)
    response.option(GZIP)
    if found or name is None:
        response.write(document(found))
    response.flush_end()


def change(request: Request, response: Response) -> None:
    """``POST /cluster`` with an element ``<cluster>``: 204 when it is taken, 304 when its sequence is no higher than
    the one there is, 500 with the reason when it cannot be used.

    With the header ``x-mtev-conf-sync: 1`` the configuration is written before the answer."""
    try:
        section = etree.fromstring(request.payload, xmltext.parser())
    except (etree.XMLSyntaxError, xmltext.OutsideError):
        _failed(response, "xml parse error")
        return
    if section.tag != "cluster":
        _failed(response, "bad root node: not cluster")
        return
    try:
        taken = _clusters.update(section)
        if taken >= 0 and request.headers.get(b"x-mtev-conf-sync") == b"1":
            conf.current().save()
    except conf.ConfError as mistake:
        _failed(response, f"failed to update: {mistake.message}")
        return
    response.status(304 if taken < 0 else 204, "OK")
    response.flush_end()


def _failed(response: Response, reason: str) -> None:
    error = etree.Element("error")
    error.text = reason
    response.status(500, "ERROR")
    response.header("Content-Type", "text/xml")
    response.write(_serialised(error))
    response.flush_end()


def _xml(clusters: list[Cluster]) -> bytes:
    root = etree.Element("clusters", my_id=str(_clusters.get_self()))
    for cluster in clusters:
        element = etree.SubElement(root, "cluster", {key: str(value) for key, value in _head(cluster).items()})
        oldest = cluster.oldest_node()
        if oldest is not None:
            etree.SubElement(element, "oldest_node", uuid=str(oldest.id))
        for node in cluster.nodes():
            said = _node(node)
            etree.SubElement(
                element,
                "node",
                {name: str(said[name]) for name in ("id", "cn", "last_contact", "boot_time", "address", "port")},
            )
    return _serialised(root)


def _json(clusters: list[Cluster]) -> bytes:
    now = int(time.time())
    told: dict[str, Any] = {}
    for cluster in clusters:
        oldest = cluster.oldest_node()
        told[cluster.name] = {
            **_head(cluster),
            **({} if oldest is None else {"oldest_node": str(oldest.id)}),
            "nodes": [{**_node(each), "reference_time": now, "dead": each.dead} for each in cluster.nodes()],
        }
    return json.dumps({"my_id": str(_clusters.get_self()), "clusters": told}).encode() + b"\n"


def _head(cluster: Cluster) -> dict[str, Any]:
    spec = cluster.spec
    return {
        "name": spec.name,
        "seq": spec.seq,
        "port": spec.port,
        "period": round(spec.period * 1000),
        "timeout": round(spec.timeout * 1000),
        "maturity": round(spec.maturity * 1000),
    }


def _node(node: Node) -> dict[str, Any]:
    return {
        "id": str(node.id),
        "cn": node.cn,
        "last_contact": int(node.last_contact),
        "boot_time": node.boot_time // SECOND,
        "address": node.address,
        "port": node.port,
    }


def _serialised(root: "etree._Element") -> bytes:
    etree.indent(root)
    return b'<?xml version="1.0" encoding="utf8"?>\n' + etree.tostring(root, encoding="utf-8") + b"\n"
