"""The real program with a web module, for tests that ask it."""

import http.client
import os
import re
import socket
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launching import Launched, general, web_module
from measuring import SETTLED
from wsproto import ConnectionType, WSConnection
from wsproto import events as ws

if TYPE_CHECKING:
    from certificates import Issued


def secure_listener(port: int, issued: "Issued", config: str = "") -> str:
    """A listener on *port* that shows *issued*, with more of its *config*, for :meth:`Web.start`."""
    return f"""<listener type="http_rest_api" address="127.0.0.1" port="{port}" ssl="on"><sslconfig>
      <certificate_file>{issued.certificate}</certificate_file><key_file>{issued.key}</key_file></sslconfig>
      <config>{config}</config></listener>"""


CONFIGURATION = """\
<cli>
  <eventer><config><concurrency>{threads}</concurrency>{eventer}</config></eventer>
  <logs>
    <console_output><outlet name="stderr"/><log name="error"/></console_output>
    <log name="http/access" type="file" path="{directory}/access.log"/>
  </logs>
  <modules>
    {general}
    {web}
  </modules>
  <listeners>
    <listener type="http_rest_api" address="127.0.0.1" port="{port}" fanout="true">
      <config><document_root>{directory}/files</document_root><key>of the listener</key>{listener}</config>
    </listener>
    {listeners}
  </listeners>
  <rest>{acl}</rest>
</cli>
"""

ACL = '<acl><rule type="deny" url="^/denied"/><rule type="allow"/></acl>'


@dataclass
class Reply:
    status: int
    reason: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Web(Launched):
    """The program with a web module."""

    directory: Path
    port: int
    engine: str = "lua"
    listener: str = ""
    settled: bool = False

    def start(
        self,
        source: str,
        web: str = "",
        threads: int = 1,
        eventer: str = "",
        acl: str = ACL,
        listeners: str = "",
        settled: bool = False,
        **modules: str,
    ) -> "Web":
        """Write *source* as module ``web``, mounted at ``/`` for GET and POST, and run the program until it serves.

        *settled* is for those who look at its memory: it imports nothing any more."""
        web = web or "<mount_get>web:GET:/</mount_get><mount_post>web:POST:/</mount_post>"
        for name, text in {"web": source, "main": "function main() end", **modules}.items():
            text = "module(..., package.seeall)\n" + textwrap.dedent(text)
            (self.directory / f"{name}.lua").write_text(text)
        (self.directory / "web.conf").write_text(
            CONFIGURATION.format(
                directory=self.directory,
                port=self.port,
                general=general(self.directory),
                web=web_module(self.directory, f"<engine>{self.engine}</engine>{web}"),
                threads=threads,
                eventer=eventer,
                listener=self.listener,
                acl=acl,
                listeners=listeners,
            )
        )
        (self.directory / "files").mkdir(exist_ok=True)
        self.settled = settled
        (self.directory / "errors").unlink(missing_ok=True)
        self.launch("web.conf", SETTLED if settled else ())
        self.await_port(self.port)
        if settled:  # it listens before
            with socket.create_connection(("127.0.0.1", self.port), 60) as nonsense:
                nonsense.sendall(b"?\r\n\r\n")
                assert nonsense.recv(1000)
        return self

    def errors(self) -> str:
        """What it wrote to stderr, but for where it listens."""
        return re.sub(r"^listening on .*\n", "", super().errors(), flags=re.MULTILINE)

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
            answer = connection.getresponse()
            found = {key.lower(): value for key, value in answer.getheaders()}
            return Reply(answer.status, answer.reason, found, answer.read())
        finally:
            connection.close()

    def text(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> str:
        return self.ask(path, method, body, **headers).body.decode("latin-1")

    def resident(self) -> int:
        """Bytes of memory."""
        assert self.process is not None and self.settled
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        assert self.process is not None
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())


class Socket:
    """A WebSocket client on wsproto."""

    def __init__(self, port: int, path: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 20)
        self.wire = WSConnection(ConnectionType.CLIENT)
        self.sock.sendall(self.wire.send(ws.Request(host="a", target=path)))
        self.waiting: list[ws.Event] = []

    def send(self, text: str | bytes) -> None:
        self.sock.sendall(self.wire.send(ws.TextMessage(text) if isinstance(text, str) else ws.BytesMessage(text)))

    def next(self) -> Any:
        """A message, the code of the end, the status of a refusal, or "open"."""
        while True:
            while self.waiting:
                event = self.waiting.pop(0)
                if isinstance(event, ws.Message):
                    return event.data if isinstance(event.data, str) else bytes(event.data)
                if isinstance(event, ws.AcceptConnection):
                    return "open"
                if isinstance(event, ws.CloseConnection):
                    return event.code
                if isinstance(event, ws.RejectConnection):
                    return event.status_code
            self.wire.receive_data(self.sock.recv(65536) or None)
            self.waiting += self.wire.events()

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> "Socket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


WS = "<mount_ws>web:WS:/chat/</mount_ws><mount_get>web:GET:/</mount_get>"
"""Mounts for it, and for GET."""
