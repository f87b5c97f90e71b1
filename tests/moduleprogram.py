"""The real program with a module and what it talks to, for tests that send Lua to it: ``run`` has a text run in its
only Lua state."""

from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from launching import Launched, free_port, general, web_module
from waiting import until

CONFIGURATION = """\
<cli>
  <eventer><config><concurrency>{threads}</concurrency></config></eventer>
  <logs>
    <console_output><outlet name="stderr"/><log name="error"/><log name="notice"/></console_output>
    {logs}
  </logs>
  <modules>
    {modules}
    {general}
    {web}
  </modules>
  <listeners>
    <listener type="http_rest_api" address="127.0.0.1" port="{port}"/>
    <listener type="mtev_console" address="127.0.0.1" port="{console}"/>
    {listeners}
  </listeners>
  <rest><acl>{acl}</acl></rest>
  {more}
</cli>
"""

WEB = """\
module(..., package.seeall)
heard = {}
function handler(rest)
  local http = rest:http()
  context = http
  local chunk, wrong = loadstring(http:request():payload())
  local fine, answer = false, wrong
  if chunk then fine, answer = pcall(chunk) end
  http:status(fine and 200 or 500, "OK")
  http:write(tostring(answer))
  http:flush_end()
end
"""

PATIENCE = 60.0


class Program(Launched):
    """The program in *directory*, with *modules* and *more* in its configuration; *engine* serves its requests, and
    *acl* says whose; *listeners* are more of them."""

    def __init__(
        self,
        directory: Path,
        modules: str,
        more: str = "",
        logs: str = "",
        threads: int = 1,
        engine: str = "lua",
        acl: str = '<rule type="allow"/>',
        listeners: str = "",
    ) -> None:
        self.directory = directory
        self.port, self.console = free_port(), free_port()
        (directory / "web.lua").write_text(WEB)
        (directory / "main.lua").write_text("module(..., package.seeall)\nfunction main() end\n")
        text = CONFIGURATION.format(
            general=general(directory),
            web=web_module(directory, f"<mount_web>web:POST:/:^run$</mount_web><engine>{engine}</engine>"),
            port=self.port,
            console=self.console,
            modules=modules,
            more=more,
            logs=logs,
            threads=threads,
            acl=acl,
            listeners=listeners,
        )
        (directory / "module.conf").write_text(text)

    def __enter__(self) -> "Program":
        self.launch("module.conf")
        self.await_port(self.port)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait for what the program brings about."""
        until(condition, self.errors)

    def run(self, lua: str) -> str:
        """What the Lua text *lua* returns."""
        request = Request(f"http://127.0.0.1:{self.port}/run", lua.encode(), method="POST")
        try:
            with urlopen(request, timeout=PATIENCE) as answer:
                return str(answer.read().decode())
        except HTTPError as refused:
            with refused:
                raise AssertionError(refused.read().decode()) from None

    def get(self, path: str) -> tuple[int, str]:
        """Status and body."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    def metric(self, name: str) -> float:
        """The sum of what ``/metrics`` has of *name*."""
        lines = self.get("/metrics")[1].splitlines()
        return sum(float(each.rpartition(" ")[2]) for each in lines if each.split("{")[0].split(" ")[0] == name)
