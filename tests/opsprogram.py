"""The real program with everything an operator looks at, for tests that look."""

import contextlib
import json
import threading
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from launching import Launched, free_port, general, web_module

CONFIGURATION = """\
<cli>
  <eventer><config><concurrency>1</concurrency><loop_ops>1</loop_ops>{eventer}</config></eventer>
  <logs>
    <log name="internal" type="memory" path="1000,1000000"/>
    <console_output><outlet name="stderr"/><outlet name="internal"/><log name="error"/></console_output>
    <log name="demo" disabled="true"><outlet name="internal"/></log>
    {logs}
  </logs>
  <modules directory="{directory}">
    {modules}
    {general}
    {web_module}
  </modules>
  <listeners>
    <listener type="http_rest_api" address="127.0.0.1" port="{web}"/>
    <listener type="http_rest_api" address="127.0.0.1" port="{port}" fanout="true" fanout_pool="ops"/>
    <listener type="mtev_console" address="127.0.0.1" port="{console}" fanout="true" fanout_pool="ops"/>
  </listeners>
  <ops><config>{ops}</config></ops>
  <rest><acl>{acl}</acl></rest>
</cli>
"""

WEB = """\
module(..., package.seeall)
kept, stuck = {}, {}
local function spin(seconds)
  local stop = mtev.timeval.now():seconds() + seconds
  while mtev.timeval.now():seconds() < stop do end
end
function handler(rest)
  local http = rest:http()
  local request = http:request()
  local uri = request:uri()
  if uri:find("/say$") then
    for text in pairs(request:querystring()) do mtev.log("error", "%s\\n", (text:gsub("+", " "))) end
  elseif uri:find("/spin$") then
    spin(0.05)
  elseif uri:find("/stuck$") then
    while not io.open("enough") do end
  elseif uri:find("/leak%-socket$") then
    local port = tonumber((next(request:querystring())))
    kept[#kept + 1] = true
    mtev.coroutine_spawn(function()
      local s = mtev.socket("inet")
      s:connect("127.0.0.1", port)
      mtev.waitfor("socket " .. #kept)
      s:close()
    end)
  elseif uri:find("/leak%-many$") then
    mtev.coroutine_spawn(function()
      local many = {}
      for i = 1, 400 do many[i] = mtev.socket("inet", "udp") end
      mtev.waitfor("many sockets")
    end)
  elseif uri:find("/leak%-coroutine$") then
    stuck[#stuck + 1] = true
    mtev.coroutine_spawn(function() mtev.waitfor("an answer that never comes " .. #stuck) end)
  end
  http:status(200, "OK")
  http:write("done\\n")
  http:flush_end()
end
"""

MAIN = """\
module(..., package.seeall)
function main()
  mtev.coroutine_spawn(function() mtev.waitfor("<img src=x onerror=alert(1)>") end)
  while true do mtev.sleep(5) end
end
"""


class Ops(Launched):
    """The program; ``port`` leads to the loop of its own, ``web`` to the loop that works, ``console`` to a console."""

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        acl: str = '<rule type="allow"/>',
        ops: str = "",
        logs: str = "",
        **rest: str,
    ) -> None:
        self.directory = directory
        self.port, self.web, self.console = (port or free_port(), free_port(), free_port())
        (directory / "web.lua").write_text(WEB)
        (directory / "main.lua").write_text(rest.get("main", MAIN))
        (directory / "ops.conf").write_text(
            CONFIGURATION.format(
                directory=directory,
                general=general(directory),
                web_module=web_module(directory, "<mount_web>web:GET:/web/</mount_web>"),
                port=self.port,
                web=self.web,
                console=self.console,
                acl=acl,
                ops=ops,
                logs=logs,
                eventer=rest.get("eventer", ""),
                modules=rest.get("modules", ""),
            )
        )

    def start(self) -> "Ops":
        self.launch("ops.conf")
        for port in (self.web, self.port, self.console):
            self.await_port(port)
        return self

    def text(self, path: str, timeout: float = 30) -> str:
        port = self.web if path.startswith(("/web/", "/nothing")) else self.port
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout) as answer:
            return str(answer.read().decode())

    def json(self, path: str) -> Any:
        return json.loads(self.text(path))

    def status(self, path: str) -> int:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            refused.close()
            return refused.code

    def samples(self, name: str) -> dict[str, float]:
        """The samples of a metric by their labels as they stand there."""
        found = {}
        for line in self.text("/metrics").splitlines():
            if line.startswith((name + "{", name + " ")):
                labels, _, value = line.removeprefix(name).rpartition(" ")
                found[labels] = float(value)
        return found

    def answers(self, route: str) -> int:
        """How many answers of class 2xx a route gave."""
        wanted = route.replace("\\", "\\\\")
        found = self.samples("mtev_http_requests_total")
        return int(sum(value for labels, value in found.items() if f'route="{wanted}"' in labels and "2xx" in labels))

    @contextlib.contextmanager
    def spinning(self) -> Iterator[None]:
        """Meanwhile a handler that uses CPU is asked for, over and over."""
        enough = threading.Event()

        def run() -> None:
            while not enough.is_set():
                self.text("/web/spin")

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            enough.set()
            thread.join()
