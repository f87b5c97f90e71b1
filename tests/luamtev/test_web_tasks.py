"""Handlers share a task for as long as none of them can tell: what one does to its own is no matter of the others."""

import re
import socket
from collections.abc import Iterable

import pytest
from waiting import until
from webprogram import Web

pytestmark = pytest.mark.parametrize("web", ["lua", "python"], indirect=True)


def answers(web: Web, paths: Iterable[str]) -> list[str]:
    """The bodies that requests of *paths* get, which are sent in one piece."""
    paths = list(paths)
    sent = "".join(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n" for path in paths[:-1])
    sent += f"GET {paths[-1]} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    data = b""
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as sock:
        sock.sendall(sent.encode())
        while chunk := sock.recv(65536):
            data += chunk
    bodies = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        length = int(re.search(rb"Content-Length: (\d+)", head)[1])  # type: ignore[index]
        bodies.append(data[:length].decode())
        data = data[length:]
    return bodies


RUNNING = """
local seen = {}
function handler(rest)
  local http = rest:http()
  if http:request():uri() == "/look" then
    local co = coroutine.running()
    http:write(seen[co] and "seen before" or "new")
    seen[co] = true
  else
    http:write("did not look")
  end
  http:flush_end()
end
"""


def test_whoever_asks_for_its_coroutine_has_one_of_its_own(web: Web) -> None:
    web.start(RUNNING)
    found = answers(web, ["/look", "/", "/look", "/look", "/", "/", "/look"])
    assert found == ["new", "did not look", "new", "new", "did not look", "did not look", "new"]


CANCELLED = """
local others = {}
function handler(rest)
  local http = rest:http()
  for _, co in ipairs(others) do mtev.cancel_coro(co) end
  if http:request():uri() == "/keep" then others[#others + 1] = coroutine.running() end
  http:write(http:request():uri())
  http:flush_end()
end
"""


def test_cancelling_coroutines_of_requests_that_are_over_harms_nobody(web: Web) -> None:
    web.start(CANCELLED)
    paths = ["/keep", "/1", "/keep", "/keep", "/2", "/3"] * 3
    assert answers(web, paths) == paths


ENVIRONMENT = """
function handler(rest)
  local http = rest:http()
  if http:request():uri() == "/set" then setfenv(0, setmetatable({ mark = "set" }, { __index = _G })) end
  http:write(tostring(getfenv(0).mark))
  http:flush_end()
end
"""


def test_a_coroutines_environment_is_not_the_next_ones(web: Web) -> None:
    web.start(ENVIRONMENT)
    assert answers(web, ["/", "/set", "/", "/set", "/"]) == ["nil", "set", "nil", "set", "nil"]


WAITING = """
local waiting = 0
function handler(rest)
  local http = rest:http()
  local what = http:request():uri()
  if what == "/wait" then
    waiting = waiting + 1
    local _, word = mtev.waitfor("w" .. waiting, 30)
    http:write(tostring(word))
  elseif what == "/yield" then
    waiting = waiting + 1
    coroutine.yield()
  elseif what == "/count" then
    http:write(tostring(waiting))
  elseif what == "/wake" then
    for i = 1, waiting do mtev.notify("w" .. i, "woken " .. i) end
    http:write("woke " .. waiting)
    waiting = 0
  else
    http:write(what)
  end
  http:flush_end()
end
"""


def test_one_that_waits_goes_on_while_others_are_served_with_it(web: Web) -> None:
    web.start(WAITING)
    with (
        socket.create_connection(("127.0.0.1", web.port), timeout=20) as first,
        socket.create_connection(("127.0.0.1", web.port), timeout=20) as second,
    ):
        for _ in range(40):
            for sock in first, second:
                sock.sendall(b"GET /before HTTP/1.1\r\nHost: a\r\n\r\nGET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
            until(lambda: answers(web, ["/1", "/count"]) == ["/1", "2"])
            assert answers(web, ["/2", "/wake", "/3"]) == ["/2", "woke 2", "/3"]
            told = set()
            for sock in first, second:
                received = b""
                while not re.search(rb"\r\n\r\nwoken \d$", received):
                    received += sock.recv(65536)
                assert re.findall(rb"\r\n\r\n(\S+)", received) == [b"/beforeHTTP/1.1", b"woken"]
                told.add(received[-1:])
            assert told == {b"1", b"2"}


def test_one_that_yields_by_itself_holds_nobody_up(web: Web) -> None:
    web.start(WAITING)
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as sock:
        sock.sendall(b"GET /yield HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(3):
            assert answers(web, ["/1", "/2"]) == ["/1", "/2"]


FAILING = """
function handler(rest)
  local http = rest:http()
  local what = http:request():uri()
  if what == "/fail" then error("so it is") end
  if what == "/late" then
    http:write("part")
    http:flush()
    error("so it is")
  end
  http:write(what)
  http:flush_end()
end
"""


def test_one_that_fails_leaves_the_others_their_answers(web: Web) -> None:
    web.start(FAILING)
    assert answers(web, ["/1", "/fail", "/2", "/fail", "/3"]) == ["/1", "so it is", "/2", "so it is", "/3"]


SPINNING = """
function handler(rest)
  local http = rest:http()
  local what = http:request():uri()
  if what == "/spin" then
    while true do pcall(function() while true do end end) end
  end
  http:write(what)
  http:flush_end()
end
"""


def test_one_that_is_interrupted_leaves_the_others_their_answers(web: Web) -> None:
    web.start(SPINNING, web="<interrupt_time>0.2</interrupt_time><mount_get>web:GET:/</mount_get>")
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as sock:
        sock.sendall(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /spin HTTP/1.1\r\nHost: a\r\n\r\n")
        received = b""
        while b"/1" not in received:
            received += sock.recv(65536)
        while not received.endswith(b"interrupted!") and (chunk := sock.recv(65536)):
            received += chunk
        assert answers(web, ["/2", "/3"]) == ["/2", "/3"]
    assert "interrupted!" in web.errors()


def test_who_may_be_interrupted_and_gets_no_request_yet_is_no_coroutine_that_is_lost(web: Web) -> None:
    web.start(
        'function handler(rest) rest:http():write("whole") rest:http():flush_end() end',
        web="<interrupt_time>60</interrupt_time><mount_get>web:GET:/</mount_get>",
    )
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHo")
        assert answers(web, ["/", "/"]) == ["whole", "whole"]  # that beginning has been read
        sock.sendall(b"st: a\r\n\r\n")
        assert sock.recv(1000).endswith(b"whole")
    assert web.stop() == 0
    assert "yielded" not in web.errors()
