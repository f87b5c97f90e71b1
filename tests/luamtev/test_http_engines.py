"""HTTP/1 has two engines, runtime.http and the one in Lua: the same bytes get the same answers and lines of the log."""

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from launching import free_port
from webprogram import Web

SOURCE = r"""
function handler(rest, config)
  local http = rest:http()
  local req = http:request()
  local path = req:uri()
  local function tell()
    local names, lines = {}, {}
    for name in pairs(req:headers()) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do lines[#lines + 1] = name .. "=" .. req:headers(name) end
    local keys = {}
    for key, value in pairs(req:querystring()) do keys[#keys + 1] = key .. "~" .. value end
    table.sort(keys)
    return table.concat({ req:method(), path, tostring(req:payload()), tostring(req:opts()), table.concat(lines, ";"),
      table.concat(keys, ";"), config.key }, "|")
  end
  local what = path:match("^/(%a*)")
  if what == "tell" then
    http:header("Content-Type", "text/plain")
    http:write(tell())
  elseif what == "many" then
    http:status(202, "Quite Well")
    http:header("X-A", "1") http:header("x-a", "2") http:header("X-B", "3")
    http:header("Set-Cookie", "a=1") http:header("X-C", "4") http:header("Set-Cookie", "b=2")
    http:write("a") http:write("b")
  elseif what == "empty" then http:status(204)
  elseif what == "unchanged" then http:status(304) http:header("ETag", "x")
  elseif what == "close" then http:option(http.CLOSE) http:write("bye")
  elseif what == "chunked" then http:option(http.CHUNKED) http:write("in chunks")
  elseif what == "zipped" then http:option(http.GZIP) http:write(("z"):rep(1000))
  elseif what == "dated" then http:header("Date", "never") http:write("x")
  elseif what == "length" then http:header("Content-Length", "3") http:write("abc")
  elseif what == "more" then http:header("Content-Length", "3") http:write("abcdef")
  elseif what == "less" then http:header("Content-Length", "9") http:write("abc")
  elseif what == "forbidden" then http:write(tostring(pcall(http.header, http, "Connection", "close")))
  elseif what == "flushed" then
    for i = 1, 3 do http:write("piece " .. i .. "\n") http:flush() end
  elseif what == "half" then http:write("begun") http:flush() error("broken")
  elseif what == "late" then mtev.sleep(0.002) http:write(tell())
  elseif what == "big" then http:write(("b"):rep(300000))
  elseif what == "file" then
    local fd = mtev.open(config.document_root .. "/file", O_RDONLY)
    http:write("from a file: ")
    http:write_fd(fd, 100, 50)
    mtev.close(fd)
  elseif what == "fails" then error("it <broke>", 0)
  elseif what == "denied" then rest:apply_acl() return
  elseif what == "silent" then return
  end
  http:flush_end()
end
"""

