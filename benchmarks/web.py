"""Lua web services under load, beside an older build and beside nginx with its Lua module, all in one run.

    python benchmarks/web.py [--compare DIRECTORY] [--rounds N] [--seconds S] [--only ROW ...]

*DIRECTORY* is a checkout of another version with its ``.venv``.  Every round measures each of them in turn, so that
what else the machine does hits all alike; figures are medians of the rounds.  Run by ``chrt -r 20``, as root, nothing
else on the machine gets between server and client.  It wants wrk, h2load, luajit and openssl, and apt-get and dpkg for
nginx, which is unpacked into a temporary folder and not installed.

wrk takes about as much CPU a request as the quickest of the servers, and so says little of how quick that one is.  The
row "hello, lighter client" is the same work asked for by ask.lua.
"""

import argparse
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import nginx

HERE = Path(__file__).parent.resolve()
CONFIGURATION = """\
<cli>
  <eventer><config>
    <concurrency>{threads}</concurrency><rlim_nofiles>100000</rlim_nofiles>
  </config></eventer>
  <logs>
    <console_output><outlet name="stderr"/><log name="error"/></console_output>
    <log name="http/access" type="file" path="{directory}/access.log"/>
  </logs>
  <modules>
    <generic image="lua_mtev" name="lua_general">
      <config><lua_module>idle</lua_module><lua_function>main</lua_function></config>
    </generic>
    <generic image="lua_mtev" name="lua_web">
      <config>
        <directory>{here}/web/?.lua;{{package.path}}</directory>
        <mount_hello>hello_web:GET:/:^hello$</mount_hello>
        <mount_json>json_web:POST:/:^json$</mount_json>
        <mount_file>file_web:GET:/:^file$</mount_file>
        <mount_spin>spin_web:GET:/:^spin$</mount_spin>
      </config>
    </generic>
  </modules>
  <listeners>
    <listener type="http_rest_api" address="127.0.0.1" port="{plain}" fanout="true">
      <config><document_root>{directory}</document_root></config>
    </listener>
    <listener type="http_rest_api" address="127.0.0.1" port="{tls}" fanout="true" ssl="on">
      <sslconfig><certificate_file>{certificate}</certificate_file><key_file>{key}</key_file></sslconfig>
      <config><document_root>{directory}</document_root></config>
    </listener>
  </listeners>
  <rest><acl><rule type="allow"/></acl></rest>
</cli>
"""
POST = 'wrk.method = "POST" wrk.body = \'{"name": "a name", "values": [1, 2, 3, 4.5], "nested": {"a": null}}\'\n'
TICK = os.sysconf("SC_CLK_TCK")
IDLE = 4000
"""Connections that are opened to see what an idle one costs."""
CROWD = 10_000
"""Connections that are idle while 1,000 others ask."""


class Figure(NamedTuple):
    """What one run says: requests a second, the 99th percentile in milliseconds, CPU of the server in µs a request."""

    rate: float
    late: float
    cpu: float
    busiest: float = 0.0
    """CPU of the busiest thread, likewise."""


