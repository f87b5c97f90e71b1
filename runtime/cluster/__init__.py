"""Clusters: members that tell each other by heartbeats that they live, and agree on who owns which key.

A cluster is no consensus and no storage: each member sees the others on its own, and for moments they may disagree.
It says who is alive, who is the oldest, and which nodes own a key.  Manual: ``mtev_cluster_*``."""

from ._clusters import (
    NODE_UPDATE,
    by_name,
    check,
    clusters,
    enabled,
    get_self,
    init,
    reload,
    set_node_update_callback,
    set_self,
    start,
    stop,
    update,
)
from ._heartbeat import Heartbeat, Refused, decode, encode
from ._identity import boot_time
from ._members import CHANGED_PAYLOAD, CHANGED_SEQ, DIED, REBOOTED, Clock, Cluster, Node
from ._rest import mount
from ._ring import Ring
from ._spec import NodeSpec, Spec


def alive_filter(node: Node) -> bool:
    """Whether *node* lives, for :meth:`Cluster.filter_owners`.  Manual: ``mtev_cluster_alive_filter``."""
    return not node.dead


__all__ = [
    "CHANGED_PAYLOAD",
    "CHANGED_SEQ",
    "DIED",
    "NODE_UPDATE",
    "REBOOTED",
    "Clock",
    "Cluster",
    "Heartbeat",
    "Node",
    "NodeSpec",
    "Refused",
    "Ring",
    "Spec",
    "alive_filter",
    "boot_time",
    "by_name",
    "check",
    "clusters",
    "decode",
    "enabled",
    "encode",
    "get_self",
    "init",
    "mount",
    "reload",
    "set_node_update_callback",
    "set_self",
    "start",
    "stop",
    "update",
]
