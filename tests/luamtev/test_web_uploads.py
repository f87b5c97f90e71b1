"""Bodies that handlers read as they come: piece by piece, no faster than they want, to the end or not."""

import gzip
import http.client
import random
import re
import socket
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from h2.events import StreamReset
from h2client import Client
from waiting import until
from webprogram import Reply, Web

MOUNTS = (
    "<mount_up>web:POST:/</mount_up><stream_up>true</stream_up><mount_get>web:GET:/</mount_get>"
    "<mount_whole>web:PUT:/</mount_whole>"
)

HANDLER = """
local going, seen, ended = false, 0, "nothing"
local acts = {}

-- Reads all, and says how much and what of.
function acts.read(http, req)
  local sum = 0
  while true do
    local piece, why = req:read(tonumber(req:querystring("most")))
    if not piece then
      ended = why or "the end"
      if why then return end
      break
    end
    seen = seen + #piece
    sum = sum + #piece
    if req:querystring("slow") then mtev.sleep(0.001) end
  end
  http:write(tostring(sum))
  http:flush_end()
end

function acts.echo(http, req)
  while true do
    local piece = req:read()
    if not piece then break end
    http:write(piece)
    http:flush()
  end
  http:flush_end()
end

-- The same, but whoever sends half a body gets half an answer.
function acts.half(http, req)
  local piece
  repeat
    piece = req:read()
    if piece then http:write(piece) http:flush() end
  until not piece
end

function acts.digest(http, req)
  local pieces, piece = {}, nil
  repeat
    piece = req:read()
    pieces[#pieces + 1] = piece
  until not piece
  http:write(mtev.sha256_hex(table.concat(pieces)))
  http:flush_end()
end

-- Reads nothing before somebody says so.
function acts.wait(http, req)
  while not going do mtev.sleep(0.01) end
  acts.read(http, req)
end

function acts.refuse(http)
  http:status(401)
  http:write("no")
  http:flush_end()
end

function acts.whole(http, req)
  local first = req:read(3)
  local rest, again = req:payload(), req:payload()
  http:write(tostring(first) .. "|" .. tostring(rest) .. "|" .. tostring(again) .. "|" .. tostring(req:read()))
  http:flush_end()
end

-- Has another coroutine read first, and reads on once that was cancelled.
function acts.two(http, req)
  local other
  mtev.coroutine_spawn(function()
    other = coroutine.running()
    req:read()
  end)
  local good, why = pcall(req.read, req)
  ended = tostring(good) .. " " .. why
  mtev.cancel_coro(other)
  http:write(req:read())
  http:flush_end()
end

function acts.form(http, req)
  http:write(tostring(req:form("a")))
  http:flush_end()
end

function acts.late(http, req)
  http:write("early")
  http:flush_end()
  local piece, why = req:read()
  ended = tostring(piece) .. " " .. tostring(why)
end

function acts.wrong(http, req)
  for _, most in ipairs({ 0, 1.5, "x" }) do http:write(select(2, pcall(req.read, req, most)) .. "|") end
  http:flush_end()
end

function handler(rest)
  local http = rest:http()
  local req = http:request()
  local act = acts[req:uri():match("^/(%a*)")]
  if act then return act(http, req) end
  if req:uri() == "/-go" then going = true end
  http:write(seen .. " " .. ended)
  http:flush_end()
end
"""


