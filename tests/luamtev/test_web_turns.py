"""Lua handlers that are asked much at once: turns, messages that wait, and what is left when the client goes."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from waiting import until
from webprogram import WS, Socket, Web
from wsproto import events as ws

MANY = 30

ORDER = """
order = {}
local function serve(what)
  order[#order + 1] = what
  if #order == 1 then
    io.open("begun", "w"):close()
    while not io.open("others") do end
  end
end
function handler(rest)
  local http = rest:http()
  local what = http:request():querystring("n")
  if what then serve(what) end
  http:write(what or table.concat(order, " "))
  http:flush_end()
end
websocket = { message = function(ws, opcode, payload) serve(payload) end }
"""
SHORT = "<turn_budget>0.000001</turn_budget>"


def get(what: object) -> bytes:
    return f"GET /?n={what} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


@contextmanager
def other_client(web: Web) -> Iterator[Callable[[], list[str]]]:
    """A client; called, it asks while the first of a burst is served, and tells the order of serving."""
    with socket.create_connection(("127.0.0.1", web.port), 20) as other:
        other.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert other.recv(65536).startswith(b"HTTP/1.1 200")

        def ask() -> list[str]:
            until((web.directory / "begun").exists)
            other.sendall(get("other"))
            (web.directory / "others").touch()
            assert other.recv(65536).endswith(b"other")
            until(lambda: len(web.text("/").split()) == MANY + 1)
            return web.text("/").split()

        yield ask


def test_a_client_that_pipelines_does_not_keep_others_waiting(web: Web) -> None:
    web.start(ORDER, eventer=SHORT)
    with other_client(web) as ask, socket.create_connection(("127.0.0.1", web.port), 20) as burst:
        burst.sendall(b"".join(get(number) for number in range(MANY)))
        served = ask()
    assert served.index("other") <= 2
    assert [each for each in served if each != "other"] == [str(number) for number in range(MANY)]


def test_websocket_messages_do_not_keep_others_waiting(web: Web) -> None:
    web.start(ORDER, web=WS, eventer=SHORT)
    with other_client(web) as ask, Socket(web.port, "/chat/") as burst:
        assert burst.next() == "open"
        burst.sock.sendall(b"".join(burst.wire.send(ws.BytesMessage(b"%d" % number)) for number in range(MANY)))
        served = ask()
    assert served.index("other") <= 2
    assert [each for each in served if each != "other"] == [str(number) for number in range(MANY)]


SLOW = """
local begun, ended = 0, 0
websocket = {
  message = function(ws, opcode, payload)
    begun = begun + 1
    mtev.waitfor("go", 60)
    ws:send(tostring(begun))
  end,
  cleanup = function() ended = ended + 1 end,
}
function handler(rest)
  local http = rest:http()
  if http:request():querystring("go") then mtev.notify("go") end
  collectgarbage()
  http:write(begun .. " " .. ended .. " " .. math.floor(collectgarbage("count")))
  http:flush_end()
end
"""


def state_of(web: Web) -> list[int]:
    return [int(each) for each in web.text("/").split()]


def fill(client: Any, most: int) -> int:
    """Sends empty messages until nobody takes them, *most* bytes at most; returns how many bytes that were."""
    burst = b"".join(client.wire.send(ws.BytesMessage(b"")) for _ in range(10_000))
    client.sock.settimeout(2)
    sent = 0
    try:
        while sent < most:
            sent += client.sock.send(burst)
    except TimeoutError:
        pass
    client.sock.settimeout(20)
    return sent


def test_messages_that_wait_for_a_slow_callback_are_bounded_and_go_with_the_connection(web: Web) -> None:
    web.start(SLOW, web=WS, settled=True)
    before = web.resident()
    with Socket(web.port, "/chat/") as client:
        assert client.next() == "open"
        assert fill(client, 64 << 20) < 32 << 20, "the rest was left to the network"
        assert state_of(web)[:2] == [1, 0]
        assert web.resident() - before < 24 << 20
    until(lambda: web.text("/?go=1").split()[1] == "1")  # the answers tell that nobody is there
    assert state_of(web)[0] < 100, "what waited was for nobody"


def test_messages_before_a_farewell_are_served(web: Web) -> None:
    web.start(SLOW, web=WS)
    with Socket(web.port, "/chat/") as client:
        assert client.next() == "open"
        for text in "abc":
            client.send(text)
        client.sock.sendall(client.wire.send(ws.CloseConnection(3001)))
        for number in range(1, 4):
            until(lambda number=number: state_of(web)[0] == number)
            web.text("/?go=1")
        while (said := client.next()) in ("1", "2"):
            pass  # what was said before the farewell came
        assert said == 3001
    assert state_of(web)[:2] == [3, 1]
