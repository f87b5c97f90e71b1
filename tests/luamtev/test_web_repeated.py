"""What is kept from one request to the next: heads, how answers begin, lines of the log, and what a handler gathers."""

import re
import socket

import pytest
from h2.events import ResponseReceived
from h2client import Client
from webprogram import Web

ECHO = """
function handler(rest)
  local http = rest:http()
  local request = http:request()
  local code, one, two = request:querystring("code"), request:headers("x-one"), request:headers("x-two")
  http:status(tonumber(code or 200))
  if one then http:header("X-One", one) end
  if two then http:header("X-Two", two) end
  if two then http:set_cookie("a", two) end
  http:write(request:uri() .. (one or "") .. (two or ""))
  http:flush_end()
end
"""

KEPT = """
function handler(rest)
  local http = rest:http()
  local old = kept
  kept = http
  http:status(201)
  http:header("X-New", "new")
  http:write("new")
  if old then
    local said = {
      old:status(500), old:header("X-Old", "old"), old:option(old.CLOSE), old:write("old"), old:flush(),
      old:write_fd(0), old:flush_end(), old:request():uri(),
    }
    for i = 1, #said do http:write(" " .. tostring(said[i])) end
  end
  http:flush_end()
  kept = http
end
"""


def answers_to(web: Web, asked: "list[bytes]") -> list[bytes]:
    """The answers to what is *asked* on one connection, at once; the last is to close it."""
    with socket.create_connection(("127.0.0.1", web.port), 60) as client, client.makefile("rb") as stream:
        client.sendall(b"".join(asked))
        data = stream.read()
    return re.split(rb"(?<!^)(?=HTTP/1\.1 )", data)


@pytest.mark.parametrize("web", ["lua", "python"], indirect=True)
def test_requests_that_differ_a_little_have_answers_and_lines_of_their_own(web: Web) -> None:
    web.start(ECHO)
    kinds = [
        ("/a", 200, {}),
        ("/a?code=404", 404, {}),
        ("/b", 200, {"X-One": "1"}),
        ("/b", 200, {"X-One": "2"}),
        ("/b", 200, {"X-One": "1", "X-Two": "3"}),
        ("/b", 200, {"X-One": "1", "X-Two": "4"}),
        ("/bb", 200, {"X-One": "1", "X-Two": "4"}),
    ]
    order = [0, 0, 0, 1, 1, 0, 2, 3, 3, 2, 2, 2, 4, 5, 4, 4, 5, 5, 5, 6, 5, 6, 6, 1, 0, 0]
    asked = []
    for number, at in enumerate(order):
        target, _, headers = kinds[at]
        lines = [f"GET {target} HTTP/1.1", "Host: a", *(f"{name}: {value}" for name, value in headers.items())]
        if number == len(order) - 1:
            lines.append("Connection: close")
        asked.append(("\r\n".join(lines) + "\r\n\r\n").encode())
    found = answers_to(web, asked)
    assert len(found) == len(order)
    for at, answer in zip(order, found, strict=True):
        target, code, headers = kinds[at]
        assert answer.startswith(b"HTTP/1.1 %d " % code)
        for name in ("X-One", "X-Two"):
            said = re.findall(rb"^%b: (.*)\r$" % name.encode(), answer, re.MULTILINE)
            assert said == ([headers[name].encode()] if name in headers else [])
        assert (b"Set-Cookie: a=" in answer) == ("X-Two" in headers)
        body = target.partition("?")[0] + "".join(headers.values())
        assert answer.endswith(b"\r\n\r\n" + body.encode())
    assert web.stop() == 0
    lines = (web.directory / "access.log").read_text().splitlines()
    shown = [re.search(r'"GET (\S+) HTTP/1.1" (\d+) (\d+)\|0 \d+\.\d\d\d$', line) for line in lines]
    assert [match and (match[1], int(match[2])) for match in shown] == [kinds[at][:2] for at in order]
    assert [match and int(match[3]) for match in shown] == [len(answer) for answer in found]


@pytest.mark.parametrize("web", ["lua", "python"], indirect=True)
def test_a_context_that_is_kept_says_nothing_in_other_answers(web: Web) -> None:
    web.start(KEPT)
    asked = [b"GET /%d HTTP/1.1\r\nHost: a\r\n%b\r\n" % (n, b"Connection: close\r\n" * (n == 4)) for n in range(5)]
    found = answers_to(web, asked)
    assert len(found) == 5
    for number, answer in enumerate(found):
        assert answer.startswith(b"HTTP/1.1 201 ")
        assert b"X-New: new\r\n" in answer
        assert b"X-Old" not in answer
        body = b"new" if number == 0 else b"new" + b" false" * 7 + b" /%d" % (number - 1)
        assert answer.endswith(b"\r\n\r\n" + body)


MANY = """
local count = 0
function handler(rest)
  local http = rest:http()
  count = count + 1
  http:header("Content-Length", "2")
  http:header("X-Number-" .. count, "")
  http:write("ok")
  http:flush_end()
end
"""


@pytest.mark.parametrize("web", ["lua", "python"], indirect=True)
def test_names_of_headers_beyond_those_that_are_remembered_change_nothing(web: Web) -> None:
    web.start(MANY)
    asked = [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"] * 1199
    found = answers_to(web, [*asked, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"])
    assert [answer.lower().count(b"content-length:") for answer in found] == [1] * 1200
    with Client(web.port) as client:
        for _ in range(1200):
            names = [name for name, _ in client.until(ResponseReceived, client.ask("/")).headers]
            assert names.count("content-length") == 1
