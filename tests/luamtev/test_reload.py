"""Lua states that are made anew while the process runs: --reload, mtev.runtime_reload and mtev.runtime_defunct."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from launching import Launched, free_ports
from waiting import until

PATIENCE = 60.0

WEB = """
module(..., package.seeall)
local words = require "words"
mtev.runtime_defunct(function() mtev.log("notice", "defunct: " .. words.word .. "\\n") end)
function handler(rest)
  local http = rest:http()
  if http:request():uri() == "/slow" then
    mtev.log("notice", "slow one begins\\n")
    while not mtev.shared_get("go") do mtev.sleep(0.01) end
  elseif http:request():uri() == "/go" then
    mtev.shared_set("go", "on")
  elseif http:request():uri() == "/reload" then
    mtev.runtime_reload()
  end
  http:write(words.word .. " " .. tostring(mtev.runtime_defunct()))
  http:flush_end()
end
"""

GENERAL = """
module(..., package.seeall)
local line = "one\\n"
function main()
  mtev.log("notice", "main begins: " .. line)
  local e = mtev.socket("inet", "tcp")
  e:setsockopt("SO_REUSEADDR", 1)
  assert(e:bind("127.0.0.1", PORT) == 0)
  assert(e:listen(5) == 0)
  while true do
    local client = e:accept()
    if client then client:write(line) client:close() end
  end
end
"""


class Server(Launched):
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port, self.own = free_ports(2)
        self.write("words.lua", 'return { word = "old" }')
        self.write("web.lua", WEB)
        self.write("general.lua", GENERAL.replace("PORT", str(self.own)))

    def write(self, name: str, text: str) -> None:
        """As editors do: another file under the name."""
        temporary = self.directory / f".{name}"
        temporary.write_text(text)
        temporary.replace(self.directory / name)

    def start(self, *options: str, general: bool = False, web: str = "") -> None:
        module = "<lua_module>general.lua</lua_module><lua_function>main</lua_function>"
        generic = f'<generic image="lua_mtev" name="lua_general"><config>{module}</config></generic>' if general else ""
        (self.directory / "c.xml").write_text(
            f"""<cli>
            <logs><console_output><outlet name="stderr"/><log name="error"/><log name="notice"/></console_output></logs>
            <eventer><config><concurrency>1</concurrency></config></eventer>
            <modules><generic image="lua_mtev" name="lua_web"><config><mount_a>web:GET:/</mount_a>
            <public_a>true</public_a>{web}</config></generic>{generic}</modules>
            <listeners><listener type="http_rest_api" address="127.0.0.1" port="{self.port}"/></listeners>
            <rest><acl><rule type="allow"/></acl></rest></cli>"""
        )
        self.launch("c.xml", options, lua="")
        self.await_text("listening on")

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def ask(self, path: str = "/", sock: socket.socket | None = None) -> str:
        """The body of an answer, on a connection of its own or on *sock*."""
        with self.connect() if sock is None else sock.dup() as connection:
            connection.settimeout(PATIENCE)
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            data = b""
            while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < length(data):
                piece = connection.recv(65536)
                assert piece, (data, self.errors())
                data += piece
            return data.partition(b"\r\n\r\n")[2].decode()

    def line(self) -> bytes:
        """What the module's own server says, once it listens; that of a state which ends just now may say nothing."""

        def said() -> bytes:
            try:
                with socket.create_connection(("127.0.0.1", self.own), PATIENCE) as connection:
                    return connection.makefile("rb").readline()
            except ConnectionError:
                return b""

        return until(said, self.errors)


