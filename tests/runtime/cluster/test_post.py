"""Members that tell each other over real sockets that they live."""

from uuid import UUID

import pytest
from hearing import hear, wait_for
from launching import free_ports
from waiting import until

from runtime.cluster import Cluster, Node, NodeSpec, Spec, _clusters
from runtime.cluster._post import Post
from runtime.eventer import Pool

IDS = [UUID(int=number) for number in (1, 2)]


def test_what_hears_of_nodes_and_fails_keeps_no_member_from_being_heard(
    loops: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = free_ports(2)
    nodes = tuple(NodeSpec(each, f"node-{at}", "127.0.0.1", ports[at]) for at, each in enumerate(IDS))
    clusters = []
    posts = []
    for at, me in enumerate(IDS):
        spec = Spec("pair", b"the key", 1, ports[at], 0.05, 5.0, 0.0, True, nodes)
        clusters.append(Cluster(spec, me, lambda: 1_000_000, lambda: 2_000_000))
        posts.append(Post(clusters[-1], _clusters._tell))
    told = hear("error")

    def fail(_cluster: Cluster, node: Node, _flags: int, _before: int) -> None:
        raise KeyError(f"no {node.cn}")

    monkeypatch.setitem(_clusters._callbacks, "pair", fail)
    _clusters.NODE_UPDATE.register("test", lambda _flags, cluster, *rest: fail(cluster, *rest[:1], 0, 0))
    try:
        for each in posts:
            each.start()
        for each, cn in zip(clusters, ("node-1", "node-0"), strict=True):
            until(lambda each=each, cn=cn: any(node.cn == cn and not node.dead for node in each.nodes()), told)
        heard = [each.received for each in clusters]
        until(lambda: all(each.received > before + 3 for each, before in zip(clusters, heard, strict=True)), told)
        wait_for(told, "callback .*fail failed on .*")
        wait_for(told, "callback .*invoke failed on .*")
    finally:
        _clusters.NODE_UPDATE.unregister("test")
        for each in posts:
            each.close()
