"""A web service among clients that mean it harm, or just sit there: each gets what it deserves, others are served."""

import resource
import socket
import struct

import pytest
from waiting import until
from webprogram import Web

pytestmark = pytest.mark.parametrize("web", ["lua", "python"], indirect=True)

HELLO = """
    function handler(rest)
      local http = rest:http()
      http:header("Content-Type", "text/plain")
      http:write(("x"):rep(tonumber(http:request():querystring("size") or 5)))
      http:flush_end()
    end
    """

RESET = struct.pack("ii", 1, 0)  # no lingering: closing resets


def connected(web: Web, sent: bytes = b"") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", web.port), timeout=20)
    sock.sendall(sent)
    return sock


def everything(sock: socket.socket) -> bytes:
    data = b""
    try:
        while chunk := sock.recv(1 << 16):
            data += chunk
    except ConnectionResetError:
        pass
    return data


def test_ten_thousand_idle_connections_hold_up_nobody(web: Web) -> None:
    count = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + 500:
        pytest.skip(f"{hard} descriptors are too few")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 500), hard))
    idle: list[socket.socket] = []
    try:
        web.start(HELLO, settled=True)
        assert web.text("/") == "xxxxx"
        memory, descriptors = web.resident(), web.descriptors()
        for number in range(count):
            idle.append(connected(web, b"GET / HTTP/1.1\r\nHo" if number % 2 else b""))
            if number % 1000 == 999:
                assert web.text("/") == "xxxxx"
        until(lambda: web.descriptors() >= count)
        assert (web.resident() - memory) / count < 12_000
        for sock in idle[1 : count : count // 100 + 1]:
            sock.sendall(b"st: a\r\n\r\n" if sock in idle[1::2] else b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert sock.recv(1000).endswith(b"xxxxx")
        for sock in idle:
            sock.close()
        until(lambda: web.descriptors() <= descriptors)
        assert web.text("/") == "xxxxx"
    finally:
        for sock in idle:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_clients_that_mean_harm_get_what_they_deserve(web: Web) -> None:
    web.start(HELLO, settled=True)
    (web.directory / "files").mkdir(exist_ok=True)
    (web.directory / "secret").write_text("secret")
    assert web.text("/") == "xxxxx"
    memory, descriptors = web.resident(), web.descriptors()
    refused = {
        "a header line of 1 MB": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n", b"431"),
        "a line of 1 MB that never ends": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 1_000_000, b"431"),
        "a URI of 1 MB": (b"GET /" + b"y" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414"),
        "two lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", b"400"),
        "a URI that is no ASCII": (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        "no HTTP": (bytes(range(256)) * 10, b"400"),
        "a byte of zero": (b"GET /a%00b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"400"),
        "an upload of a terabyte": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n", b"413"),
    }
    for _ in range(5):
        for name, (sent, status) in refused.items():
            with connected(web) as sock:
                try:
                    sock.sendall(sent)
                except ConnectionError:
                    pass  # it said all it had to before the end of that
                assert everything(sock).startswith(b"HTTP/1.1 " + status), name
            assert web.text("/") == "xxxxx", name
    odd = b"GET /%ff%c0%af HTTP/1.1\r\nHost: a\r\nX: \xff\xfe\r\nConnection: close\r\n\r\n"
    with connected(web, odd) as sock:
        assert everything(sock).endswith(b"\r\n\r\nxxxxx")  # bytes, that is all
    assert web.ask("/", "PUT").status == 405
    for path in (b"/../secret", b"/%2e%2e/secret", b"/..%2fsecret", b"/.%2e/secret", b"/x/..\\..\\secret"):
        with connected(web, b"HEAD " + path + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") as sock:
            assert b"secret" not in everything(sock)
    until(lambda: web.descriptors() <= descriptors)
    assert web.resident() - memory < 16 << 20


def test_clients_that_stall_or_vanish_hold_up_nobody(web: Web) -> None:
    web.start(HELLO, settled=True)
    assert web.text("/") == "xxxxx"
    memory, descriptors = web.resident(), web.descriptors()
    endless = b"GET /?size=100000 HTTP/1.1\r\nHost: a\r\n\r\n" * 2000
    stalled = []
    for _ in range(20):
        stalled.append(connected(web, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000)))
        stalled.append(connected(web, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nxx"))
        lazy = connected(web)
        lazy.setblocking(False)
        try:
            lazy.send(endless)  # and never reads
        except BlockingIOError:
            pass
        stalled.append(lazy)
        assert web.text("/") == "xxxxx"
    for _ in range(200):  # gone in the middle of a body
        with connected(web, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n" + bytes(100)) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    for _ in range(50):
        assert web.text("/") == "xxxxx"
    assert web.resident() - memory < 48 << 20
    for sock in stalled:
        sock.close()
    until(lambda: web.descriptors() <= descriptors)
    assert web.text("/") == "xxxxx"
    assert "failed" not in web.errors()
