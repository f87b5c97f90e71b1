"""HTTP/2 on real sockets: curl, h2load, the library's client; clear text and TLS, the clock, the end of the server."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import gevent
import pytest
from certificates import Authority
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, ResponseReceived, StreamReset
from h2client import Client
from hearing import hear
from looping import on
from serving import echo, house, server
from waiting import until

from runtime import conf, eventer, http, log, net
from runtime.eventer import Pool
from runtime.http import Request, Response
from runtime.http.message.peer import Peer
from runtime.http.protocol.frames import PREFACE
from runtime.http.serve.batches import batches

ALLOW = b'<app><rest><acl type="allow"/></rest></app>'
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
needs_h2load = pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not here")


@pytest.fixture(autouse=True)
def open_house(loops: Pool) -> Iterator[None]:
    with house(("GET", "^hello$", hello), ("POST", "^echo$", echo)):
        yield


def hello(request: Request, response: Response) -> None:
    response.write(b"Hello by " + request.protocol)
    response.flush_end()


def tls_server(directory: Path, npn: str = "", **config: str) -> int:
    issued = Authority(directory).issue("localhost", "localhost", "127.0.0.1")
    keys = f"<certificate_file>{issued.certificate}</certificate_file><key_file>{issued.key}</key_file>" + npn
    options = "".join(f"<{key}>{value}</{key}>" for key, value in config.items())
    (listener,) = net.listen(
        conf.loads(
            f"""<app><listeners><sslconfig>{keys}</sslconfig><config>{options}</config>
            <listener type="http_rest_api" address="127.0.0.1" port="0" ssl="on"/></listeners></app>""".encode()
        )
    )
    listener.start()
    return listener.port


def curl(*arguments: str) -> str:
    command = ["curl", "-s", "-S", "-k", "--max-time", "20", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@needs_curl
def test_curl_is_served_by_prior_knowledge() -> None:
    url = f"http://127.0.0.1:{server()}/hello"
    assert curl("--http2-prior-knowledge", "-w", " %{http_version}", url) == "Hello by HTTP/2 2"
    assert curl("--http2-prior-knowledge", "-I", url).startswith("HTTP/2 200")
    assert curl("--http2", url) == "Hello by HTTP/1.1"  # Upgrade: h2c is passed over


@needs_curl
def test_curl_agrees_on_http_2_over_tls_unless_it_is_turned_off(tmp_path: Path) -> None:
    url = f"https://127.0.0.1:{tls_server(tmp_path)}/hello"
    assert curl("-w", " %{num_connects}.", url, url) == "Hello by HTTP/2 1.Hello by HTTP/2 0."
    port = tls_server(tmp_path, "<npn>none</npn>")
    assert curl("--http2", f"https://127.0.0.1:{port}/hello") == "Hello by HTTP/1.1"
    assert curl("--http1.1", f"https://127.0.0.1:{tls_server(tmp_path)}/hello") == "Hello by HTTP/1.1"
    port = tls_server(tmp_path, "<npn>none</npn><alpn>h2, http/1.1</alpn>")
    assert curl(f"https://127.0.0.1:{port}/hello") == "Hello by HTTP/2"
    port = tls_server(tmp_path, "<alpn>http/1.1</alpn>")
    assert curl(f"https://127.0.0.1:{port}/hello") == "Hello by HTTP/1.1"


def test_an_npn_that_cannot_be_is_named(tmp_path: Path) -> None:
    with pytest.raises(conf.ConfError, match="sslconfig npn: expected h2 or none, not 'spdy'"):
        tls_server(tmp_path, "<npn>spdy</npn>")
    with pytest.raises(conf.ConfError, match="sslconfig alpn: expected h2 or none, not 'h2,spdy'"):
        tls_server(tmp_path, "<alpn>h2,spdy</alpn>")


@needs_curl
@pytest.mark.parametrize("secure", [False, True])
def test_curl_moves_large_files_both_ways(tmp_path: Path, secure: bool) -> None:
    content = os.urandom(5_000_000)
    (tmp_path / "large").write_bytes(content)
    port = tls_server(tmp_path, document_root=str(tmp_path)) if secure else server(document_root=str(tmp_path))
    base = f"http{'s' if secure else ''}://127.0.0.1:{port}"
    version = "--http2" if secure else "--http2-prior-knowledge"
    curl(version, "-o", str(tmp_path / "back"), base + "/large")
    assert (tmp_path / "back").read_bytes() == content
    curl(version, "-o", str(tmp_path / "again"), "--data-binary", f"@{tmp_path}/large", base + "/echo")
    assert (tmp_path / "again").read_bytes() == content
    code = curl(version, "-o", os.devnull, "-w", "%{http_code}", "-r", "1-2", base + "/large")
    assert code == "206"


@needs_curl
def test_curl_shares_one_connection_among_parallel_requests(tmp_path: Path) -> None:
    for index in range(10):
        (tmp_path / f"file{index}").write_bytes(bytes([index]) * 300_000)
    base = f"https://127.0.0.1:{tls_server(tmp_path, document_root=str(tmp_path))}"
    connects = curl("--parallel", "--parallel-max", "10", "-w", "%{num_connects}", f"{base}/file[0-9]", "-o",
                    f"{tmp_path}/back#1")  # fmt: skip
    assert connects.count("1") == 1
    for index in range(10):
        assert (tmp_path / f"back{index}").read_bytes() == bytes([index]) * 300_000


@needs_curl
def test_refusals_have_their_status_and_405_names_the_methods() -> None:
    base = f"http://127.0.0.1:{server(max_upload='100', max_uri='50', max_header='500')}"
    status = ["--http2-prior-knowledge", "-o", os.devnull, "-w", "%{http_code}"]
    assert curl(*status, base + "/nowhere") == "404"
    assert curl(*status, "-d", "x" * 101, base + "/echo") == "413"
    assert curl(*status, "-d", "x", base + "/nowhere") == "404"
    assert curl(*status, base + "/" + "x" * 51) == "414"
    assert curl(*status, "-H", "X: " + "y" * 600, base + "/hello") == "431"
    assert "allow: GET, HEAD" in curl("--http2-prior-knowledge", "-i", "-X", "DELETE", base + "/hello")
    http.configure(None)
    assert curl(*status, base + "/hello") == "403"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/a%zz", "400"), ("/hello%00", "400"), ("/x/../hello", "200"), ("//hello", "200"), ("/%2e/hello", "200")],
)
@pytest.mark.parametrize("end", [True, False])
def test_paths_are_made_normal_and_what_cannot_be_is_a_400(path: str, status: str, end: bool) -> None:
    http.mount("POST", "/", "^hello$", hello)
    with Client(server()) as client:
        number = client.ask(path, method="GET" if end else "POST", end=end)
        if not end:
            client.h2.send_data(number, b"x", end_stream=True)
            client.send()
        assert client.head(number)[":status"] == status
        assert client.body(client.ask("/hello")) == b"Hello by HTTP/2"


@needs_h2load
def test_h2load_gets_every_answer() -> None:
    url = f"http://127.0.0.1:{server()}/hello"
    done = subprocess.run(["h2load", "-n2000", "-c4", "-m50", url], capture_output=True, text=True, check=True)
    assert "2000 succeeded" in done.stdout


@pytest.mark.parametrize("cut", range(1, len(PREFACE) + 9))
def test_a_preface_torn_at_any_byte_is_known(cut: int) -> None:
    with Client(server()) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = client.h2.get_next_available_stream_id()
        client.h2.send_headers(
            number, [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/hello")], True
        )
        data = client.h2.data_to_send()
        client.sock.sendall(data[:cut])
        client.sock.sendall(data[cut:])
        assert client.until(ResponseReceived, number)
        assert client.body(number) == b"Hello by HTTP/2"


@pytest.mark.parametrize("opening", [b"P", b"PRI", PREFACE[:14], PREFACE[:-1]])
def test_what_begins_like_a_preface_and_goes_on_otherwise_is_http_1(opening: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server()), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(opening)
        sock.sendall(b"OST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" if opening == b"P" else b"?")
        assert sock.recv(100).startswith(b"HTTP/1.1 200" if opening == b"P" else b"HTTP/1.1 ")


def test_prior_knowledge_is_for_clear_text(tmp_path: Path) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    port = tls_server(tmp_path, "<npn>none</npn>")
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain) as sock,
    ):
        sock.sendall(PREFACE)
        assert sock.recv(100).startswith(b"HTTP/1.1 ")


def test_handlers_answer_later_and_wait_without_holding_up_others() -> None:
    release: Queue[Any] = Queue()

    def waits(request: Request, response: Response) -> None:
        event = gevent.event.Event()
        release.put((eventer.current(), event))
        event.wait()
        hello(request, response)

    def later(request: Request, response: Response) -> None:
        threading.Thread(target=lambda: response.resume(hello, request, response)).start()

    http.mount("GET", "/", "^wait$", waits, aco=True)
    http.mount("GET", "/", "^later$", later)
    with Client(server()) as client:
        waiting = client.ask("/wait")
        thread, event = release.get(timeout=10)
        others = [client.ask("/later") for _ in range(20)]
        for number in others:
            assert client.body(number) == b"Hello by HTTP/2"
        thread.post(event.set)
        assert client.body(waiting) == b"Hello by HTTP/2"


def test_a_client_that_goes_away_is_told_to_its_responses(loops: Pool) -> None:
    gone: Queue[Any] = Queue()
    begun: Queue[Any] = Queue()

    def never(_request: Request, response: Response) -> None:
        response.on_close = lambda: gone.put(True)
        begun.put(True)

    http.mount("GET", "/", "^never$", never)
    with Client(server()) as client:
        client.ask("/never")
        client.ask("/never")
        assert begun.get(timeout=10)
        assert begun.get(timeout=10)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert gone.get(timeout=10)
    assert gone.get(timeout=10)


def test_stopping_the_loops_says_goodbye() -> None:
    with Client(server()) as client:
        client.body(client.ask("/hello"))
        eventer.stop()
        assert client.until(ConnectionTerminated).error_code == 0


def test_draining_says_goodbye_and_finishes_what_was_begun() -> None:
    pending: Queue[Any] = Queue()
    http.mount("GET", "/", "^later$", lambda request, response: pending.put((request, response)))
    with socket.create_connection(("127.0.0.1", server()), timeout=10) as sock:
        get = bytes([0x82, 0x86, 0x44, 0x06]) + b"/later" + bytes([0x41, 0x01]) + b"a"
        sock.sendall(PREFACE + b"\0\0\0\4\0\0\0\0\0" + len(get).to_bytes(3, "big") + b"\1\5\0\0\0\1" + get)
        request, response = pending.get(timeout=10)
        drained: Queue[bool] = Queue()
        threading.Thread(target=lambda: drained.put(http.finish(10))).start()
        goodbye = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\1\0\0\0\0"
        data = b""
        while goodbye not in data:
            data += sock.recv(1000)
        response.resume(hello, request, response)
        while chunk := sock.recv(1000):
            data += chunk
        assert data.endswith(b"Hello by HTTP/2")
    assert drained.get(timeout=10)


@pytest.mark.parametrize(
    ("sent", "steps"),
    [
        (PREFACE[:10], [29.0, 31.0]),
        (PREFACE, [29.0, 31.0]),
        (PREFACE + b"\0\0\0\4\0\0\0\0\0", [59.0, 61.0]),
        (PREFACE + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\5\1\5\0\0\0\1", [29.0, 31.0]),
    ],
)
def test_a_client_that_falls_silent_is_closed_when_its_time_is_up(loops: Pool, sent: bytes, steps: list[float]) -> None:
    port = server()
    thread = loops.threads[0]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(sent)
        with Client(port) as probe:  # what it sent has arrived when this is answered
            probe.body(probe.ask("/hello"))

        def passes(seconds: float) -> int:
            for session in http.sessions_of(thread):
                session.expire(seconds)
            return len(http.sessions_of(thread))

        on(thread, lambda: passes(0.0))
        assert on(thread, lambda: passes(steps[0])) >= 1
        on(thread, lambda: passes(steps[1]))
        while sock.recv(1000):
            pass


def test_a_client_that_never_reads_bounds_memory(loops: Pool, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(50_000_000))
    port = server(document_root=str(tmp_path))
    thread = loops.threads[0]
    with Client(port) as client:
        client.h2.increment_flow_control_window(1 << 30)
        client.h2.update_settings({4: 1 << 30})
        for _ in range(50):
            client.ask("/large")

        def held() -> int:
            found = http.sessions_of(thread)
            http2: Any = found[0].http if found else None
            if http2 is None or not http2.paused:
                return 0
            return int(http2.backlog + sum(stream.waiting for stream in http2.streams.values()))

        size = until(lambda: on(thread, held))
        assert size < 50 * 200_000
        session = on(thread, lambda: http.sessions_of(thread)[0])
        on(thread, lambda: session.expire(0.0))
        on(thread, lambda: session.expire(59.0))
        assert not session.connection.closed
        on(thread, lambda: session.expire(120.0))
        assert session.connection.closed


def test_shut_windows_hold_files_no_longer_than_the_idle_timeout_whatever_pings_come(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(5_000_000))

    def held() -> int:
        return sum(os.path.realpath(each) == str(tmp_path / "large") for each in Path("/proc/self/fd").iterdir())

    with Client(server(document_root=str(tmp_path), idle_timeout="400")) as client:
        client.h2.update_settings({4: 0})
        client.send()
        numbers = [client.begin("/large") for _ in range(100)]
        client.send()
        for number in numbers:
            assert client.head(number)[":status"] == "200"
        assert held() <= 100
        ended: list[Any] = []
        while None in (ended := [client.ends(number) for number in numbers]):
            client.h2.ping(b"01234567")
            client.send()
            client.receive()
        assert {type(each) for each in ended} == {StreamReset}
        assert {each.error_code for each in ended} == {ErrorCodes.CANCEL}
        assert held() == 0
        client.h2.update_settings({4: 1000})
        client.send()
        assert client.body(client.ask("/hello")) == b"Hello by HTTP/2"


def test_who_serves_many_is_not_asked_while_each_request_is_to_be_seen() -> None:
    many = (lambda exchanges, budget: [], 1)
    http.mount("GET", "/", "^many$", hello, many=many)
    http.mount("GET", "/", "^own$", hello, many=many, auth=lambda request: True)
    peer = Peer()
    offer = batches.offer(peer, b"GET", b"/many?x")
    assert offer is not None
    assert (offer.many, offer.mount, offer.path) == (*many, b"/many")
    assert batches.offer(peer, b"GET", b"/own") is None  # its requests must be asked about
    assert batches.offer(peer, b"GET", b"/hello") is None
    before = batches.generation()
    hear("debug/rest")
    assert batches.generation() != before
    assert batches.offer(peer, b"GET", b"/many?x") is None


def test_the_access_log_has_a_line_for_each_stream(tmp_path: Path) -> None:
    path = tmp_path / "access"
    log.new_stream("http/access", type="file", path=str(path))
    with Client(server()) as client:
        client.body(client.ask("/hello?a"))
        client.body(client.ask("/nowhere"))
    eventer.stop()
    lines = path.read_text().splitlines()
    assert re.search(r'"GET /hello\?a HTTP/2" 200 \d+\|0 \d+\.\d{3}$', lines[0])
    assert re.search(r'"GET /nowhere HTTP/2" 404 \d+\|0 \d+\.\d{3}$', lines[1])


def test_the_library_comes_with_the_first_such_connection() -> None:
    program = "import sys, runtime.http; sys.exit(any(each in sys.modules for each in ('ngh2', 'wsproto')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