REFUSALS = "(?:400|414|417|431|50[15])"
PATHS = (
    "tell many empty unchanged close chunked zipped dated length more less forbidden flushed half late big file fails"
    " denied silent"
)
TARGETS = st.one_of(
    st.sampled_from([f"/{each}".encode() for each in PATHS.split()]),
    st.sampled_from([f"/{each}".encode() for each in PATHS.split()]),
    st.sampled_from(
        [
            *(b"/tell/a%20b?x=%31&x=2&&y=a+b&z", b"/tell?", b"/tell?a?b#c", b"/tell#c", b"//tell", b"/../tell"),
            *(b"/tell/%2e%2e/x", b"*", b"http://other/tell?q=1", b"tell", b"/t\xc3\xa9", b'/tell?"\\'),
            *(b"/tell?" + b"u" * 400, b"/file?x=1"),
        ]
    ),
)
METHODS = st.sampled_from(
    [*[b"GET"] * 6, *[b"POST"] * 4, b"HEAD", b"HEAD", b"PUT", b"OPTIONS", b"BREW", b"get", b"CONNECT"]
)
VERSIONS = st.sampled_from([*[b"HTTP/1.1"] * 8, b"HTTP/1.0", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2", b"HTP/1.1", b""])
HEADERS = st.lists(
    st.sampled_from(
        [
            *(
                b"Accept: */*",
                b'User-Agent: it, "quoted"',
                b"Cookie: a=b",
                b"COOKIE: c=d",
                b"X-Twice: 1",
                b"X-Twice: 2",
            ),
            *(b"Accept-Encoding: gzip, deflate;q=0.5", b"Accept-Encoding: gzip;q=0", b"Connection: close"),
            *(b"Connection: Keep-Alive", b"Connection: keep-alive, X-Twice", b"connection: CLOSE", b"Expect: more"),
            *(b"Expect: 100-continue", b"Upgrade: websocket", b"Connection: Upgrade", b"Host: again", b"X-Empty:"),
            *(b"X-Space:   v  ", b"X-Tab:\tv", b"X-Odd : v", b"X-\xff: v", b"X-High: \xc3\xa9", b"X-Nul: a\0b"),
            *(b" folded: v", b"no colon", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip"),
            *(b"Content-Length: 3", b"Content-Length: +3", b"Content-Length: 3, 3", b"content-length: 0"),
            *(b"Keep-Alive: 3", b"TE: trailers", b"X-Bare: a\rb"),
        ]
    ),
    max_size=4,
)
BODIES = st.sampled_from([None, None, b"", b"abc", b"a=1&b=%202", b"{" * 100, b"x" * 70_000, "chunked", "short"])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One request, good or bad."""
    lines = [draw(METHODS) + b" " + draw(TARGETS) + b" " + draw(VERSIONS)]
    if draw(st.integers(0, 12)):
        lines.append(b"Host: a")
    lines += draw(HEADERS)
    body = draw(BODIES)
    content = b""
    if body == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
        content = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
    elif body == "short":
        lines.append(b"Content-Length: 10")
        content = b"abc"
    elif isinstance(body, bytes):
        lines.append(b"Content-Length: %d" % len(body))
        content = body
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """What a client sends, torn somewhere; now and then a byte is changed."""
    data = b"".join(draw(st.lists(requests(), min_size=1, max_size=5)))
    if not draw(st.integers(0, 3)):
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw(st.binary(max_size=2)) + data[at + 1 :]
    cuts = sorted(draw(st.sets(st.integers(0, min(len(data), 600)), max_size=4)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if end > start]


def answers(port: int, pieces: list[bytes]) -> tuple[bytes, bool]:
    """All that comes back, and whether it was cut: the server was done before the client."""
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b""
        try:
            for piece in pieces:
                sock.sendall(piece)
                time.sleep(0.0005)  # or the network puts them together again
            sock.shutdown(socket.SHUT_WR)
            while chunk := sock.recv(1 << 16):
                data += chunk
        except OSError:
            return data, True
    return data, False


def comparable(data: bytes) -> bytes:
    """Without what differs from second to second, a 100, which a body that has come already does not get, and which
    fault of several a request is refused for: that goes by how it was torn."""
    data = re.sub(rb"\r\nDate: [^\r]+ GMT\r\n", b"\r\nDate: now\r\n", data)
    data = re.sub(
        rb"HTTP/1.1 (?:400|414|417|431|50[15]) [^\r]+(?:\r\n[^\r]+)+\r\n\r\n[A-Z][\w -]+\n$", b"refused", data
    )
    return data.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")


def lines(web: Web) -> list[str]:
    """The access log, without times, and without what was understood of a target whose request was not: that goes by
    how it was torn."""
    text = (web.directory / "access.log").read_text()
    text = re.sub(rf'"[^"]*" {REFUSALS} \d+\|\d+ ', '"" refused ', text)
    return [re.sub(r" \[[^]]+\]| [\d.]+$", "", line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Web, Web]]:
    found = []
    for engine in ("lua", "python"):
        directory: Path = tmp_path_factory.mktemp(engine)
        (directory / "files").mkdir()
        (directory / "files" / "file").write_bytes(bytes(range(200)))
        port = free_port()
        found.append(Web(directory, port, engine=engine).start(SOURCE))
    yield found[0], found[1]
    for web in found:
        if web.process is not None and web.process.poll() is None:
            web.stop()


GOOD = b"GET /tell HTTP/1.1\r\nHost: a\r\n\r\n"


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(streams())
@example([GOOD * 40])
@example([GOOD[:10], GOOD[10:20], GOOD[20:] + GOOD[:-1], b"\n"])
@example([b"POST /tell HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc", b"def" + GOOD])
@example([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
@example([b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n" * 3])
@example([b"GET /tell HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r"])
@example([GOOD, GOOD[:-1]])
@example(
    [b"POST /tell HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na"]
)
@example([b"HEAD t", b"ell HTTP/1.1\r\n\r\n"])
@example([b"HEAD tell HTTP/1.1\r\n\r\n"])
@example([b"HEAD /tell HTP/1.1\r\n\r\n"])
@example([b"HEAD /zipped HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n" + GOOD])
def test_the_same_bytes_get_the_same_answers(both: tuple[Web, Web], pieces: list[bytes]) -> None:
    (mine, cut), (theirs, cut_too) = (answers(web.port, pieces) for web in both)
    mine, theirs = comparable(mine), comparable(theirs)
    if not cut and not cut_too:
        assert mine == theirs
    elif len(mine) < len(theirs):
        assert cut
        assert theirs.startswith(mine)
    else:
        assert cut_too or mine == theirs
        assert mine.startswith(theirs)


def test_the_same_requests_have_the_same_lines_in_the_log(both: tuple[Web, Web]) -> None:
    """After the test above, whose requests they are."""
    for web in both:
        assert web.ask("/tell").status == 200
        assert web.stop() == 0
    mine, theirs = (lines(web) for web in both)
    assert len(mine) > 100
    assert mine == theirs
