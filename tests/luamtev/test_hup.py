"""HUP: what changed in the configuration is told with file and line, and what became of it; Lua hears of it too."""

import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from launching import Launched, free_port, free_ports

PATIENCE = 60.0

CONFIGURATION = """<cli>
<logs>
<console_output><outlet name="stderr"/><log name="error"/>
<log name="mine" disabled="true"/>
</console_output>
<log name="kept" type="file" path="kept.log"/>
</logs>
<eventer><config>
<concurrency>1</concurrency>
</config></eventer>
<modules>
<generic image="lua_mtev" name="lua_general"><config>
<lua_module>main.lua</lua_module>
<lua_function>main</lua_function></config></generic>
</modules>
<listeners>
<listener type="http_rest_api" address="127.0.0.1" port="PORT"/>
<listener type="mtev_console" address="127.0.0.1" port="OTHER"><config><line_protocol>none</line_protocol></config>
</listener></listeners>
<rest><acl>
<rule type="deny" url="^/capa"/>
<rule type="allow"/>
</acl></rest>
<limits>
<most>10</most>
</limits>
</cli>
"""

MAIN = """
module(..., package.seeall)
function main()
  mtev.hook("conf_reloaded", "main.lua", "heard")
  mtev.log("error", "main begins\\n")
  while true do
    mtev.log("mine", "mine says it\\n")
    mtev.log("kept", "a line\\n")
    mtev.sleep(0.02)
  end
end
function heard(applied, report)
  mtev.log("error", "heard: %s %s %s\\n", applied, mtev.conf("//limits/most"), report:gsub("\\n", "|"))
end
"""


class Server(Launched):
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port, self.console = free_ports(2)
        self.text = CONFIGURATION.replace("PORT", str(self.port)).replace("OTHER", str(self.console))
        self.file = directory / "c.xml"
        self.file.write_text(self.text)
        (directory / "main.lua").write_text(MAIN)
        self.launch("c.xml", lua="")
        self.await_text("main begins")

    def change(self, *pairs: tuple[str, str]) -> None:
        """Write the configuration with each first text replaced, and tell the server."""
        self.write(*pairs)
        self.process.send_signal(signal.SIGHUP)

    def write(self, *pairs: tuple[str, str]) -> None:
        changed = self.text
        for old, new in pairs:
            assert old in changed
            changed = changed.replace(old, new)
        self.file.write_text(changed)

    def reload(self) -> list[str]:
        """What the console says of ``configure reload``."""
        with socket.create_connection(("127.0.0.1", self.console), PATIENCE) as client:
            client.sendall(b"configure reload\nexit\n")
            said = b"".join(iter(lambda: client.recv(65536), b"")).decode()
        return said.partition("configure reload")[2].replace("\r", "").splitlines()

    def status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as answer:
            return answer.code


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    assert made.stop() == 0, made.errors()


def test_access_logs_and_what_is_asked_for_are_in_force(server: Server) -> None:
    assert server.status("/capa.json") == 403
    server.change(
        ('<rule type="deny" url="^/capa"/>', '<rule type="deny" url="^/eventer"/>'),
        ('<log name="mine" disabled="true"/>', '<log name="mine" disabled="false"/>'),
        ("<most>10</most>", "<most>20</most>"),
    )
    assert (
        server.await_text("c.xml:4:") == "[RELOAD] c.xml:4: <logs> <console_output> <log name='mine'> changed: in force"
    )
    for path in ("<rule url='^/capa'> removed", "<rule url='^/eventer'> added"):
        server.await_text(f"[RELOAD] c.xml:21: <rest> <acl> {path}: in force")
    assert (
        server.await_text("c.xml:25:")
        == "[RELOAD] c.xml:25: <limits> <most> changed: in force for those who ask from now on"
    )
    server.await_text("mine says it")
    assert (server.status("/capa.json"), server.status("/eventer/sockets.json")) == (200, 403)
    heard = server.await_text("heard: true 20")
    assert "c.xml:25: <limits> <most> changed" in heard and "c.xml:4:" in heard


