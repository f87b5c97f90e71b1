"""rest:on_abort: handlers hear that their client has gone, whoever serves it and whatever it speaks."""

import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from certificates import Authority
from h2client import Client
from launching import free_port
from waiting import until
from webprogram import Web, secure_listener

HANDLER = """
local told, done, answers = 0, {}, 0
local acts = {}

-- Waits for up to a minute, or until its client has gone.
function acts.wait(rest, http)
  local key = http:request():querystring("key")
  rest:on_abort(function()
    mtev.sleep(0)
    told = told + 1
    mtev.notify("gone" .. key)
  end)
  done[key] = "begun"
  done[key] = mtev.waitfor("gone" .. key, 60) and "gone" or "late"
  http:write("over")
  answers = answers + (http:flush_end() and 1 or 0)
end

-- The same, by cancelling the handler.
function acts.cancel(rest, http)
  local co = coroutine.running()
  rest:on_abort(function() told = told + 1 mtev.cancel_coro(co) end)
  done.cancel = "begun"
  mtev.sleep(60)
end

-- Says more for as long as somebody takes it.
function acts.pour(rest, http)
  local gone = false
  rest:on_abort(function() gone = true told = told + 1 end)
  while not gone do
    http:write(("x"):rep(100000))
    if not http:flush() then mtev.sleep(0.01) end
  end
  done.pour = "gone"
end

function acts.late(rest, http)
  while answers == 0 do mtev.sleep(0.01) end
  mtev.sleep(0.05)
  done.late = tostring(rest:on_abort(function() told = told + 1 end))
end

function acts.answered(rest, http)
  local before = rest:on_abort(function() told = told + 100 end)
  http:write(tostring(before))
  http:flush_end()
  done.answered = tostring(rest:on_abort(function() told = told + 100 end))
end

function acts.twice(rest, http)
  for _ = 1, 2 do rest:on_abort(function() told = told + 1 end) end
  http:write("part")
  http:flush()
  mtev.sleep(60)
end

function acts.fails(rest, http)
  rest:on_abort(function() told = told + 1 error("said when it was told") end)
  mtev.sleep(60)
end

function acts.wrong(rest, http)
  for _, wrong in ipairs({ false, "f", {} }) do
    http:write(select(2, pcall(rest.on_abort, rest, wrong)) .. "|")
  end
  http:write(select(2, pcall(rest.on_abort, rest)))
  http:flush_end()
end

function acts.set(rest, http) answers = answers + 1 http:write("set") http:flush_end() end

function acts.told(rest, http)
  http:write(told .. " " .. tostring(done[http:request():querystring("of") or ""]))
  http:flush_end()
end

function handler(rest)
  local http = rest:http()
  acts[http:request():uri():match("^/(%a+)")](rest, http)
end
"""


