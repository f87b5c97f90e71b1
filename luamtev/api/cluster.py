"""Clusters for Lua: found by name, then asked by it.  Manual: mtev.cluster."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from luamtev.bridge import LuaError
from runtime import late

if TYPE_CHECKING:
    from luamtev.port import Port
    from runtime.cluster import Cluster


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/cluster.lua`` builds on."""
    return {
        "cluster_exists": lambda name: _find(name) is not None,
        "cluster_size": lambda name: _known(name).size,
        "cluster_oldest": lambda name: _known(name).am_i_oldest_node(),
        "cluster_owners": _owners,
        "cluster_own": lambda name, key, count: _counted(_known(name).do_i_own, key, count),
        "cluster_nodes": lambda name: [each.described() for each in _known(name).nodes()],
    }


def _find(name: bytes) -> "Cluster | None":
    clusters = late.imported("runtime.cluster")
    found: Cluster | None = None if clusters is None else clusters.by_name(name.decode("utf-8", "replace"))
    return found


def _known(name: bytes) -> "Cluster":
    found = _find(name)
    if found is None:
        raise LuaError(f"there is no cluster '{name.decode('utf-8', 'replace')}' any more")
    return found


def _owners(name: bytes, key: bytes, count: float) -> Any:
    return [each.described() for each in _counted(_known(name).owners, key, count)]


def _counted(ask: Callable[[bytes, int], Any], key: bytes, count: float) -> Any:
    try:
        return ask(key, int(count))
    except ValueError as mistake:
        raise LuaError(str(mistake)) from None