def test_what_is_read_at_the_start_says_so(server: Server) -> None:
    other = free_port()
    server.change(
        ("<concurrency>1<", "<concurrency>2<"),
        (f'port="{server.port}"/>', f'port="{server.port}"/>\n<listener type="http_rest_api" port="{other}"/>'),
        ("</config></generic>", "</config></generic>\n<generic image='fq' name='fq'/>"),
    )
    for line, path, why in (
        (9, "<eventer> <config> <concurrency> changed", "loops and job queues are made"),
        (15, "<modules> <generic name='fq'> added", "modules are loaded"),
        (19, f"<listeners> <listener port='{other}'> added", "listeners are opened"),
    ):
        assert server.await_text(f"c.xml:{line}:").startswith(
            f"[RELOAD] c.xml:{line}: {path}: not in force before a restart, when {why}"
        )
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", other))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("</limits>", "", r"tag mismatch"),
        ('url="^/capa"', 'url="["', "c.xml:21: <rule> url='['"),
        ('<log name="mine"', '<log nmae="mine"', "c.xml:4: <log>: there is no attribute nmae, expected name"),
        ('path="kept.log"', 'path="none/kept.log"', "c.xml:6: log 'kept': cannot open 'none/kept.log'"),
    ],
)
def test_what_cannot_be_used_leaves_all_as_it_was(server: Server, old: str, new: str, why: str) -> None:
    server.change((old, new), ("<most>10</most>", "<most>20</most>"))
    assert why in server.await_text("configuration not reloaded: ")
    heard = server.await_text("heard: false 10")
    assert why in heard
    assert server.status("/capa.json") == 403
    assert "[RELOAD]" not in server.errors()


def test_log_files_are_reopened_and_a_configuration_without_changes_is_told(server: Server) -> None:
    moved = (server.directory / "kept.log").rename(server.directory / "kept.old")
    server.change()
    server.await_text("[RELOAD] log kept.log: goes on in another file")
    server.await_text("[RELOAD] c.xml: nothing has changed")
    assert moved.read_text() and (server.directory / "kept.log").exists()
    server.await_text("heard: true 10 ")


def test_what_is_removed_is_told_with_its_former_line(server: Server) -> None:
    server.change(('<log name="kept" type="file" path="kept.log"/>\n', ""), ('<rule type="deny" url="^/capa"/>\n', ""))
    assert "removed: not in force before a restart" in server.await_text("c.xml:6: <logs> <log name='kept'>")
    assert server.await_text("c.xml:21:").endswith("<rest> <acl> <rule url='^/capa'> removed: in force")
    assert server.status("/capa.json") == 200


def test_the_console_does_the_same_and_says_what_became_of_it(server: Server) -> None:
    assert server.status("/capa.json") == 403
    assert "reload complete" in server.reload()
    server.await_text("c.xml: nothing has changed")
    server.write(
        ('<rule type="deny" url="^/capa"/>', '<rule type="deny" url="^/eventer"/>'),
        ("<concurrency>1<", "<concurrency>2<"),
        ("<most>10</most>", "<most>20</most>"),
    )
    Path(server.directory / "kept.log").rename(server.directory / "old.log")
    said = server.reload()
    assert "c.xml:21: <rest> <acl> <rule url='^/eventer'> added: in force" in said
    assert "c.xml:25: <limits> <most> changed: in force for those who ask from now on" in said
    assert any("<concurrency> changed: not in force before a restart" in line for line in said)
    assert said.index("reload complete") > 3
    assert (server.status("/capa.json"), server.status("/eventer/sockets.json")) == (200, 403)
    server.await_text("heard: true 20")
    server.await_text("[RELOAD] log kept.log: goes on in another file")
    server.write(('url="^/capa"', 'url="["'))
    said = server.reload()
    assert said[said.index("error loading config") + 1].startswith("c.xml:21: <rule> url='['")
    server.await_text("heard: false 20")