def begin(web: Web, path: str, more: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", web.port), 20)
    client.sendall(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n" + more)
    return client


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def half_close(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)


ENDS = [socket.socket.close, reset, half_close]
both = pytest.mark.parametrize("web", ["lua", "python"], indirect=True)


@both
@pytest.mark.parametrize("end", ENDS)
def test_a_handler_hears_that_its_client_has_gone(web: Web, end: Callable[[socket.socket], None]) -> None:
    web.start(HANDLER)
    client = begin(web, "/wait?key=a")
    until(lambda: web.text("/told?of=a") == "0 begun")
    end(client)
    until(lambda: web.text("/told?of=a") == "1 gone")
    if end is half_close:  # it may still read
        answer = b""
        while data := client.recv(65536):
            answer += data
        assert answer.endswith(b"over")
        client.close()
    assert web.errors() == ""


@both
@pytest.mark.parametrize("end", ENDS)
def test_what_waits_behind_the_request_keeps_nobody_from_hearing(
    web: Web, end: Callable[[socket.socket], None]
) -> None:
    web.start(HANDLER)
    client = begin(web, "/wait?key=a", b"GET /told HTTP/1.1\r\nHost: a\r\n\r\n")
    until(lambda: web.text("/told") == "0 nil")
    client.sendall(b"GET /told HTTP/1.1\r\nHost: a\r\n\r\n")
    end(client)
    until(lambda: web.text("/told?of=a") == "1 gone")
    client.close()


@both
def test_one_whose_client_is_gone_already_hears_it_at_once_and_one_that_answered_does_not(web: Web) -> None:
    web.start(HANDLER)
    begin(web, "/late").close()
    assert web.text("/set") == "set"
    until(lambda: web.text("/told?of=late") == "1 true")
    with begin(web, "/answered") as client:
        assert client.recv(65536).endswith(b"true")
    until(lambda: web.text("/told?of=answered") == "1 false")


LATE = """
local watched, told = 0, 0
function handler(rest)
  local http, asked = rest:http(), rest:http():request()
  local clock = os.clock()
  repeat until not asked:querystring("spin") or os.clock() > clock + 0.005
  if asked:querystring("watch") then
    watched = watched + 1
    rest:on_abort(function() told = told + 1 end)
    mtev.sleep(0.01)
  end
  http:write(asked:uri() == "/late" and "late" or watched .. " " .. told)
  http:flush_end()
end
"""


@both
def test_whoever_runs_for_a_client_that_went_before_its_turn_hears_it(web: Web) -> None:
    web.start(LATE)
    for _ in range(5):
        assert web.text("/late?spin") == "late"  # what is said before it leaves first from now on
        with socket.create_connection(("127.0.0.1", web.port), 20) as client:
            client.sendall(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET /late?watch HTTP/1.1\r\nHost: a\r\n\r\n")
            reset(client)
    until(lambda: len(set(web.text("/first").split())) == 1, lambda: web.text("/first"))


@both
def test_all_functions_are_called_and_one_that_fails_is_logged(web: Web) -> None:
    web.start(HANDLER)
    with begin(web, "/twice") as client:
        assert b"part" in client.recv(65536)
    until(lambda: web.text("/told") == "2 nil")
    begin(web, "/fails").close()
    until(lambda: web.text("/told") == "3 nil")
    until(lambda: "said when it was told" in web.errors())


@both
def test_a_client_that_does_not_read_is_heard_to_go(web: Web) -> None:
    web.start(HANDLER)
    client = begin(web, "/pour")
    assert client.recv(10)
    client.close()
    until(lambda: web.text("/told?of=pour") == "1 gone")


@both
def test_a_handler_that_is_cancelled_leaves_no_connection_behind(web: Web) -> None:
    web.start(HANDLER)
    web.text("/told")
    before = web.descriptors()
    client = begin(web, "/cancel")
    half_close(client)
    assert client.recv(65536).startswith(b"HTTP/1.1 500 ")
    client.close()
    begin(web, "/cancel").close()
    until(lambda: web.text("/told") == "2 nil" and web.descriptors() <= before)


@both
def test_only_a_function_will_do(web: Web) -> None:
    web.start(HANDLER)
    told = web.text("/wrong").split("|")
    assert told[0].endswith("bad argument #1 to 'on_abort' (function expected, got boolean)")
    assert told[3].endswith("wrong number of arguments to 'on_abort' (1 expected, got 0)")


@both
def test_the_handler_may_be_on_another_loop(web: Web) -> None:
    web.start(
        HANDLER,
        web="<mount_get>web:GET:/</mount_get><loop_assign_get>other</loop_assign_get>",
        eventer="<loop_other><concurrency>1</concurrency></loop_other>",
    )
    begin(web, "/wait?key=a").close()
    until(lambda: web.text("/told?of=a") == "1 gone")
    assert web.text("/answered") == "true"


@both
@pytest.mark.parametrize("polite", [True, False])
def test_a_client_on_tls_is_heard_to_go(web: Web, tmp_path: Path, polite: bool) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("localhost", "localhost")
    port = free_port()
    web.start(HANDLER, listeners=secure_listener(port, issued))
    web.await_port(port)
    context = ssl.create_default_context(cafile=str(authority.issued.certificate))
    for key, more in (("a", b""), ("b", b"GET /told HTTP/1.1\r\nHost: a\r\n\r\n")):
        plain = socket.create_connection(("127.0.0.1", port), 20)
        with context.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(b"GET /wait?key=%b HTTP/1.1\r\nHost: a\r\n\r\n" % key.encode() + more)
            until(lambda key=key: web.text(f"/told?of={key}").endswith("begun"))
            told = int(web.text("/told").split()[0])
            if polite:
                client.setblocking(False)
                with pytest.raises(ssl.SSLError):  # the answer is not there yet, or comes too late
                    client.unwrap()  # which says that it ends, and nothing else does
            else:
                client.close()
            until(lambda told=told, key=key: web.text(f"/told?of={key}") == f"{told + 1} gone")


def test_a_stream_of_http2_that_is_reset_is_heard_and_its_neighbour_is_not(web: Web) -> None:
    web.start(HANDLER)
    with Client(web.port) as client:
        first, second = client.begin("/wait?key=a"), client.begin("/wait?key=b")
        client.send()
        until(lambda: web.text("/told?of=b") == "0 begun")
        client.h2.reset_stream(first, 8)
        client.send()
        until(lambda: web.text("/told?of=a") == "1 gone")
        assert web.text("/told?of=b") == "1 begun"
        cancelled = client.ask("/cancel")
        until(lambda: web.text("/told?of=cancel") == "1 begun")
        client.h2.reset_stream(cancelled, 8)
        client.send()
        until(lambda: web.text("/told?of=b") == "2 begun")
        number = client.ask("/answered")
        client.body(number)
        half_close(client.sock)
        until(lambda: web.text("/told?of=b") == "3 gone")
        client.body(second)
    assert web.text("/told?of=answered") == "3 false"