def connected(web: Web, data: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", web.port), 20)
    client.sendall(data)
    return client


def head(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: a", *fields, "", ""]).encode()


def all_of(client: socket.socket) -> bytes:
    data = b""
    while piece := client.recv(65536):
        data += piece
    return data


def curl(web: Web, path: str, *options: str) -> str:
    command = ["curl", "-s", "-S", "--max-time", "30", *options, f"http://127.0.0.1:{web.port}{path}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def post(web: Web, path: str, body: bytes, **headers: str) -> Reply:
    return web.ask(path, "POST", body, **headers)


both = pytest.mark.parametrize("web", ["lua", "python"], indirect=True)


def started(web: Web, listener: str = "", settled: bool = False) -> Web:
    web.listener = listener
    return web.start(HANDLER, web=MOUNTS, settled=settled)


@both
def test_a_piece_is_read_before_the_next_is_sent(web: Web) -> None:
    started(web)
    for begins, pieces, ends in (
        (head("/read", "Content-Length: 6"), [b"one", b"two"], b""),
        (head("/read", "Transfer-Encoding: chunked"), [b"3\r\none\r\n", b"3\r\ntwo\r\n"], b"0\r\n\r\n"),
    ):
        before = int(web.text("/").split()[0])
        with connected(web, begins) as client:
            client.sendall(pieces[0])
            until(lambda before=before: web.text("/").startswith(f"{before + 3} "))
            client.sendall(pieces[1] + ends)
            assert client.recv(65536).endswith(b"\r\n\r\n6")
            client.sendall(head("/read", "Content-Length: 2") + b"ab" + head("/read"))
            data = b""
            while data.count(b"HTTP/1.1 200") < 2:
                data += client.recv(65536)
    assert web.text("/").endswith("the end")


def test_a_client_of_http2_is_read_likewise(web: Web) -> None:
    started(web)
    with Client(web.port) as client:
        stream = client.ask("/read", method="POST", end=False)
        client.h2.send_data(stream, b"one")
        client.send()
        until(lambda: web.text("/").startswith("3 "))
        other = client.ask("/echo", method="POST", end=False)
        client.h2.send_data(other, b"other", end_stream=True)
        client.send()
        assert client.body(other) == b"other"
        client.h2.send_data(stream, b"two", end_stream=True)
        client.send()
        assert client.body(stream) == b"6"


BIG = 100 << 20


@both
def test_what_nobody_reads_is_left_to_the_client(web: Web) -> None:
    started(web, f"<max_upload>{BIG}</max_upload>", settled=True)
    web.text("/")
    before = web.resident()
    with connected(web, head("/wait", f"Content-Length: {BIG}")) as client:
        client.settimeout(1)
        piece, sent = bytes(1 << 20), 0
        try:
            while sent < BIG:
                sent += client.send(piece[: BIG - sent])
        except TimeoutError:
            pass
        assert sent < BIG // 2
        assert web.resident() - before < 16 << 20
        client.settimeout(60)
        web.text("/-go")
        client.sendall(bytes(BIG - sent))
        assert client.recv(65536).endswith(b"\r\n\r\n%d" % BIG)
        assert web.resident() - before < 24 << 20


def test_a_stream_that_nobody_reads_is_left_to_its_client_and_holds_up_no_other(web: Web) -> None:
    size = 4 << 20
    started(web, f"<max_upload>{size}</max_upload>")
    with Client(web.port) as client:
        waits = [client.begin("/wait", method="POST", end=False) for _ in range(3)]
        client.send()
        left = dict.fromkeys(waits, size)

        def send() -> None:
            for stream in waits:
                while left[stream]:
                    part = min(left[stream], client.h2.local_flow_control_window(stream), 16384)
                    if part <= 0:
                        break
                    left[stream] -= part
                    client.h2.send_data(stream, bytes(part), end_stream=not left[stream])
                    client.send()

        for _ in range(40):
            send()
            while client.h2.outbound_flow_control_window < 10:
                client.receive()
            other = client.ask("/read", method="POST", end=False)
            client.h2.send_data(other, bytes(10), end_stream=True)
            client.send()
            assert client.body(other) == b"10"
        assert all(size - each < 1 << 20 for each in left.values())
        web.text("/-go")
        while any(left.values()):
            send()
            if any(left.values()):
                client.receive()
        assert [client.body(stream) for stream in waits] == [str(size).encode()] * 3


@both
def test_a_client_that_asks_before_it_sends_is_told_when_its_body_is_read(web: Web) -> None:
    started(web)
    expects = ("Content-Length: 4", "Expect: 100-continue")
    with connected(web, head("/read", *expects)) as client:
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"body")
        assert client.recv(65536).endswith(b"\r\n\r\n4")
    with connected(web, head("/refuse", *expects)) as client:
        answer = all_of(client)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"Connection: close\r\n" in answer
    body = web.directory / "body"
    body.write_bytes(bytes(2_000_000))
    for options in ([], ["--http2-prior-knowledge"]):
        assert curl(web, "/read", "-H", "Expect: 100-continue", "--data-binary", f"@{body}", *options) == "2000000"


@both
def test_a_request_that_is_answered_before_its_end_has_its_answer(web: Web) -> None:
    started(web)
    with connected(web, head("/refuse", "Content-Length: 10") + b"12345") as client:
        assert b"Connection" not in client.recv(65536)
        client.sendall(b"67890" + head("/read", "Content-Length: 1") + b"x")  # so little is passed over
        assert client.recv(65536).endswith(b"\r\n\r\n1")
    for begins in (head("/refuse", "Content-Length: 1000000"), head("/refuse", "Transfer-Encoding: chunked")):
        with connected(web, begins) as client:
            answer = all_of(client)
            assert answer.startswith(b"HTTP/1.1 401 ")
            assert b"Connection: close\r\n" in answer
    body = web.directory / "body"
    body.write_bytes(bytes(3_000_000))
    for options in ([], ["--http2-prior-knowledge"], ["-H", "Transfer-Encoding: chunked"]):
        assert curl(web, "/refuse", "--data-binary", f"@{body}", *options) == "no"
    with connected(web, head("/late", "Content-Length: 10") + b"12345") as client:
        assert client.recv(65536).endswith(b"early")
        until(lambda: web.text("/").endswith("nil the request is answered"))


@both
def test_a_body_that_is_too_long_is_refused(web: Web) -> None:
    started(web, "<max_upload>1000</max_upload>")
    assert post(web, "/read", bytes(1000)).body == b"1000"
    assert post(web, "/read", bytes(1001)).status == 413
    chunks = b"".join(b"c8\r\n" + bytes(200) + b"\r\n" for _ in range(6))
    with connected(web, head("/read", "Transfer-Encoding: chunked") + chunks) as client:
        answer = all_of(client)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert answer.endswith(b"Too Large\n")
    until(lambda: web.text("/").endswith("the body is too long"))
    with Client(web.port) as client:
        stream = client.ask("/read", method="POST", end=False)
        for _ in range(6):
            client.h2.send_data(stream, bytes(200))
        client.send()
        assert client.head(stream)[":status"] == "413"


@both
def test_a_body_that_is_malformed_is_refused(web: Web) -> None:
    started(web)
    with connected(web, head("/read", "Transfer-Encoding: chunked") + b"3\r\nabc\r\nzz\r\n") as client:
        assert all_of(client).startswith(b"HTTP/1.1 400 ")
    until(lambda: web.text("/").endswith("the body is malformed"))
    assert web.errors() == ""


@both
def test_half_a_body_is_no_whole_answer(web: Web) -> None:
    started(web)
    with connected(web, head("/half", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n") as client:
        while b"3\r\nabc\r\n" not in (answer := client.recv(65536)):
            assert answer
        client.sendall(b"zz\r\n")
        assert b"0\r\n\r\n" not in all_of(client)
    with Client(web.port) as h2:
        stream = h2.ask("/half", ("content-length", "10"), method="POST", end=False)
        h2.h2.send_data(stream, b"abc")
        h2.send()
        assert h2.head(stream)[":status"] == "200"
        h2.sock.shutdown(socket.SHUT_WR)
        assert h2.until(StreamReset, stream)


@both
@pytest.mark.parametrize("path", ["/read", "/wait"])
def test_a_reader_learns_that_its_client_has_gone(web: Web, path: str) -> None:
    started(web)
    for field in ("Content-Length: 10", "Transfer-Encoding: chunked"):
        with connected(web, head(path, field) + b"5\r\n12"):
            until(lambda: path == "/wait" or not web.text("/").startswith("0 "))
        web.text("/-go")
        until(lambda: web.text("/").endswith("the client is gone"))
        web.text("/read", "POST", b"")
        post(web, "/read", b"x")
        assert web.text("/").endswith("the end")


def test_a_reader_learns_that_its_stream_was_reset(web: Web) -> None:
    started(web)
    with Client(web.port) as client:
        stream = client.ask("/read", method="POST", end=False)
        client.h2.send_data(stream, b"abc")
        client.send()
        until(lambda: web.text("/").startswith("3 "))
        client.h2.reset_stream(stream, 8)
        client.send()
        until(lambda: web.text("/").endswith("the client is gone"))


@both
def test_a_client_that_sends_nothing_more_is_let_go(web: Web) -> None:
    started(web, "<idle_timeout>1500</idle_timeout>")
    with connected(web, head("/read", "Content-Length: 10") + b"12345") as client:
        assert all_of(client) == b""
    until(lambda: web.text("/").endswith("the client is gone"))
    with Client(web.port) as h2:
        stream = h2.ask("/read", method="POST", end=False)
        assert h2.until(StreamReset, stream)


@both
def test_encoded_bodies_are_decoded_as_they_come(web: Web) -> None:
    started(web, "<max_upload>3000000</max_upload>")
    text = b"a text that repeats " * 100_000
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    for name, body in (
        ("gzip", gzip.compress(text)),
        ("x-gzip", gzip.compress(text[:1000]) + gzip.compress(text[1000:])),
        ("deflate", zlib.compress(text)),
        ("deflate", raw.compress(text) + raw.flush()),
        ("identity", text),
    ):
        assert post(web, "/read", body, Content_Encoding=name).body == b"2000000", name
        assert post(web, "/read?most=1000", body, Content_Encoding=name).body == b"2000000", name
    for name, body, status in (
        ("gzip", gzip.compress(text)[:-5], 400),
        ("gzip", b"no gzip at all", 400),
        ("gzip", gzip.compress(bytes(3_000_001)), 413),
        ("gzip", b"", 400),
        ("br", b"x", 415),
        ("gzip, gzip", b"x", 415),
    ):
        with connected(web) as client:
            client.sendall(head("/read", f"Content-Encoding: {name}", "Transfer-Encoding: chunked"))
            client.sendall((b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 %d " % status), (name, body[:20])


@both
def test_the_rest_can_be_had_whole(web: Web) -> None:
    started(web)
    for method in ("POST", "PUT"):
        said = {"POST": b"abc|def|def|nil", "PUT": b"abc|abcdef|abcdef|def"}  # whole is what it was, or what is left
        assert web.ask("/whole", method, b"abcdef").body == said[method]
        assert web.ask("/form", method, b"a=1&b=2", Content_Type="application/x-www-form-urlencoded").body == b"1"
        assert web.ask("/digest", method, b"").body == web.ask("/digest", "GET").body
    told = web.ask("/wrong", "POST", b"x").body.decode().split("|")
    assert [each.rpartition("expected, ")[2] for each in told[:3]] == ["got 0)", "got 1.5)", "got x)"]


@both
def test_a_body_that_was_read_whole_is_read_in_pieces_too(web: Web) -> None:
    started(web)
    assert web.ask("/read?most=7", "PUT", bytes(100)).body == b"100"
    assert web.ask("/echo", "PUT", b"said").body == b"said"
    assert web.text("/read") == "0"


def test_pieces_that_are_torn_anywhere_are_the_body(web: Web) -> None:
    started(web)
    chance = random.Random(4)
    with connected(web) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(30):
            body = chance.randbytes(chance.choice([1, 2, 300, 5000, 200_000]))
            message, at = head("/echo", "Transfer-Encoding: chunked"), 0
            while at < len(body):
                part = body[at : at + chance.choice([1, 17, 4000, 100_000])]
                message += b"%x\r\n%b\r\n" % (len(part), part)
                at += len(part)
            message += b"0\r\n\r\n"
            while message:
                size = chance.choice([1, 3, 50, 3000, 100_000])
                client.sendall(message[:size])
                message = message[size:]
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert answer.read() == body


@both
def test_one_coroutine_reads_at_a_time(web: Web) -> None:
    started(web)
    with connected(web, head("/two", "Content-Length: 4")) as client:
        until(lambda: "another coroutine reads the body" in web.text("/"))
        client.sendall(b"body")
        assert client.recv(65536).endswith(b"\r\n\r\nbody")


@both
def test_the_reader_may_be_on_another_loop(web: Web) -> None:
    web.start(
        HANDLER,
        web=MOUNTS + "<loop_assign_up>other</loop_assign_up>",
        eventer="<loop_other><concurrency>1</concurrency></loop_other>",
    )
    assert post(web, "/read", bytes(3_000_000)).body == b"3000000"
    assert post(web, "/echo", b"said").body == b"said"
    with connected(web, head("/read", "Content-Length: 10") + b"12345") as client:
        client.shutdown(socket.SHUT_WR)
        assert all_of(client).startswith(b"HTTP/1.1 400 ")


@both
def test_a_request_waits_for_those_before_it_and_the_log_knows_its_size(web: Web) -> None:
    started(web)
    ask = head("/read?slow=1", "Content-Length: 50000") + bytes(50_000) + head("/read", "Content-Length: 3") + b"abc"
    with connected(web, ask + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") as client:
        answers = all_of(client)
    assert answers.index(b"\r\n\r\n50000") < answers.index(b"\r\n\r\n3") < answers.index(b"50003 the end")
    log = web.directory / "access.log"
    until(lambda: "|50000 " in log.read_text())
    assert web.errors() == ""
    assert web.stop() == 0


@pytest.mark.parametrize("number", [0, 1])
def test_the_handlers_of_the_page_do_what_it_says(web: Web, number: int) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "lua_web.md").read_text()
    bodies = page.partition("## Bodies")[2].partition("\n## ")[0]
    handlers = re.findall(r"^```lua\n(.*?)^```$", bodies, re.DOTALL | re.MULTILINE)
    assert len(handlers) == 2
    web.start(handlers[number], web=MOUNTS)
    form = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\ntext\r\n'
    form += b'--b\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n\r\ncontent\r\n--b--'
    said = web.ask("/", "POST", form, Content_Type="multipart/form-data; boundary=b").body.decode()
    assert said == (str(len(form)), "a=text\nf: 7")[number]


def test_a_mount_that_cannot_read_as_it_comes_is_a_mistake(luamtev: Callable[..., object], tmp_path: Path) -> None:
    for keys, culprit in (
        ("<mount_a>web:WS:/a/</mount_a><stream_a>true</stream_a>", "stream_a: mount_a is for WebSocket connections"),
        ("<mount_a>web:POST:/a/</mount_a><stream_a>maybe</stream_a>", "stream_a 'maybe'"),
        ("<stream_a>true</stream_a>", "stream_a: there is no mount_a"),
    ):
        (tmp_path / "a.conf").write_text(
            f'<cli><modules><generic image="lua_mtev" name="lua_web"><config>{keys}</config></generic></modules></cli>'
        )
        done = luamtev("-t", "-c", "a.conf", source="function main() end")
        assert culprit in done.stderr.decode(), done.stderr  # type: ignore[attr-defined]