class Server:
    """A server under test."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", ports: dict[str, int]) -> None:
        self.name = name
        self.process = process
        self.ports = ports
        self.pid = process.pid
        await_port(ports["plain"])
        workers = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        if name == "nginx":
            self.pid = int(workers[0])
        self.await_rest()

    def await_rest(self) -> None:
        """Wait until the start is over: what is imported late is imported for half a minute, a little at a time."""
        for _ in range(30):
            before = sum(self.threads().values())
            time.sleep(3)
            if sum(self.threads().values()) == before:
                return

    def threads(self) -> dict[str, float]:
        """CPU seconds by thread."""
        found = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            found[task.name] = (int(fields[11]) + int(fields[12])) / TICK
        return found

    def resident(self) -> int:
        """Bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    def stop(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def free_ports() -> dict[str, int]:
    held = {name: socket.create_server(("127.0.0.1", 0)) for name in ("plain", "tls", "h2c")}
    ports = {name: each.getsockname()[1] for name, each in held.items()}
    for each in held.values():
        each.close()
    return ports


def await_port(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("nobody listens")


def luamtev(name: str, checkout: Path, directory: Path, certificate: Path, key: Path, threads: int = 1) -> Server:
    """The version in *checkout*, serving."""
    directory.mkdir()
    (directory / "file.txt").write_bytes(b"x" * 4096)
    (directory / "idle.lua").write_text("module(..., package.seeall)\nfunction main() end\n")
    ports = free_ports()
    text = CONFIGURATION.format(
        directory=directory, here=HERE, threads=threads, certificate=certificate, key=key, **ports
    )
    (directory / "web.conf").write_text(text)
    python = checkout / ".venv/bin/python"
    process = subprocess.Popen([python, "-m", "luamtev", "-c", "web.conf", "idle.lua"], cwd=directory)
    return Server(name, process, ports | {"h2c": ports["plain"]})


def wrk(server: Server, path: str, seconds: int, tls: bool = False, script: str | None = None) -> Figure:
    url = f"{'https' if tls else 'http'}://127.0.0.1:{server.ports['tls' if tls else 'plain']}{path}"
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "--latency", url]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        if script is not None:
            file.write(script)
            file.flush()
            command[1:1] = ["-s", file.name]
        output, spent = under_load(server, command)
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(f"{server.name} {path}\n{output}")
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", output).groups()  # type: ignore[union-attr]
    requests = int(re.search(r"(\d+) requests in", output)[1])  # type: ignore[index]
    rate = float(output.partition("Requests/sec:")[2].split()[0])
    late = float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
    return Figure(rate, late, 1e6 * sum(spent) / requests, 1e6 * max(spent) / requests)


def ask(server: Server, path: str, seconds: int) -> Figure:
    """What wrk is told above, asked by a client that takes less CPU a request."""
    command = ["luajit", HERE / "ask.lua", server.ports["plain"], path, 32, seconds]
    output, spent = under_load(server, [str(each) for each in command])
    requests, rate, late = output.split()
    return Figure(float(rate), float(late), 1e6 * sum(spent) / int(requests), 1e6 * max(spent) / int(requests))


def h2load(server: Server, path: str, seconds: int, tls: bool = False) -> Figure:
    url = f"{'https' if tls else 'http'}://127.0.0.1:{server.ports['tls' if tls else 'h2c']}{path}"
    return h2loaded(server, ["-c8", "-m16", f"-D{seconds}", url])


def h2loaded(server: Server, options: list[str]) -> Figure:
    output, spent = under_load(server, ["h2load", *options])
    done, failed = re.search(r"(\d+) succeeded, (\d+) failed", output).groups()  # type: ignore[union-attr]
    if int(failed) or not int(done):
        raise SystemExit(f"{server.name} {options}\n{output}")
    rate = float(re.search(r"finished in [\d.]+m?s, ([\d.]+) req/s", output)[1])  # type: ignore[index]
    return Figure(rate, 0.0, 1e6 * sum(spent) / int(done), 1e6 * max(spent) / int(done))


def under_load(server: Server, command: list[str]) -> tuple[str, list[float]]:
    """What *command* says, and CPU seconds of the server's threads meanwhile."""
    before = server.threads()
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return output, [spent - before.get(name, 0.0) for name, spent in server.threads().items()]


def idle(server: Server, kind: str) -> float:
    """Resident bytes of an idle connection that has had one answer.  *server* has served nobody before."""
    held: list[socket.socket] = []
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    trust.set_alpn_protocols(["h2"] if kind == "h2" else ["http/1.1"])

    def open_all(count: int) -> None:
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", server.ports["plain" if kind == "plain" else "tls"]))
            if kind != "plain":
                sock = trust.wrap_socket(sock)
            if kind == "h2":
                sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04" + bytes(5))
            else:
                sock.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            sock.recv(4096)
            held.append(sock)

    open_all(200)
    before = server.resident()
    open_all(IDLE)
    cost = (server.resident() - before) / IDLE
    for each in held:
        each.close()
    time.sleep(0.2)
    return cost


def crowd(server: Server, seconds: int) -> str:
    """What becomes of 1,000 connections that ask while 10,000 are idle."""
    wanted = CROWD + 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return f"not tried: this process may have {hard} descriptors, and needs {wanted}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    before = server.resident()
    held = [socket.create_connection(("127.0.0.1", server.ports["plain"])) for _ in range(CROWD)]
    try:
        ask_all(held)
        cost = (server.resident() - before) / CROWD
        command = [
            "wrk",
            "-t1",
            "-c1000",
            f"-d{seconds}s",
            "--latency",
            f"http://127.0.0.1:{server.ports['plain']}/hello",
        ]
        output, spent = under_load(server, command)
        if "Non-2xx" in output or "Socket errors" in output:
            raise SystemExit(output)
        requests = int(re.search(r"(\d+) requests in", output)[1])  # type: ignore[index]
        ask_all(held)
    finally:
        for each in held:
            each.close()
    return (
        f"{cost:,.0f} bytes an idle connection; {requests / seconds:,.0f} requests a second of 1,000 others,"
        f" {1e6 * sum(spent) / requests:.1f} CPU µs a request; all {CROWD:,} answered afterwards"
    )


def ask_all(held: list[socket.socket]) -> None:
    """Have each one request answered."""
    for each in held:
        each.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
    for each in held:
        if not each.recv(4096).startswith(b"HTTP/1.1 200"):
            raise SystemExit("an idle connection was lost")


Measure = Callable[[Server, int], Figure]
ROWS: dict[str, tuple[Measure, bool]] = {
    "hello": (lambda server, seconds: wrk(server, "/hello", seconds), True),
    "hello, lighter client": (lambda server, seconds: ask(server, "/hello", seconds), True),
    "hello over TLS": (lambda server, seconds: wrk(server, "/hello", seconds, tls=True), True),
    "hello, HTTP/2": (lambda server, seconds: h2load(server, "/hello", seconds), True),
    "hello, HTTP/2 over TLS": (lambda server, seconds: h2load(server, "/hello", seconds, tls=True), True),
    "JSON echo": (lambda server, seconds: wrk(server, "/json", seconds, script=POST), False),
    "file of 4 KB": (lambda server, seconds: wrk(server, "/file", seconds), False),
}
"""What is measured, and whether nginx does it too."""


def medians(figures: list[Figure]) -> Figure:
    return Figure(*(statistics.median(values) for values in zip(*figures, strict=True)))


def compare(servers: list[Server], rounds: int, seconds: int, only: list[str]) -> None:
    names = [each.name for each in servers]
    print("| requests a second |", " | ".join(names), "| to", " | to ".join(names[1:]), "| p99 ms | CPU µs |")
    print("| --- |" + " --- |" * (2 * len(names) + 1))
    for row, (measure, everywhere) in ROWS.items():
        if only and row not in only:
            continue
        found: dict[str, list[Figure]] = {each.name: [] for each in servers if everywhere or each.name != "nginx"}
        for _ in range(rounds):
            for each in servers:
                if each.name in found:
                    found[each.name].append(measure(each, seconds))
        middle = {name: medians(figures) for name, figures in found.items()}
        rates = [f"{middle[name].rate:,.0f}" if name in middle else "" for name in names]
        ratios = [f"{middle[names[0]].rate / middle[name].rate:.2f}" if name in middle else "" for name in names[1:]]
        late = " / ".join(f"{each.late:.2f}" for each in middle.values()) if middle[names[0]].late else ""
        cpu = " / ".join(f"{each.cpu:.1f}" for each in middle.values())
        print("|", " | ".join([row, *rates, *ratios, late, cpu]), "|", flush=True)


def compare_threads(one: Server, two: Server, rounds: int, seconds: int) -> None:
    """Each connection asks as often as any other: wrk lets the thread that the machine holds up less serve more."""
    for path, count in (("/hello", 80_000 * seconds), ("/spin", 12_000 * seconds)):
        found: dict[Server, list[Figure]] = {one: [], two: []}
        for _ in range(rounds):
            for each, figures in found.items():
                url = f"http://127.0.0.1:{each.ports['plain']}{path}"
                figures.append(h2loaded(each, ["--h1", "-c32", f"-n{count}", url]))
        single, double = medians(found[one]), medians(found[two])
        print(
            f"{path}: CPU a request {single.cpu:.1f} µs with one loop thread, {double.cpu:.1f} with two"
            f" ({double.cpu / single.cpu:.2f}); busiest thread {double.busiest / single.busiest:.2f} of one;"
            f" {single.rate:,.0f} and {double.rate:,.0f} requests a second",
            flush=True,
        )


def python_hello(checkouts: dict[str, Path], rounds: int, seconds: int) -> None:
    found: dict[str, list[float]] = {name: [] for name in checkouts}
    for _ in range(rounds):
        for name, checkout in checkouts.items():
            command = [checkout / ".venv/bin/python", checkout / "benchmarks/http1.py", str(seconds)]
            output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=checkout).stdout
            found[name].append(float(re.search(r"/hello (\d+)", output)[1]))  # type: ignore[index]
    print("hello in Python:", ", ".join(f"{name} {statistics.median(rates):,.0f}" for name, rates in found.items()))


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--compare", type=Path, help="a checkout of another version, with its .venv")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument(
        "--only", nargs="*", default=[], help=f"rows: {', '.join(ROWS)}, crowd, threads, memory, python"
    )
    parser.add_argument("--cache", type=Path, help="a folder to keep nginx in")
    options = parser.parse_args()
    for tool in ("wrk", "h2load", "luajit", "openssl"):
        if shutil.which(tool) is None:
            raise SystemExit(f"benchmarks/web.py needs {tool}")
    with tempfile.TemporaryDirectory() as temporary:
        run(options, Path(temporary))


