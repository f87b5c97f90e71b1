"""A reverse connection beside a plain TLS relay (Debian's stunnel4) and a direct connection, in one run.

``benchmarks/reverse.py [ROUNDS]``: a service sends 256 MB, and answers 5,000 pings of 64 bytes, through each path in
turn; medians. Both relays are two processes and one TLS connection between client and service."""

import multiprocessing
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from certificates import Authority

SIZE = 256 << 20
PINGS = 5000


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as made:
        return int(made.getsockname()[1])


def serve(port: int) -> None:
    """The service: what it sends depends on the first byte."""

    def talk(sock: socket.socket) -> None:
        piece = b"x" * (1 << 18)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with sock:
            if sock.recv(1) == b"d":
                for _ in range(SIZE // len(piece)):
                    sock.sendall(piece)
                return
            while ping := sock.recv(64):
                sock.sendall(ping)

    with socket.create_server(("127.0.0.1", port), backlog=64) as listening:
        while True:
            threading.Thread(target=talk, args=(listening.accept()[0],), daemon=True).start()


def front(port: int, tls: dict[str, str]) -> None:
    from runtime import eventer, net
    from runtime.net import _commands, reverse
    from runtime.net._tls import Tls

    eventer.pool_create("default", 1)
    eventer.start()
    net.register_command(b"REVE", "reverse_accept/1.0", reverse.accept, None)
    _commands.set_guard(lambda _connection, _path: True)
    net.open_listener("control_dispatch", "127.0.0.1", port, tls=Tls(tls)).start()
    threading.Event().wait()


def behind(port: int, local: int, proxy: int, tls: dict[str, str]) -> None:
    from runtime import eventer
    from runtime.net import reverse

    eventer.pool_create("default", 1)
    eventer.start()
    config = {"local_port": str(local), "xbind": f"127.0.0.1 {proxy}", "reconnect_initial_interval": "100"}
    reverse.start("127.0.0.1", port, tls, config)
    threading.Event().wait()


def stunnel(directory: Path, service: int, tls: dict[str, str]) -> tuple[int, list["subprocess.Popen[bytes]"]]:
    entry, middle = free_port(), free_port()
    common = "foreground = yes\npid =\ndebug = 0\nsocket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n"
    (directory / "client.conf").write_text(
        f"{common}[relay]\nclient = yes\naccept = 127.0.0.1:{entry}\nconnect = 127.0.0.1:{middle}\n"
    )
    (directory / "server.conf").write_text(
        f"{common}[relay]\naccept = 127.0.0.1:{middle}\nconnect = 127.0.0.1:{service}\n"
        f"cert = {tls['certificate_file']}\nkey = {tls['key_file']}\n"
    )
    return entry, [
        subprocess.Popen(["stunnel4", str(directory / name)], stderr=subprocess.DEVNULL)
        for name in ("server.conf", "client.conf")
    ]


def connected(port: int) -> socket.socket:
    deadline = time.monotonic() + 20
    while True:
        try:
            sock = socket.create_connection(("127.0.0.1", port), 20)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def download(port: int) -> float:
    """MB a second."""
    with connected(port) as sock:
        began = time.perf_counter()
        sock.sendall(b"d")
        got = 0
        while piece := sock.recv(1 << 18):
            got += len(piece)
        assert got == SIZE, got
        return SIZE / 1e6 / (time.perf_counter() - began)


def ping(port: int) -> float:
    """Microseconds a round trip, the median of one connection."""
    taken = []
    with connected(port) as sock:
        sock.sendall(b"p")
        for _ in range(PINGS):
            began = time.perf_counter()
            sock.sendall(b"y" * 64)
            got = 0
            while got < 64:
                got += len(sock.recv(64))
            taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e6


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        authority = Authority(directory)
        ca = {"ca_chain": str(authority.issued.certificate)}
        tls = {
            each: {"certificate_file": str(issued.certificate), "key_file": str(issued.key)} | ca
            for each in ("front", "node")
            for issued in [authority.issue(each)]
        }
        service, middle, proxy = free_port(), free_port(), free_port()
        processes: list[Any] = [
            multiprocessing.Process(target=serve, args=(service,), daemon=True),
            multiprocessing.Process(target=front, args=(middle, tls["front"]), daemon=True),
            multiprocessing.Process(target=behind, args=(middle, service, proxy, tls["node"]), daemon=True),
        ]
        for each in processes:
            each.start()
        entry, relays = stunnel(directory, service, tls["front"])
        try:
            report({"direct": service, "stunnel4": entry, "reverse": proxy}, rounds)
        finally:
            for process in relays:
                process.kill()
                process.wait()


def report(paths: dict[str, int], rounds: int) -> None:
    measures: dict[str, Callable[[int], float]] = {"MB/s": download, "µs a round trip": ping}
    for unit, measure in measures.items():
        found: dict[str, list[float]] = {name: [] for name in paths}
        for _ in range(rounds):
            for name, port in paths.items():
                found[name].append(measure(port))
        medians = {name: statistics.median(values) for name, values in found.items()}
        for name, value in medians.items():
            print(f"{name:10} {value:8.0f} {unit}  {value / medians['stunnel4']:.2f} of stunnel4")


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
