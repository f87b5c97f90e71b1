"""Access control before Lua's web handlers, and mounts that are public."""

import gzip
import json
import socket
from dataclasses import replace

import pytest
from launching import free_port
from webprogram import WS, Socket, Web

SEEN = """
local count = 0
function handler(rest)
  count = count + 1
  local http = rest:http()
  local request = http:request()
  local allowed = rest:apply_acl()
  http:write(request:uri() .. " " .. request:raw_uri() .. " " .. tostring(allowed) .. " " .. count)
  http:flush_end()
end
websocket = { ready = function(ws) ws:send(ws:request():uri() .. " " .. ws:request():raw_uri()) end }
"""
PUBLIC = """
<mount_get>web:GET:/</mount_get><mount_post>web:POST:/</mount_post>
<mount_open>web:GET:/denied/open/</mount_open><public_open>true</public_open>
<mount_shut>web:GET:/denied/shut/</mount_shut><public_shut>false</public_shut>
"""


def test_access_control_is_asked_before_the_handler(web: Web) -> None:
    web.start(SEEN, web=PUBLIC)
    assert web.text("/fine") == "/fine /fine true 1"
    for path in ("/denied/x", "/x/../denied/x", "/%64enied/x", "/denied/../x", "/denied/shut/x"):
        assert web.ask(path).status == 403, path
    assert web.ask("/denied", "POST", b"x" * 100).status == 403
    assert web.text("/a/../b%20c?d=1") == "/b c /a/../b%20c?d=1 true 2", "no handler ran meanwhile"
    assert web.text("/denied/open/x") == "/denied/open/x /denied/open/x false 3"
    public = {each["expression"]: each["public"] for each in json.loads(web.text("/mtev/rest.json"))}
    assert public["^/denied/open/(.*)$"] is True
    assert public["^/denied/shut/(.*)$"] is False
    assert public["^/(.*)$"] is False


@pytest.mark.parametrize("web", ["lua", "python"], indirect=True)
def test_a_client_has_of_each_listener_what_access_control_says_there(web: Web) -> None:
    other = free_port()
    web.listener = "<zone>inside</zone>"
    web.start(
        SEEN,
        acl='<acl><rule type="allow" listener_zone="^inside$"/></acl>',
        listeners=f"""<listener type="http_rest_api" address="127.0.0.1" port="{other}">
          <config><zone>outside</zone></config></listener>""",
    )
    web.await_port(other)
    outside = replace(web, port=other)
    for _ in range(2):
        assert web.ask("/fine").status == 200
        assert outside.ask("/fine").status == 403


def test_a_denied_upload_is_refused_before_its_body(web: Web) -> None:
    web.start(SEEN)
    with socket.create_connection(("127.0.0.1", web.port), 20) as client:
        client.sendall(b"POST /denied HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 403 ")


def test_where_nothing_is_configured_nobody_is_served(web: Web) -> None:
    web.start(SEEN, web=PUBLIC, acl="")
    assert web.ask("/fine").status == 403
    assert web.ask("/denied/open/x").status == 200
    assert web.ask("/fine").status == 403
    web.stop()
    assert web.errors().count("there is no <acl>") == 1


def test_websockets_are_behind_access_control_too(web: Web) -> None:
    web.start(
        SEEN,
        web=WS + "<mount_no>web:WS:/denied/no/</mount_no><mount_yes>web:WS:/denied/yes/</mount_yes>"
        "<public_yes>on</public_yes>",
    )
    for path, found in (("/chat/./x?y", "/chat/x /chat/./x?y"), ("/denied/yes/x", "/denied/yes/x /denied/yes/x")):
        with Socket(web.port, path) as client:
            assert client.next() == "open"
            assert client.next() == found
    with Socket(web.port, "/denied/no/x") as client:
        assert client.next() == 403


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("<public_nobody>true</public_nobody>", "public_nobody: there is no mount_nobody"),
        ("<mount_a>web:GET:/</mount_a><public_a>perhaps</public_a>", "public_a 'perhaps'"),
    ],
)
def test_a_public_key_that_cannot_be_is_named(web: Web, keys: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        web.start(SEEN, web=keys)


def test_the_access_log_has_the_one_path(web: Web) -> None:
    web.start(SEEN)
    for path in ("/a/../b%20c?d=%31", "/e//f%22g", "/plain?x"):
        assert web.ask(path).status == 200
    assert web.stop() == 0
    log = (web.directory / "access.log").read_text()
    for shown in ('"GET /b c?d=%31 HTTP/1.1" 200', '"GET /e/f\\x22g HTTP/1.1" 200', '"GET /plain?x HTTP/1.1" 200'):
        assert shown in log


def test_encoded_bodies_arrive_decoded_whoever_reads_them(web: Web) -> None:
    web.start(
        """
        function handler(rest)
          local http = rest:http()
          local request = http:request()
          http:write((request:payload() or "none") .. tostring(request:headers("content-encoding")))
          http:flush_end()
        end
        """
    )
    for body, encoding, expected in (
        (gzip.compress(b"packed", mtime=0), "gzip", "packednil"),
        (b"plain", "identity", "plainnil"),
        (b"plain", "", "plain"),
    ):
        assert web.text("/", "POST", body, **({"Content_Encoding": encoding} if encoding else {})).startswith(expected)
    assert web.ask("/", "POST", b"x", Content_Encoding="br").status == 415
