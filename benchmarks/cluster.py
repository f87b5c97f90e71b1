"""What a heartbeat costs: a member of a cluster of 100 nodes, with the datagrams of the other 99 on real sockets.

``benchmarks/cluster.py [SECONDS]`` prints the CPU of the member's process a heartbeat sent or received, start and
idle loop taken off."""

import multiprocessing
import resource
import socket
import sys
import time
from typing import Any
from uuid import UUID

NODES, PERIOD, KEY = 100, 0.2, b"a key for a hundred"


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def spec(port: int, others: int, period: float) -> Any:
    from runtime.cluster import NodeSpec, Spec

    nodes = tuple(
        NodeSpec(UUID(int=number + 1), f"node-{number}", f"127.0.2.{number + 1}", port if number == 0 else others)
        for number in range(NODES)
    )
    return Spec("hundred", KEY, 1, port, period, 2.0, 2.0, True, nodes)


def member(port: int, others: int, seconds: float, period: float, spoken: bool, out: Any) -> None:
    from runtime import cluster, eventer
    from runtime.cluster._post import Post

    made = cluster.Cluster(spec(port, others, period), UUID(int=1), cluster.boot_time, cluster.boot_time)
    eventer.pool_create("default", 1)
    eventer.start()
    post = Post(made, lambda _cluster, _update: None)
    if period or spoken:
        post.start()
    time.sleep(1.0)
    before, sent, received = cpu(), made.sent, made.received
    time.sleep(seconds)
    out.put((cpu() - before, made.sent - sent + made.received - received))
    post.close()
    eventer.stop()


def speakers(port: int, seconds: float) -> None:
    """The other 99, each from its address, spread over the period."""
    from runtime.cluster import Clock, Cluster

    sockets, clusters = [], []
    boot = int(time.time() * 1e6)
    for number in range(1, NODES):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((f"127.0.2.{number + 1}", 0))
        sockets.append(made)
        clusters.append(Cluster(spec(port, 9, PERIOD), UUID(int=number + 1), lambda n=number: boot + n, lambda: boot))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        for made, each in zip(sockets, clusters, strict=True):
            beat = each.beat(Clock(time.time(), time.monotonic()))
            assert beat is not None
            made.sendto(beat[0], ("127.0.2.1", port))
            time.sleep(max(0.0, PERIOD / NODES - 0.0005))
        time.sleep(max(0.0, began + PERIOD - time.monotonic()))


def measure(seconds: float, period: float, spoken: bool) -> tuple[float, int]:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free,
    ):
        sink.bind(("0.0.0.0", 0))
        free.bind(("127.0.2.1", 0))
        port, others = free.getsockname()[1], sink.getsockname()[1]
        free.close()
        out: multiprocessing.Queue[tuple[float, int]] = multiprocessing.Queue()
        processes = [multiprocessing.Process(target=member, args=(port, others, seconds, period, spoken, out))]
        if spoken:
            processes.append(multiprocessing.Process(target=speakers, args=(port, seconds + 2.5)))
        for each in processes:
            each.start()
        found = out.get()
        for each in processes:
            each.join()
    return found


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    idle, _ = measure(min(seconds, 10.0), 0.0, spoken=False)
    idle *= seconds / min(seconds, 10.0)
    for name, period, spoken in (("sent", PERIOD, False), ("received", 0.0, True), ("both", PERIOD, True)):
        used, beats = measure(seconds, period, spoken)
        print(
            f"{name:9} {beats:7} heartbeats in {seconds:g} s: {(used - idle) / max(beats, 1) * 1e6:5.1f} µs of CPU each"
        )
    print(f"idle loop: {idle / seconds * 1e3:.2f} ms a second")


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