def length(data: bytes) -> int:
    head = data.partition(b"\r\n\r\n")[0].lower()
    return int(head.partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    if made.process is not None:
        assert made.stop() == 0, made.errors()


@pytest.mark.parametrize("engine", ["lua", "python"])
def test_a_changed_file_is_served_and_requests_under_way_are_answered_by_the_old_state(
    server: Server, engine: str
) -> None:
    server.start("--reload", web=f"<engine>{engine}</engine>")
    assert server.ask() == "old false"
    answers: list[str] = []
    slow = threading.Thread(target=lambda: answers.append(server.ask("/slow")))
    slow.start()
    server.await_text("slow one begins")
    server.write("words.lua", 'return { word = "new" }')
    server.await_text("a new Lua state takes over")
    assert f"{server.directory}/words.lua: a new Lua state takes over" in server.errors()
    assert server.ask() == "new false"
    server.await_text("defunct: old")
    assert not answers
    server.ask("/go")
    slow.join(PATIENCE)
    assert answers == ["old true"]


def test_a_request_has_all_states_made_anew(server: Server) -> None:
    server.start("-l", "notice", general=True)
    assert (server.ask(), server.line()) == ("old false", b"one\n")
    server.write("words.lua", 'return { word = "new" }')
    server.write("general.lua", GENERAL.replace("PORT", str(server.own)).replace("one", "two"))
    assert server.ask() == "old false"
    for generation in (1, 2):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        connection.request("POST", "/module/lua/bump.json")
        assert json.load(connection.getresponse()) == {"gen": generation}
        connection.close()
    server.await_text("lua_web: bump.json: a new Lua state takes over")
    server.await_text("main begins: two")
    assert (server.ask(), server.line()) == ("new false", b"two\n")


def test_what_does_not_load_leaves_the_old_state_and_says_file_and_line(server: Server) -> None:
    server.start("--reload")
    assert server.ask() == "old false"
    server.write("words.lua", "return {\n  word = \n")
    server.await_text("the Lua state stays as it is")
    assert "words.lua:3: unexpected symbol near '<eof>'" in server.errors()
    assert server.ask() == "old false"
    server.write("words.lua", "return require('later')")
    server.await_text("module 'later' not found")
    assert server.ask() == "old false"
    server.write("later.lua", "error('not yet')")
    server.await_text("later.lua:1: not yet")
    assert server.ask() == "old false"
    server.write("later.lua", 'return { word = "later" }')
    server.await_text("takes over")
    assert server.ask() == "later false"


def test_a_function_that_listens_begins_anew_with_its_file(server: Server) -> None:
    server.start("--reload", general=True)
    server.await_text("main begins: one")
    assert server.line() == b"one\n"
    source = (server.directory / "general.lua").read_text()
    server.write("general.lua", source.replace("function main()", "function mian()"))
    server.await_text("module 'general.lua' has no function 'main'")
    assert server.line() == b"one\n"
    server.write("general.lua", source.replace('"one', '"two'))
    server.await_text("main begins: two")
    assert server.line() == b"two\n"


def test_lua_asks_for_it_and_a_hook_may_refuse(server: Server) -> None:
    guard = """
    module(..., package.seeall)
    function main() mtev.hook("lua_reload", "general", "may") mtev.log("notice", "main begins\\n") end
    function may(name, why)
      mtev.log("notice", "asked: " .. name .. " " .. why .. "\\n")
      return mtev.shared_get("refuse") and MTEV_HOOK_ABORT or MTEV_HOOK_CONTINUE
    end
    """
    server.write("general.lua", guard)
    server.start(general=True)
    server.await_text("main begins")
    assert server.ask() == "old false"
    server.write("words.lua", 'return { word = "new" }')
    server.ask("/reload")
    server.await_text("asked: lua_web mtev.runtime_reload")
    server.await_text("mtev.runtime_reload: a new Lua state takes over", 2)
    assert server.ask() == "new false"
    assert "watch" not in server.errors()


def test_without_the_option_nobody_looks(server: Server) -> None:
    server.start()
    assert server.ask() == "old false"
    assert server.process is not None
    names = [Path(each, "comm").read_text().strip() for each in Path(f"/proc/{server.process.pid}/task").iterdir()]
    assert "reload" not in names
