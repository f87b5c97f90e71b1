"""mtev.websocket_client_connect against a WebSocket server on wsproto and against peers that are none."""

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from hearing import hear, wait_for
from launching import free_port
from websocketpeer import converse, echo, serving
from wsproto import ConnectionType, WSConnection, events

TALK = """
function main()
  local callbacks = {
    ready = function(c)
      print("ready", c:send(c.text, "hello"), tostring(c))
      for _, name in ipairs{"CONTINUATION", "TEXT", "BINARY", "CONNECTION_CLOSE", "PING", "PONG"} do
        assert(c[name] == c[name:lower()] and type(c[name]) == "number")
      end
    end,
    message = function(c, opcode, payload)
      mtev.sleep(0.001) -- a callback may suspend
      if opcode == c.TEXT then
        print("text", payload)
        c:send(c.BINARY, ("x"):rep(200000))
      else
        print("binary", #payload)
        return false
      end
    end,
    cleanup = function(c)
      print("cleanup", c:send(c.TEXT, "too late"))
      os.exit(0)
    end,
  }
  print(mtev.websocket_client_connect("127.0.0.1", PORT, "/path", "chat", callbacksSSL))
end
"""
SAID = ["true", "ready\ttrue\tmtev.websocket_client", "text\thello", "binary\t200000", "cleanup\tfalse"]


def test_a_client_talks_in_coroutines_of_its_own(lua: Any) -> None:
    with serving(lambda peer: converse(peer, echo)) as port:
        assert lua(TALK.replace("PORT", str(port)).replace("SSL", "")).splitlines() == SAID


def test_a_client_speaks_tls(lua: Any, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("server", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    with serving(lambda peer: converse(peer, echo), context) as port:
        config = f', {{ ca_chain = "{authority.issued.certificate}" }}'
        assert lua(TALK.replace("PORT", str(port)).replace("SSL", config)).splitlines() == SAID


QUIET = """
function main()
  local seen = {}
  local function note(what) return function(_, ...) seen[#seen + 1] = what RESULT end end
  mtev.websocket_client_connect("127.0.0.1", PORT, "/", "", {
    ready = note("ready"), message = note("message"),
    cleanup = function() print(table.concat(seen, " ")) os.exit(0) end,
  })
end
"""


def quiet(lua: Any, port: int, result: str = "") -> str:
    text: str = lua(QUIET.replace("PORT", str(port)).replace("RESULT", result))
    return text.strip()


def test_ready_that_returns_false_closes(lua: Any) -> None:
    with serving(lambda peer: converse(peer, echo)) as port:
        assert quiet(lua, port, "return false") == "ready"


def test_an_error_in_a_callback_closes_and_is_logged(lua: Any) -> None:
    with serving(lambda peer: converse(peer, echo)) as port:
        assert quiet(lua, port, "error('mine')") == "ready"
    assert "error in ready: " in lua.errors()
    assert "mine" in lua.errors()


def test_a_refusal_ends_in_cleanup(lua: Any) -> None:
    def refuse(event: Any) -> Any:
        return [events.RejectConnection(status_code=403)] if isinstance(event, events.Request) else None

    def talk(peer: socket.socket) -> None:
        connection = WSConnection(ConnectionType.SERVER)
        connection.receive_data(peer.recv(65536))
        for event in connection.events():
            for answer in refuse(event) or ():
                peer.sendall(connection.send(answer))

    with serving(talk) as port:
        assert quiet(lua, port) == ""
    assert "refused: HTTP status 403" in lua.errors()


@pytest.mark.parametrize("answer", [b"SSH-2.0-nothing\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""])
def test_a_peer_that_speaks_something_else_ends_in_cleanup(lua: Any, answer: bytes) -> None:
    def talk(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(answer)

    with serving(talk) as port:
        assert quiet(lua, port) == ""


def test_a_broken_frame_ends_in_cleanup(lua: Any) -> None:
    def talk(peer: socket.socket) -> None:
        connection = WSConnection(ConnectionType.SERVER)
        connection.receive_data(peer.recv(65536))
        for event in connection.events():
            assert isinstance(event, events.Request)
            peer.sendall(connection.send(events.AcceptConnection()) + b"\xff\xff\xff\xff")
        while peer.recv(65536):
            pass

    with serving(talk) as port:
        assert quiet(lua, port) == "ready"


def test_nobody_listening_ends_in_cleanup(lua: Any) -> None:
    port = free_port()
    assert quiet(lua, port) == ""
    assert "Connection refused" in lua.errors()


def test_wrong_arguments_are_named(lua: Any) -> None:
    text = lua(
        """
        function main()
          local connect = mtev.websocket_client_connect
          print(pcall(connect))
          print(pcall(connect, "127.0.0.1", 80, "/", "", nil))
          print(pcall(connect, "127.0.0.1", 80, "/", "", {}, true))
          print(pcall(connect, "127.0.0.1", 80, "/", "", { message = "echo" }))
          print(connect("127.0.0.1", 0, "/", "", {}), connect("127.0.0.1", 80, "/a b", "", {}))
          os.exit(0)
        end
        """
    )
    assert text.splitlines() == [
        "false\tbad argument #1 to 'websocket_client_connect' (string expected, got nil)",
        "false\tbad argument #5 to 'websocket_client_connect' (table of callbacks expected, got nil)",
        "false\tbad argument #6 to 'websocket_client_connect' (table expected, got boolean)",
        "false\tcallback message not function",
        "false\tfalse",
    ]


def test_what_no_request_can_carry_and_settings_of_the_wrong_type_end_nothing(lua: Any) -> None:
    text = lua(
        """
        function main()
          local connect = mtev.websocket_client_connect
          print(connect("127.0.0.1", 1, "/\\195\\169", "", {}), connect("a\\r\\nX: y", 1, "/", "", {}),
            connect("127.0.0.1", 1, "/", "a\\r\\nX: y", {}), connect("127.0.0.1", 80.5, "/", "", {}))
          for _, ssl in ipairs({ { ca_chain = 5 }, { ciphers = {} }, { cert = true }, { timeout = "soon" } }) do
            print(select(2, pcall(connect, "127.0.0.1", 1, "/", "", {}, ssl)))
          end
          mtev.sleep(0.05)
          os.exit(0)
        end
        """
    )
    named = "bad argument #6 to 'websocket_client_connect'"
    assert text.splitlines() == [
        "false\tfalse\tfalse\tfalse",
        f"{named} (string for ca_chain expected, got number)",
        f"{named} (string for ciphers expected, got table)",
        f"{named} (string for cert expected, got boolean)",
        f"{named} (number of seconds for timeout expected, got soon)",
    ]
    assert "Illegal header value" in lua.errors()


def test_debug_websocket_client_tells_of_a_connection(lua: Any) -> None:
    heard, errors = hear("debug/websocket_client"), hear("error/websocket_client")
    with serving(lambda peer: converse(peer, echo)) as port:
        lua(TALK.replace("PORT", str(port)).replace("SSL", ""))
    url = rf"^ws://127\.0\.0\.1:{port}/path: "
    for what in ("connected", "ready", "closed by the peer", "ended"):
        wait_for(heard, url + what)
    assert errors() == []
