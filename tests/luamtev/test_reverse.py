"""Reverse connections between two programs: a Lua web handler behind one, and a Lua client that reaches a service
through one."""

import json
import re
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from launching import Launched, free_port, general, web_module
from waiting import until

CONFIGURATION = """\
<cli>
  <logs><console_output><outlet name="stderr"/><log name="error"/></console_output></logs>
  <modules>
    {modules}
  </modules>
  <listeners>
    <listener type="http_rest_api" address="127.0.0.1" port="{rest}"/>
    {listeners}
  </listeners>
  <rest><acl><rule type="deny" url="^/reverse/mtev/unwanted$"/><rule type="allow"/></acl></rest>
</cli>
"""

WEB = """\
module(..., package.seeall)
function handler(rest)
  local http = rest:http()
  http:status(200, "OK")
  http:write("hello from behind")
  http:flush_end()
end
"""

FRONT = """\
module(..., package.seeall)
local HttpClient = require("mtev.HttpClient")
function main() end
function _G.mtev_xcall(query)
  mtev.coroutine_spawn(function()
    local body = {}
    local client = HttpClient:new({ consume = function(piece) body[#body + 1] = piece end })
    local rv, why = client:connect("reverse:mtev/" .. query.name, 0)
    if rv == 0 then
      client:do_request("GET", "/hello", {})
      client:get_response(10000)
      mtev.shared_set("answer", tostring(client.code) .. " " .. table.concat(body))
    else
      mtev.shared_set("answer", tostring(rv) .. " " .. tostring(why))
    end
  end)
  return { answer = mtev.shared_get("answer") }
end
"""

BEHIND = """\
module(..., package.seeall)
function main()
  local tls = {{ ca_chain = "{ca}", certificate_file = "{certificate}", key_file = "{key}" }}
  mtev.reverse_start("127.0.0.1", {front}, tls,
    {{ local_port = "{rest}", cn = "front.test", reconnect_initial_interval = 100 }})
end
function _G.mtev_xcall() return mtev.reverse_details("127.0.0.1", {front}) or {{ none = true }} end
"""


ASKED = "/module/lua/xcall.json?name=node"


class Program(Launched):
    def __init__(self, directory: Path, main: str, listeners: str, rest: int) -> None:
        directory.mkdir()
        self.rest = rest
        self.console = 0
        self.directory = directory
        (directory / "web.lua").write_text(WEB)
        (directory / "main.lua").write_text(main)
        (directory / "app.conf").write_text(
            CONFIGURATION.format(
                modules=general(directory) + web_module(directory, "<mount_hello>web:GET:/hello</mount_hello>"),
                rest=self.rest,
                listeners=listeners,
            )
        )
        self.start()

    def start(self) -> None:
        self.launch("app.conf")
        until(self.is_up)

    def is_up(self) -> bool:
        self.lives()
        try:
            self.ask("/reverse/show.json")
        except OSError:
            return False
        return True

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.rest}{path}", timeout=20) as answer:
            return json.loads(answer.read())


@pytest.fixture
def front_port() -> int:
    return free_port()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def front(tmp_path: Path, authority: Authority, front_port: int) -> Iterator[Program]:
    issued = authority.issue("front.test")
    listener = (
        f'<listener type="control_dispatch" address="127.0.0.1" port="{front_port}" ssl="on"><sslconfig>'
        f"<certificate_file>{issued.certificate}</certificate_file><key_file>{issued.key}</key_file>"
        f"<ca_chain>{authority.issued.certificate}</ca_chain></sslconfig></listener>"
    )
    console = free_port()
    listener += f'<listener type="mtev_console" address="127.0.0.1" port="{console}"/>'
    made = Program(tmp_path / "front", FRONT, listener, free_port())
    made.console = console
    yield made
    made.kill()


def behind(tmp_path: Path, authority: Authority, front_port: int, name: str) -> Program:
    issued = authority.issue(name)
    rest = free_port()
    main = BEHIND.format(
        front=front_port, ca=authority.issued.certificate, certificate=issued.certificate, key=issued.key, rest=rest
    )
    return Program(tmp_path / "behind", main, "", rest)


def said(document: Any, key: str) -> Any:
    """What stands under *key*, wherever that is in *document*."""
    if isinstance(document, dict):
        if key in document:
            return document[key]
        return next((found for each in document.values() if (found := said(each, key)) is not None), None)
    return None


def test_a_lua_client_reaches_a_lua_web_handler_behind_a_reverse_connection(
    tmp_path: Path, authority: Authority, front: Program, front_port: int
) -> None:
    until(lambda: said(front.ask(ASKED), "answer") == "-1 Reverse connection unavailable")
    program = behind(tmp_path, authority, front_port, "node")
    try:
        until(lambda: list(front.ask("/reverse/show.json")) == ["mtev/node"])
        until(lambda: said(front.ask(ASKED), "answer") == "200 hello from behind")
        shown = front.ask("/reverse/show.json?id=mtev/node")["mtev/node"]
        assert shown["out_frames"] > 0 and shown["in_bytes"] > 0
        with socket.create_connection(("127.0.0.1", front.console), 20) as console:
            console.sendall(b"show reverse mtev/node\nexit\n")
            with console.makefile() as lines:
                text = lines.read()
        assert re.search(r"mtev/node \[\d+\]\r?\n  \[UP: \d+\.\d{3}s IN: \d+b / \d+f  OUT: \d+b / \d+f\]", text), text
        details = program.ask("/module/lua/xcall.json")
        assert said(details, "connected") is True and said(details, "remote_port") == front_port

        program.kill()
        until(lambda: front.ask("/reverse/show.json") == {})
        program.start()
        until(lambda: list(front.ask("/reverse/show.json")) == ["mtev/node"])

        front.kill()
        until(lambda: said(program.ask("/module/lua/xcall.json"), "connected") is False)
        front.start()  # and it dials again by itself
        until(lambda: list(front.ask("/reverse/show.json")) == ["mtev/node"])
    finally:
        program.kill()


def test_access_control_of_the_front_refuses(
    tmp_path: Path, authority: Authority, front: Program, front_port: int
) -> None:
    program = behind(tmp_path, authority, front_port, "unwanted")
    try:
        until(lambda: "access control denies /reverse/mtev/unwanted" in front.errors())
        assert front.ask("/reverse/show.json") == {}
    finally:
        program.kill()
