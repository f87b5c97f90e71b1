"""control_dispatch on real sockets: words behind access control and in time, HTTP in the same record of TLS."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority

from runtime import conf, eventer, http, net
from runtime.eventer import Pool
from runtime.net._tls import Tls

SHORT = {"header_timeout": "100", "idle_timeout": "100"}


@pytest.fixture(autouse=True)
def house(loops: Pool, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from runtime.net import _commands

    monkeypatch.setattr(_commands, "_commands", {})
    net.register_command(b"OPEN", "open/1.0", lambda _: b"opened")
    net.register_command(b"SHUT", "shut/1.0", lambda _: b"shut")
    net.register_command(b"CAPA", "capabilities/1.0", lambda _: b"capable", "/capa")
    net.register_command(b"OWNN", "own/1.0", lambda connection: b"%d" % net.may(connection, "/own/7"), None)
    allow("^/(open|capa|own/7)$")
    yield
    eventer.stop()
    net.stop_accepting()
    http.configure(None)


def allow(expression: str) -> None:
    http.configure(conf.loads(f'<a><rest><acl><rule type="allow" url="{expression}"/></acl></rest></a>'.encode()))


def port(tls: Any = None, **config: str) -> int:
    listener = net.open_listener("control_dispatch", "127.0.0.1", 0, config, tls=tls)
    listener.start()
    return listener.port


def said(to: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", to), 20) as client:
        client.sendall(data)
        return all_of(client)


def all_of(client: socket.socket) -> bytes:
    data = b""
    while chunk := client.recv(65536):
        data += chunk
    return data


def test_a_word_is_asked_for_by_its_name_as_a_path() -> None:
    to = port()
    assert said(to, b"OPEN") == b"opened"
    assert said(to, b"SHUT") == b""
    assert said(to, b"CAPA") == b"capable"
    assert said(to, b"OWNN") == b"1"
    allow("^/(shut|capabilities)$")
    assert said(to, b"OPEN") == b""
    assert said(to, b"SHUT") == b"shut"
    assert said(to, b"CAPA") == b""
    assert said(to, b"OWNN") == b"0"


def test_without_access_control_no_word_is_obeyed() -> None:
    http.configure(None)
    assert said(port(), b"OPEN") == b""


@pytest.mark.parametrize("rule", ['ip="127.0.0.1"', 'listener_acl="inside"'])
def test_rules_of_words_see_who_asks_and_where(rule: str) -> None:
    http.configure(conf.loads(f'<a><rest><acl type="allow"><rule type="deny" {rule}/></acl></rest></a>'.encode()))
    assert said(port(acl="inside"), b"OPEN") == b""
    assert said(port(acl="outside"), b"OPEN") == (b"" if rule.startswith("ip") else b"opened")


@pytest.mark.parametrize("first", [b"", b"G", b"CAP"])
@pytest.mark.parametrize("secure", [False, True])
def test_who_does_not_say_four_bytes_in_time_is_closed(first: bytes, secure: bool, tmp_path: Path) -> None:
    tls, context = made(tmp_path) if secure else (None, None)
    with socket.create_connection(("127.0.0.1", port(tls, **SHORT)), 20) as plain:
        client = plain
        try:
            client = plain if context is None else context.wrap_socket(plain, server_hostname="localhost")
            client.sendall(first)
            assert all_of(client) == b""
        except (ssl.SSLEOFError, ConnectionError):
            pass  # closed without a farewell
        client.close()


def made(directory: Path) -> tuple[Tls, ssl.SSLContext]:
    authority = Authority(directory)
    issued = authority.issue("localhost", "localhost")
    tls = Tls({"certificate_file": str(issued.certificate), "key_file": str(issued.key)})
    return tls, ssl.create_default_context(cafile=str(authority.issued.certificate))


@pytest.mark.parametrize("size", [1, 3, 4, 5, 100])
def test_over_tls_word_and_request_may_share_a_record(size: int, tmp_path: Path) -> None:
    tls, context = made(tmp_path)
    request = b"GET /open HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port(tls)), 20) as plain:
        client = context.wrap_socket(plain, server_hostname="localhost")
        client.sendall(request[:size])
        client.sendall(request[size:])
        assert client.recv(65536).startswith(b"HTTP/1.1 404 ")
        client.close()


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2"])
def test_curl_is_answered_over_tls(version: str, tmp_path: Path) -> None:
    tls, _ = made(tmp_path)
    url = f"https://127.0.0.1:{port(tls)}/open"
    command = ["curl", "-s", "-k", "--max-time", "20", version, "-o", "/dev/null", "-w", "%{http_code}", url]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "404"
