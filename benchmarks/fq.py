"""Publishing to fq from Lua beside a bare ``send`` of the same bytes by a Lua socket, one a message, in one run.

``benchmarks/fq.py [ROUNDS [MESSAGES]]``: both go to a process that only counts bytes. CPU is that of the program less
that of one that sends nothing; medians."""

import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fqbroker import Broker

PAYLOAD = 200
FRAME = 1 + 3 + 1 + 5 + 16 + 4 + PAYLOAD
WAYS = ("nothing", "send", "fq")

CONFIGURATION = """\
<cli>
  <logs><console_output><outlet name="stderr"/><log name="error"/></console_output></logs>
  <modules>
    <generic image="fq" name="fq"/>
    <generic image="lua_mtev" name="lua_general">
      <config><directory>{directory}/?.lua;{{package.path}}</directory><lua_module>main</lua_module>
        <lua_function>main</lua_function></config>
    </generic>
  </modules>
  <network><mq type="fq"><host>127.0.0.1</host><port>{port}</port></mq></network>
</cli>
"""

LUA = """\
module(..., package.seeall)
local way, count, port = "{way}", {count}, {plain}
local payload = ("x"):rep({payload})
local frame = "\\3exc\\5route" .. ("\\0"):rep(16) .. "\\0\\0\\0" .. string.char({payload}) .. payload
function main()
  local s = mtev.socket("inet")
  assert(s:connect("127.0.0.1", port) == 0)
  mtev.sleep(0.5)
  for i = 1, way == "nothing" and 0 or count do
    if way == "send" then
      local sent = s:send(frame)
      while sent < #frame do sent = sent + s:send(frame:sub(sent + 1)) end
    else
      while mtev.fq.send("exc", "route", payload) == 0 do mtev.sleep(0.001) end
    end
    if i % 100 == 0 then mtev.sleep(0) end
  end
  mtev.sleep(1000)
end
"""


class Sink(Broker):
    """A broker that counts the bytes of messages and looks at none."""

    def __init__(self, counted: Any) -> None:
        self.counted = counted
        super().__init__()

    def _data(self, sock: socket.socket, take: Any) -> None:
        session = self.sessions[take.text()]
        session.data = sock
        _count(sock, self.counted)


def _count(sock: socket.socket, counted: Any) -> None:
    piece = bytearray(1 << 20)
    while size := sock.recv_into(piece):
        counted.value += size


def sink(counted: Any, ports: Any) -> None:
    """Both sinks, in a process of their own."""
    broker = Sink(counted)
    with socket.create_server(("127.0.0.1", 0)) as plain:
        ports.put((broker.port, plain.getsockname()[1]))
        while True:
            _count(plain.accept()[0], counted)


def measure(way: str, count: int, directory: Path, ports: tuple[int, int], counted: Any) -> tuple[float, float]:
    """CPU seconds, and seconds from the first byte to the last."""
    text = LUA.format(way=way, count=count, plain=ports[1], payload=PAYLOAD)
    (directory / "main.lua").write_text(text)
    (directory / "fq.conf").write_text(CONFIGURATION.format(directory=directory, port=ports[0]))
    counted.value = 0
    process = subprocess.Popen([sys.executable, "-m", "luamtev", "-c", "fq.conf", "main.lua"], cwd=directory)
    wanted = 0 if way == "nothing" else count * FRAME
    time.sleep(2.0 if way == "nothing" else 0)
    began = 0.0
    while counted.value < wanted:
        if counted.value and not began:
            began = time.monotonic()
        time.sleep(0.002)
        if began and time.monotonic() - began > 120:
            raise SystemExit(f"{way}: {counted.value} of {wanted} bytes came")
    took = time.monotonic() - began
    process.send_signal(signal.SIGTERM)
    _, _, used = os.wait4(process.pid, 0)
    return used.ru_utime + used.ru_stime, took


def main() -> None:
    """Print the figures."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 300_000
    counted = multiprocessing.Value("q", 0, lock=False)
    queue: Any = multiprocessing.Queue()
    multiprocessing.Process(target=sink, args=(counted, queue), daemon=True).start()
    ports = queue.get(timeout=30)
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as name:
        for _ in range(rounds):
            for way in WAYS:
                found[way].append(measure(way, count, Path(name), ports, counted))
    idle = statistics.median(cpu for cpu, _ in found["nothing"])
    bare = statistics.median(cpu for cpu, _ in found["send"]) - idle
    for way in WAYS[1:]:
        cpu = statistics.median(each for each, _ in found[way]) - idle
        rate = count / statistics.median(each for _, each in found[way])
        print(f"{way:6} {cpu / count * 1e6:6.2f} us CPU a message ({cpu / bare:.2f}), {rate:10,.0f} messages a second")


if __name__ == "__main__":
    main()
