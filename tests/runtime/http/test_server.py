"""The whole server on real sockets: curl, slow and vanishing clients, files, the access log, TLS."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from queue import Queue
from typing import Any

import gevent
import pytest
from looping import on
from serving import client, echo, house, received, server
from waiting import until

from runtime import conf, eventer, hooks, http, log, net
from runtime.eventer import Pool
from runtime.http import Request, Response
from runtime.http.rest.dispatch import AUTH_DENIED

ALLOW = (
    b'<app><rest><acl type="deny"><rule type="deny" url="^/secret"/><rule type="allow" url="^/"/></acl></rest></app>'
)
HELLO = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(autouse=True)
def open_house(loops: Pool) -> Iterator[None]:
    with house(("GET", "^(hello|secret.*)$", hello), ("POST", "^echo$", echo), allow=ALLOW):
        yield


def hello(_request: Request, response: Response) -> None:
    response.header("Content-Type", "text/plain")
    response.write("Hello World")
    response.flush_end()


def answers(sock: socket.socket, count: int) -> bytes:
    """What comes until *count* answers of ``hello`` are complete."""
    data = bytearray()
    seen = looked = 0
    while seen < count:
        chunk = sock.recv(1 << 16)
        assert chunk, bytes(data[-1000:])
        data += chunk
        seen += data.count(b"Hello World", looked)
        looked = max(looked, data.rfind(b"Hello World") + 11, len(data) - 10)
    return bytes(data)


def curl(*arguments: str) -> str:
    done = subprocess.run(
        ["curl", "-s", "-S", "--max-time", "20", *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")


@needs_curl
def test_curl_is_served_with_both_versions_and_keeps_its_connection() -> None:
    url = f"http://127.0.0.1:{server()}/hello"
    for version in ("--http1.1", "--http2"):
        twice = curl(version, "-w", "%{http_code} %{num_connects}.", url, url)
        assert twice == "Hello World200 1.Hello World200 0."
    assert curl("--http1.0", url, url) == "Hello World" * 2
    head = curl("-I", url)
    assert head.startswith("HTTP/1.1 200 OK\n")
    assert "Content-Length: 11" in head


@needs_curl
def test_curl_uploads_large_and_chunked_bodies(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(os.urandom(3_000_000))
    url = f"http://127.0.0.1:{server()}/echo"
    upload = ["--data-binary", f"@{tmp_path}/body", url, "-o", str(tmp_path / "back")]
    for header in ("X: y", "Transfer-Encoding: chunked", "Expect: 100-continue"):
        curl("-H", header, *upload)
        assert (tmp_path / "back").read_bytes() == (tmp_path / "body").read_bytes()
    curl("--http2", *upload)
    assert (tmp_path / "back").read_bytes() == (tmp_path / "body").read_bytes()


@needs_curl
def test_refusals_have_their_status_and_405_names_the_methods() -> None:
    base = f"http://127.0.0.1:{server(max_upload='100')}"
    status = ["-o", os.devnull, "-w", "%{http_code}"]
    assert curl(*status, base + "/nowhere") == "404"
    assert curl(*status, base + "/secret") == "403"
    assert curl(*status, "--path-as-is", base + "/hello/../secret") == "403"
    assert curl(*status, "-d", "x" * 101, base + "/echo") == "413"
    assert curl(*status, "-d", "x", base + "/nowhere") == "404"
    head = curl("-i", "-X", "DELETE", base + "/hello")
    assert head.startswith("HTTP/1.1 405 Method Not Allowed\n")
    assert "Allow: GET, HEAD" in head


def test_without_configuration_everybody_is_denied() -> None:
    http.configure(None)
    with client(server()) as sock:
        sock.sendall(HELLO)
        assert sock.recv(1000).startswith(b"HTTP/1.1 403 Forbidden")


def test_the_encoded_form_of_a_denied_path_is_denied_too() -> None:
    http.mount("GET", "/", "^%73ecret$", hello)
    with client(server()) as sock:
        sock.sendall(b"GET /%73ecret HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 403 Forbidden")


def test_a_hook_may_answer_what_was_denied() -> None:
    def instead(_request: Request, response: Response) -> int:
        response.status(401)
        response.header("WWW-Authenticate", "Basic")
        response.flush_end()
        return hooks.DONE

    AUTH_DENIED.register("test", instead)
    try:
        with client(server()) as sock:
            sock.sendall(b"GET /secret HTTP/1.1\r\nHost: a\r\n\r\n")
            assert sock.recv(1000).startswith(b"HTTP/1.1 401 Unauthorized")
    finally:
        AUTH_DENIED.unregister("test")


def test_a_handler_may_bring_its_own_auth() -> None:
    http.mount("GET", "/own/", "^", hello, auth=lambda request: request.header("x-token") == b"t")
    http.configure(None)
    with client(server()) as sock:
        sock.sendall(b"GET /own/ HTTP/1.1\r\nHost: a\r\nX-Token: t\r\n\r\n")
        answers(sock, 1)
        sock.sendall(b"GET /own/ HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 403")


def test_pipelined_requests_are_answered_in_order_also_those_ended_later() -> None:
    def later(request: Request, response: Response) -> None:
        threading.Thread(target=lambda: response.resume(hello, request, response)).start()

    http.mount("GET", "/", "^later$", later)
    with client(server()) as sock:
        sock.sendall((HELLO + HELLO.replace(b"hello", b"later")) * 20)
        assert answers(sock, 40).count(b"200 OK") == 40


def test_an_aco_handler_may_wait_while_others_are_served() -> None:
    go = Queue[Any]()

    def waits(request: Request, response: Response) -> None:
        event = gevent.event.Event()
        go.put((eventer.current(), event))
        event.wait()
        hello(request, response)

    http.mount("GET", "/", "^wait$", waits, aco=True)
    port = server()
    with client(port) as waiting, client(port) as other:
        waiting.sendall(HELLO.replace(b"hello", b"wait"))
        thread, event = go.get(timeout=10)
        other.sendall(HELLO)
        answers(other, 1)
        thread.post(event.set)
        answers(waiting, 1)


def test_a_handler_is_called_on_the_hub_also_behind_one_in_an_aco() -> None:
    where: Queue[bool] = Queue()

    def waits(_request: Request, response: Response) -> None:
        eventer.aco_sleep(0.05)
        hello(_request, response)

    def classic(request: Request, response: Response) -> None:
        where.put(eventer.current().is_on_hub())
        hello(request, response)

    http.mount("GET", "/", "^waits$", waits, aco=True)
    http.mount("GET", "/", "^classic$", classic)
    with client(server()) as sock:
        sock.sendall(HELLO.replace(b"/hello", b"/waits") + HELLO.replace(b"/hello", b"/classic"))
        answers(sock, 2)
    assert where.get(timeout=10)


def test_an_aco_handler_may_have_a_job_queue_work() -> None:
    def works(request: Request, response: Response) -> None:
        assert eventer.in_aco()
        response.write(eventer.aco_simple_asynch(lambda: threading.current_thread().name))
        eventer.aco_sleep(0.001)
        response.flush_end()

    http.mount("GET", "/", "^work$", works, aco=True)
    with client(server()) as sock:
        sock.sendall(b"GET /work HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"j:" in received(sock)


def test_hooks_see_a_request_on_its_way(loops: Pool) -> None:
    seen: list[str] = []

    def note(name: str, verdict: int = hooks.CONTINUE) -> Any:
        def callback(request: Request, response: Response) -> int:
            seen.append(name)
            if name == "http_response_starting" and not response.started:
                response.header("X-Added", "late")
            if verdict == hooks.DONE:
                response.write("instead")
                response.flush_end()
            return verdict if request.path == b"/hello" or verdict == hooks.CONTINUE else hooks.CONTINUE

        return callback

    names = [
        *("http1_post_request", "http_post_request_read_payload", "mtev_rest_get_handler"),
        *("http_response_starting", "http_request_log", "http_response_send", "http_request_complete"),
    ]
    points = [hooks.declare(name) for name in names]
    for each in points:
        each.register("test", note(each.name))
    log.new_stream("http/access", type="memory", path="10,1000")
    try:
        with client(server()) as sock:
            sock.sendall(HELLO)
            assert b"X-Added: late\r\n" in answers(sock, 1)
            for thread in loops.threads:
                on(thread, lambda: None)  # past the turn that answered
            assert seen == names
            for verdict, status in ((hooks.DONE, b"200 OK"), (hooks.ABORT, b"403 Forbidden")):
                points[2].unregister("test")
                points[2].register("test", note("mtev_rest_get_handler", verdict))
                sock.sendall(HELLO)
                assert b"HTTP/1.1 " + status in sock.recv(1000)
    finally:
        for each in points:
            each.unregister("test")


def test_a_client_may_take_lz4() -> None:
    import lz4.frame

    def large(_request: Request, response: Response) -> None:
        response.option(http.GZIP)
        for _ in range(10):
            response.write("word " * 1000)
            response.flush()
        response.flush_end()

    http.mount("GET", "/", "^large$", large)
    port = server()
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    for accepted, encoding in (("lz4f", "lz4f"), ("lz4f;q=0.5, gzip", "gzip")):
        connection.request("GET", "/large", headers={"Accept-Encoding": accepted})
        answer = connection.getresponse()
        assert answer.getheader("Content-Encoding") == encoding
        body = answer.read()
        if encoding == "lz4f":
            assert lz4.frame.decompress(body) == b"word " * 10000
    connection.close()


def test_a_client_that_only_stops_sending_still_gets_its_answer() -> None:
    pending: Queue[Any] = Queue()
    http.mount("GET", "/", "^later$", lambda request, response: pending.put((request, response)))
    with client(server()) as sock:
        sock.sendall(HELLO.replace(b"hello", b"later"))
        sock.shutdown(socket.SHUT_WR)
        request, response = pending.get(timeout=10)
        response.resume(hello, request, response)
        assert received(sock).endswith(b"Hello World")


def test_requests_torn_at_every_byte_are_served() -> None:
    port = server()
    with client(port) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(HELLO)):
            sock.sendall(HELLO[:cut])
            sock.sendall(HELLO[cut:])
            answers(sock, 1)


@pytest.mark.parametrize("unread", [b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc", HELLO, b"GET"])
def test_a_reset_leaves_nothing_behind(loops: Pool, unread: bytes) -> None:
    closed: Queue[Any] = Queue()

    def never(_request: Request, response: Response) -> None:
        response.on_close = lambda: closed.put(True)

    for route in http.router.mountpoints:
        route.handler = never
    port = server()
    with client(port) as sock:
        sock.sendall(unread)
        with client(port) as probe:
            probe.sendall(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n")
            probe.recv(1000)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    for _ in range(1000):
        if not on(loops.threads[0], lambda: net.connections(loops.threads[0])):
            break
    else:
        pytest.fail("the connection is still there")
    if unread is HELLO:
        assert closed.get(timeout=10)


def test_the_answer_to_a_refused_upload_arrives_although_the_client_goes_on_sending() -> None:
    with client(server(max_upload="10")) as sock:
        sock.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000))
        sock.shutdown(socket.SHUT_WR)
        assert received(sock).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("sent", "steps"),
    [
        (b"", [59.0, 61.0]),
        (HELLO, [59.0, 61.0]),
        (b"GET / HTTP/1.1\r\nX: ", [29.0, 31.0]),
        (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", [59.0, 61.0]),
    ],
)
def test_a_client_that_falls_silent_is_closed_when_its_time_is_up(loops: Pool, sent: bytes, steps: list[float]) -> None:
    port = server()
    thread = loops.threads[0]
    with client(port) as sock:
        if sent:
            sock.sendall(sent)
        with client(port) as probe:  # what it sent has arrived when this is answered
            probe.sendall(HELLO)
            answers(probe, 1)
        if sent is HELLO:
            answers(sock, 1)

        def passes(seconds: float) -> int:
            for session in http.sessions_of(thread):
                session.expire(seconds)
            return len(http.sessions_of(thread))

        on(thread, lambda: passes(0.0))
        assert on(thread, lambda: passes(steps[0])) >= 1
        on(thread, lambda: passes(steps[1]))
        assert received(sock) == b""


def test_a_head_that_trickles_in_is_closed_although_it_never_falls_silent(loops: Pool) -> None:
    port = server()
    thread = loops.threads[0]
    with client(port) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n")
        (session,) = until(lambda: http.sessions_of(thread))
        until(lambda: on(thread, lambda: session.http.phase) == "head")
        for second in range(0, 30, 5):
            sock.sendall(b"X: y\r\n")
            on(thread, lambda second=second: session.expire(float(second)))
        on(thread, lambda: session.expire(31.0))
        with pytest.raises(ConnectionError):
            while True:
                if not sock.recv(1000):
                    raise ConnectionError


def test_a_client_that_never_reads_bounds_memory_and_is_closed(loops: Pool, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(50_000_000))
    port = server(document_root=str(tmp_path))
    thread = loops.threads[0]
    with client(port) as sock:
        sock.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" * 100)

        def backlog() -> int:
            return sum(each.http.backlog for each in http.sessions_of(thread))

        size = until(lambda: on(thread, backlog))
        assert size < 1_000_000
        session = on(thread, lambda: http.sessions_of(thread)[0])
        on(thread, lambda: session.expire(0.0))
        on(thread, lambda: session.expire(59.0))
        assert not session.connection.closed
        on(thread, lambda: session.expire(120.0))
        assert session.connection.closed


def test_the_access_log_has_a_line_for_each_response(tmp_path: Path) -> None:
    path = tmp_path / "access"
    log.new_stream("http/access", type="file", path=str(path))
    with client(server()) as sock:
        sock.sendall(HELLO.replace(b"/hello", b'/hello?a="b"'))
        size = len(answers(sock, 1))
        sock.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc")
        received(sock)
    with client(server()) as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        received(sock)
    eventer.stop()
    lines = path.read_text().splitlines()
    when = r"127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d -0000\]"
    assert re.fullmatch(rf'{when} "GET /hello\?a=\\x22b\\x22 HTTP/1\.1" 200 {size}\|0 \d+\.\d{{3}}', lines[0])
    assert re.fullmatch(rf'{when} "POST /echo HTTP/1\.1" 200 \d+\|3 \d+\.\d{{3}}', lines[1])
    assert re.fullmatch(rf'{when} ".*" 400 \d+\|0 \d+\.\d{{3}}', lines[2])
    assert len(lines) == 3


def test_the_access_log_in_json_has_its_parts_by_name(tmp_path: Path) -> None:
    path = tmp_path / "access"
    log.new_stream("http/access", type="file", path=str(path)).set_format("json")
    with client(server()) as sock:
        sock.sendall(HELLO.replace(b"/hello", b"/hello?a=b"))
        size = len(answers(sock, 1))
    eventer.stop()
    line = json.loads(path.read_text())
    assert 0.0 <= line.pop("latency") < 10.0
    wanted = {
        "ip": "127.0.0.1", "user": "", "method": "GET", "protocol": "HTTP/1.1", "uri": "/hello", "querystring": "a=b",
        "status": 200, "bytes_written": size, "bytes_read": 0,
    }  # fmt: skip
    assert {key: line[key] for key in wanted} == wanted


def test_limits_that_make_no_sense_are_an_error_at_start() -> None:
    with pytest.raises(net.NetError, match=r"listener on 127\.0\.0\.1:\d+: max_upload 'lots': expected an integer"):
        server(max_upload="lots")


def test_the_wire_type_is_served_alike() -> None:
    listener = net.open_listener("mtev_wire_rest_api/1.0", "127.0.0.1")
    listener.start()
    with client(listener.port) as sock:
        sock.sendall(HELLO)
        answers(sock, 1)


def test_stopping_the_loops_closes_clients() -> None:
    with client(server()) as sock:
        sock.sendall(HELLO)
        answers(sock, 1)
        eventer.stop()
        assert sock.recv(100) == b""


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here")


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    files = {"key_file": str(tmp_path / "key"), "certificate_file": str(tmp_path / "certificate")}
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]  # noqa: RUF005
        + ["-keyout", files["key_file"], "-out", files["certificate_file"]],
        check=True,
        capture_output=True,
    )
    return files


def tls_server(sslconfig: dict[str, str], **config: str) -> int:
    keys = "".join(f"<{key}>{value}</{key}>" for key, value in sslconfig.items())
    options = "".join(f"<{key}>{value}</{key}>" for key, value in config.items())
    (listener,) = net.listen(
        conf.loads(
            f"""<app><listeners><sslconfig>{keys}</sslconfig><config>{options}</config>
            <listener type="http_rest_api" address="127.0.0.1" port="0" ssl="on"/></listeners></app>""".encode()
        )
    )
    listener.start()
    return listener.port


@needs_curl
@needs_openssl
def test_tls_serves_large_files_and_uploads(certificate: dict[str, str], tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "large").write_bytes(content)
    base = f"https://127.0.0.1:{tls_server(certificate, document_root=str(tmp_path))}"
    assert curl("-k", "-w", "%{num_connects}", base + "/hello", base + "/hello") == "Hello World1Hello World0"
    curl("-k", "-o", str(tmp_path / "back"), base + "/large")
    assert (tmp_path / "back").read_bytes() == content
    curl("-k", "-o", str(tmp_path / "back"), "--data-binary", f"@{tmp_path}/large", base + "/echo")
    assert (tmp_path / "back").read_bytes() == content


@needs_curl
@needs_openssl
def test_tls_below_1_2_is_refused_and_a_client_certificate_gives_its_name(certificate: dict[str, str]) -> None:
    names: Queue[Any] = Queue()

    def who(request: Request, response: Response) -> None:
        names.put(request.peer.cn)
        hello(request, response)

    http.mount("GET", "/", "^who$", who)
    url = f"https://127.0.0.1:{tls_server({**certificate, 'ca_chain': certificate['certificate_file']})}/who"
    with pytest.raises(subprocess.CalledProcessError):
        curl("-k", "--tls-max", "1.1", url)
    curl("-k", url)
    curl("-k", "--cert", certificate["certificate_file"], "--key", certificate["key_file"], url)
    assert [names.get(timeout=10), names.get(timeout=10)] == [None, "localhost"]


@needs_openssl
def test_tls_clients_that_send_much_before_they_read_get_every_answer(
    certificate: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(bytes(100_000) + b"Hello World")
    port = tls_server(certificate, document_root=str(tmp_path))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with client(port) as plain, context.wrap_socket(plain) as sock:
        sock.sendall(b"GET /file HTTP/1.1\r\nHost: a\r\n\r\n" * 300)
        answers(sock, 300)


@needs_openssl
@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"layer": "tlsv9"}, "sslconfig layer 'tlsv9'"),
        ({"layer": "tlsv1:all,!everything"}, "there is no option '!everything'"),
        ({"ciphers": "none-such"}, "selects no ciphers"),
        ({"ca_chain": "/nowhere"}, "ca_chain /nowhere"),
        ({"key_file": "/nowhere"}, "/nowhere"),
    ],
)
def test_an_sslconfig_that_cannot_be_is_named(certificate: dict[str, str], keys: dict[str, str], message: str) -> None:
    with pytest.raises(conf.ConfError, match=message):
        tls_server({**certificate, **keys})


@needs_openssl
def test_nonsense_instead_of_a_handshake_does_no_harm(certificate: dict[str, str]) -> None:
    port = tls_server(certificate)
    with client(port) as sock:
        sock.sendall(HELLO)
        answer = received(sock)
        assert answer.startswith(b"HTTP/1.1 400 ") and b"speaks TLS" in answer
    with client(port) as sock:
        sock.sendall(b"\x16\x03")