def run(options: argparse.Namespace, directory: Path) -> None:
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    checkouts = {"here": HERE.parent}
    if options.compare is not None:
        checkouts["before"] = options.compare.resolve()
    wanted: list[str] = options.only
    servers: list[Server] = []
    try:
        for name, checkout in checkouts.items():
            servers.append(luamtev(name, checkout, directory / name, certificate, key))
        root = nginx.unpacked(options.cache or directory)
        if root is not None:
            ports = free_ports()
            process = nginx.start(root, directory / "run", ports, certificate, key)
            servers.append(Server("nginx", process, ports))
        if not wanted or set(wanted) & ROWS.keys():
            compare(servers, options.rounds, options.seconds, [each for each in wanted if each in ROWS])
        if not wanted or "memory" in wanted:
            for kind in ("plain", "TLS", "h2"):
                costs = []
                for name, checkout in checkouts.items():
                    fresh = luamtev(name, checkout, directory / f"{name} {kind}", certificate, key)
                    costs.append(f"{name} {idle(fresh, kind):,.0f}")
                    fresh.stop()
                print(f"resident bytes of an idle connection, {kind}:", ", ".join(costs), flush=True)
            print("resident MB:", ", ".join(f"{each.name} {each.resident() / 1e6:.1f}" for each in servers), flush=True)
        if not wanted or "crowd" in wanted:
            print("10,000 idle connections:", crowd(servers[0], options.seconds), flush=True)
        if not wanted or "threads" in wanted:
            two = luamtev("here, two threads", HERE.parent, directory / "two", certificate, key, threads=2)
            servers.append(two)
            compare_threads(servers[0], two, options.rounds, options.seconds)
    finally:
        for each in servers:
            each.stop()
    if not wanted or "python" in wanted:
        python_hello(checkouts, options.rounds, options.seconds)


if __name__ == "__main__":
    sys.exit(main())
