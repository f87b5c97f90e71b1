"""Web handlers in Lua: what they learn of a client, what they offer it, and which paths they have."""

import socket
import subprocess
from dataclasses import replace
from typing import Any

import pytest
from launching import free_port
from webprogram import Web
from wsproto import ConnectionType, WSConnection
from wsproto import events as ws

pytestmark = pytest.mark.parametrize("web", ["lua", "python"], indirect=True)

SAYS = """
function handler(rest)
  local http = rest:http()
  local req = http:request()
  http:header("X-Uri", req:uri())
  http:write({})
  http:flush_end()
end
"""


def curl(web: Web, path: str, *options: str) -> str:
    command = ["curl", "-s", "-S", "--max-time", "20", *options, f"http://127.0.0.1:{web.port}{path}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_payload_is_nil_where_none_was_announced_and_empty_where_it_has_no_bytes(web: Web) -> None:
    web.start(SAYS.replace("{}", 'type(req:payload()) .. ":" .. tostring(req:payload())'))
    assert web.text("/") == "nil:nil"
    assert curl(web, "/", "-X", "POST") == "nil:nil"
    assert curl(web, "/", "-d", "") == "string:"
    assert curl(web, "/", "-X", "POST", "-H", "Transfer-Encoding: chunked", "-d", "") == "string:"
    assert curl(web, "/", "-d", "text") == "string:text"


def test_options_are_those_of_the_client_and_an_option_it_has_not_is_refused(web: Web) -> None:
    web.start(
        SAYS.replace(
            "{}",
            """table.concat({ http.CHUNKED, http.CLOSE, http.GZIP, http.DEFLATE, req:opts(),
              tostring(http:option(http.GZIP)), tostring(http:option(http.DEFLATE)),
              tostring(http:option(http.GZIP + http.DEFLATE)),
              tostring(http:option(http.CHUNKED)), tostring(http:option(http.CLOSE)) }, " ")""",
        )
    )
    assert web.text("/") == "1 2 16 32 3 false false false true true"
    assert curl(web, "/", "--compressed", "-H", "Accept-Encoding: gzip") == "1 2 16 32 19 true false false true true"
    assert curl(web, "/", "--compressed", "-H", "Accept-Encoding: gzip;q=0, deflate") == (
        "1 2 16 32 35 false true false true true"
    )
    assert curl(web, "/", "-0", "--compressed") == "1 2 16 32 2 false false false false true"


def test_what_a_client_takes_can_be_said_to_be_less(web: Web) -> None:
    web.start(
        """
        function handler(rest)
          local http = rest:http()
          local req = http:request()
          http:write(tostring(req:opts(bit.band(req:opts(), bit.bnot(http.GZIP)))) .. " " .. req:opts() .. " ")
          http:write(tostring(http:option(http.GZIP)) .. " " .. tostring(pcall(http.option, http, 4)))
          http:flush_end()
        end
        """
    )
    assert curl(web, "/", "-H", "Accept-Encoding: gzip") == "true 3 false false"


def test_a_handler_may_do_without_compression(web: Web) -> None:
    web.start(
        """
        local hooks = require("mtev.hooks.http")
        function handler(rest)
          local http = rest:http()
          if http:request():uri() == "/plain" then hooks.disable_compression(http) end
          http:write(tostring(http:option(http.GZIP)))
          http:flush_end()
        end
        """
    )
    assert curl(web, "/packed", "--compressed") == "true"
    assert curl(web, "/plain", "--compressed") == "false"


def test_a_hook_reads_a_request_as_a_handler_does(web: Web) -> None:
    web.start(
        """
        module(..., package.seeall)
        local seen = {}
        function look(ctx)
          local req = ctx:request()
          local c = require("mtev.hooks.http").disable_compression(ctx)
          seen[#seen + 1] = table.concat({ req:method(), req:uri(), req:headers("X-Key"), req:headers()["x-key"],
            req:querystring("a"), req:querystring().b, req:cookie("c"), tostring(req:cookie("d")), ctx.uri, c }, " ")
        end
        mtev.hook("http_post_request_read_payload", "web", "look")
        function handler(rest)
          local http = rest:http()
          http:write(table.concat(seen, ";"))
          http:flush_end()
        end
        """
    )
    web.text("/loads")
    assert curl(web, "/x?a=1%202&b=3&a=4", "-H", "X-Key: k", "-b", "c=5") == "GET /x k k 1 2 3 5 nil /x 0"


def test_options_tells_the_methods_of_a_path_behind_access_control(web: Web) -> None:
    web.start(
        SAYS.replace("{}", '""'),
        web="<mount_a>web:GET:/a/:^x$</mount_a><mount_b>web:PUT:/a/</mount_b><mount_d>web:GET:/denied/</mount_d>",
    )
    for path, methods in (("/a/x", {"OPTIONS", "GET", "PUT", "HEAD"}), ("/a/y", {"OPTIONS", "PUT"})):
        reply = web.ask(path, "OPTIONS")
        assert (reply.status, reply.body, reply.headers["content-type"]) == (200, b"", "text/html")
        assert set(reply.headers["allow"].split(", ")) == methods
        assert reply.headers["allow"].startswith("OPTIONS, ")
    assert web.ask("/denied/x", "OPTIONS").status == 403
    assert web.ask("/nowhere", "OPTIONS").status == 405, "files are there to be read"
    assert web.ask("/a/y", "DELETE").status == 405


def test_a_base_without_a_slash_has_its_own_path_and_those_below(web: Web) -> None:
    web.start(
        SAYS.replace("{}", '"served"'),
        web="<mount_a>web:GET:/api/v1</mount_a><mount_b>web:GET:/deep:^x$</mount_b><mount_c>web:GET:/with/</mount_c>",
    )
    for path in ("/api/v1", "/api/v1/", "/api/v1/x/y", "/api/v1?q=1", "/deep/x", "/with/"):
        assert (web.ask(path).status, web.text(path)) == (200, "served"), path
    for path in ("/api/v10", "/api", "/api/", "/deep", "/with", "/api/v1x/"):
        assert web.ask(path).status == 404, path


def test_limits_are_those_of_the_listener_that_a_known_head_comes_to(web: Web) -> None:
    narrow = replace(web, port=free_port())
    limits = "<max_uri>50</max_uri><max_header>300</max_header><max_upload>50</max_upload>"
    web.start(
        SAYS.replace("{}", '"served"'),
        acl='<acl><rule type="allow"/></acl>',  # so that what is known of heads holds for both
        listeners=f"""<listener type="http_rest_api" address="127.0.0.1" port="{narrow.port}" fanout="true">
          <config>{limits}</config></listener>""",
    )
    web.await_port(narrow.port)
    for _ in range(3):
        for path, body, header, status in (
            ("/" + "x" * 60, None, "y", 414),
            ("/x", None, "y" * 400, 431),
            ("/x", b"z" * 60, "y", 413),
            ("/x", b"z" * 40, "y", 200),
        ):
            method = "POST" if body else "GET"
            assert web.ask(path, method, body, Host="a", X=header).status == 200
            assert narrow.ask(path, method, body, Host="a", X=header).status == status


PROTOCOLS = """
websocket = {
  protocols = { "chat.v2", "chat.v1" },
  ready = function(ws) ws:send("speaks " .. tostring(ws:protocol())) end,
}
function handler() end
"""


def handshake(web: Web, *protocols: str) -> tuple[str | None, Any]:
    """The subprotocol that the server chose, and its first message."""
    wire = WSConnection(ConnectionType.CLIENT)
    with socket.create_connection(("127.0.0.1", web.port), 20) as sock:
        sock.sendall(wire.send(ws.Request(host="a", target="/chat/", subprotocols=list(protocols))))
        chosen: str | None = "no answer"
        while True:
            wire.receive_data(sock.recv(65536) or None)
            for event in wire.events():
                if isinstance(event, ws.AcceptConnection):
                    chosen = event.subprotocol
                elif isinstance(event, ws.Message):
                    return chosen, event.data
                else:
                    return chosen, event


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [((), None), (("chat.v1",), "chat.v1"), (("other", "chat.v1", "chat.v2"), "chat.v2"), (("other",), None)],
)
def test_a_websocket_handler_chooses_a_subprotocol(web: Web, offered: tuple[str, ...], chosen: str | None) -> None:
    web.start(PROTOCOLS, web="<mount_ws>web:WS:/chat/</mount_ws>")
    assert handshake(web, *offered) == (chosen, f"speaks {chosen or 'nil'}")


def test_protocols_that_are_no_names_are_told(web: Web) -> None:
    web.start(PROTOCOLS.replace('{ "chat.v2", "chat.v1" }', '"chat"'), web="<mount_ws>web:WS:/chat/</mount_ws>")
    assert handshake(web, "chat") == (None, "speaks nil")
    assert "module 'web': websocket.protocols is no array of names" in web.errors()
