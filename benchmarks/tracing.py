"""What tracing costs: ``benchmarks/tracing.py [--http2] [--seconds N] [--rounds N] [--before DIRECTORY] [--rows N]``.

A Lua handler on one loop thread: requests a second, and CPU of the server, threads
that export with it, by request.  Rows are taken in turn, medians of all rounds.  ``--before`` is a checkout of the
program to compare the first row with.  It wants wrk, with ``--http2`` h2load.
"""

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parents[1]

CONFIGURATION = """\
<cli>
  <eventer><config><concurrency>1</concurrency></config></eventer>
  <logs><console_output><outlet name="stderr"/><log name="error"/></console_output></logs>
  {tracing}
  <modules>
    {exporter}
    <generic image="lua_mtev" name="lua_general"><config><directory>{directory}/?.lua;{{package.path}}</directory>
      <lua_module>main</lua_module><lua_function>main</lua_function></config></generic>
    <generic image="lua_mtev" name="lua_web"><config><directory>{directory}/?.lua;{{package.path}}</directory>
      <mount_get>web:GET:/:^hello$</mount_get><engine>{engine}</engine></config></generic>
  </modules>
  <listeners><listener type="http_rest_api" address="127.0.0.1" port="{port}"/></listeners>
  <rest><acl><rule type="allow"/></acl></rest>
</cli>
"""

WEB = """\
module(..., package.seeall)
function handler(rest)
  local http = rest:http()
  http:header("Content-Type", "text/plain")
  http:write("Hello World")
  http:flush_end()
end
"""

EXPORTER = """<generic image="{name}" name="{name}"><config>{config}</config></generic>"""


class Row(NamedTuple):
    """One way to serve: *new*, the probability of a request to be traced, None for no tracing at all."""

    label: str
    new: float | None = None
    parented: float = 0.0
    exporter: str = "zipkin_otlp"
    engine: str = "lua"
    tree: Path = HERE


class Collector(BaseHTTPRequestHandler):
    """Takes everything."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read and forget."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Quietly."""


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        return int(made.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def asked(port: int, seconds: float, http2: bool) -> tuple[float, int]:
    """Have requests asked: how many a second were, and how many in all."""
    load = ["h2load", "-c8", "-m16", "-D"] if http2 else ["wrk", "-t1", "-c16", "-d"]
    command = [*load, str(max(1, round(seconds))), f"http://127.0.0.1:{port}/hello"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or (http2 and not re.search(r"requests: .* 0 failed", output)):
        raise SystemExit(output)
    rate = re.search(r"([\d.]+) req/s|Requests/sec:\s+([\d.]+)", output)
    count = re.search(r"(\d+) done|(\d+) requests in", output)
    assert rate is not None and count is not None
    return float(rate[1] or rate[2]), int(count[1] or count[2])


def measured(row: Row, directory: Path, collector: int, seconds: float, http2: bool) -> tuple[float, float]:
    """Requests a second, and microseconds of CPU a request."""
    port = free_port()
    tracing = exporter = ""
    if row.new is not None:
        tracing = f'<zipkin><probability new="{row.new}" parented="{row.parented}" debug="0"/></zipkin>'
        url = f"<url>http://127.0.0.1:{collector}/v1/traces</url>"
        config = url if row.exporter == "zipkin_otlp" else f"<port>{collector}</port>"
        exporter = EXPORTER.format(name=row.exporter, config=config + "<backlog>100000</backlog>")
    file = directory / "tracing.conf"
    file.write_text(
        CONFIGURATION.format(tracing=tracing, exporter=exporter, directory=directory, port=port, engine=row.engine)
    )
    command = [sys.executable, "-m", "luamtev", "-c", str(file), str(directory / "main.lua")]
    server = subprocess.Popen(command, cwd=row.tree, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                break
            except ConnectionError:
                if time.monotonic() > deadline or server.poll() is not None:
                    raise
                time.sleep(0.02)
        for duration in (0.5, seconds):  # the first time LuaJIT compiles
            before = cpu_seconds(server.pid)
            rate, count = asked(port, duration, http2)
            spent = cpu_seconds(server.pid) - before
        return rate, spent / count * 1e6
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Print a row of Markdown for each way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--rows", type=int, help="the first so many only")
    parser.add_argument("--http2", action="store_true", help="8 connections of 16 streams")
    given = parser.parse_args()
    needed = "h2load" if given.http2 else "wrk"
    if shutil.which(needed) is None:
        raise SystemExit(f"benchmarks/tracing.py needs {needed}")
    rows = [Row("no tracing")] if given.before is None else [Row("before", tree=given.before), Row("no tracing")]
    rows += [
        Row("0 %", 0.0),
        Row("no tracing, served by Python", engine="python"),
        Row("0 %, traces of others are looked for", 0.0, 1.0),
        Row("1 %", 0.01),
        Row("100 %, OTLP", 1.0),
        Row("100 %, Thrift", 1.0, exporter="zipkin_jaeger"),
    ]
    del rows[given.rows or len(rows) :]
    collector = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    figures: dict[Row, list[tuple[float, float]]] = {row: [] for row in rows}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "web.lua").write_text(WEB)
        (directory / "main.lua").write_text("module(..., package.seeall)\nfunction main() end\n")
        for _ in range(given.rounds):
            for row in rows:
                figures[row].append(
                    measured(row, directory, int(collector.server_address[1]), given.seconds, given.http2)
                )
    print("| | requests a second | CPU a request, µs |\n| --- | --- | --- |")
    for row, taken in figures.items():
        rates, costs = zip(*taken, strict=True)
        print(f"| {row.label} | {statistics.median(rates):,.0f} | {statistics.median(costs):.1f} |")


if __name__ == "__main__":
    main()
