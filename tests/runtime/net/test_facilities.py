"""What listeners log: their life, their connections, and every TLS handshake that came to nothing."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPResponse
from pathlib import Path

import pytest
from certificates import Authority
from hearing import hear, wait_for

from runtime import conf, eventer, log, net
from runtime.eventer import EXCEPTION, READ, Event, Pool
from runtime.net import Connection


@pytest.fixture(autouse=True)
def echo(loops: Pool) -> Iterator[None]:
    def echo(_event: Event, _mask: int, connection: Connection, _now: float) -> int:
        data = connection.recv(1 << 16)
        if data is None:
            return READ | EXCEPTION
        connection.send(data)
        connection.close()
        return 0

    eventer.name_callback("echo", echo)
    yield
    eventer.stop()
    net.stop_accepting()


def test_a_listener_tells_of_its_life_and_its_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = hear("debug/listener")
    listener = net.open_listener("echo", "127.0.0.1")
    listener.start()
    with socket.create_connection(listener.local) as client:
        client.sendall(b"x")
        assert client.recv(10) == b"x"
    wait_for(heard, rf"^listener on 127\.0\.0\.1:{listener.port} accepts connections for echo$")
    wait_for(heard, rf"^listener on 127\.0\.0\.1:{listener.port}: connection \d+ from 127\.0\.0\.1$")
    listener.close()
    wait_for(heard, rf"^listener on 127\.0\.0\.1:{listener.port} closes$")
    monkeypatch.delenv("NOT_THERE", raising=False)
    text = b'<app><listeners><listener type="echo" port="1" require_env="NOT_THERE"/></listeners></app>'
    assert net.listen(conf.loads(text)) == []
    wait_for(heard, r"^listener \*:1 environmentally disabled\.$")


def test_what_a_connection_begins_with_is_told_and_a_command_that_fails_is_an_error() -> None:
    heard, errors = hear("debug/listener"), hear("error/listener")

    def fail(_connection: Connection) -> bytes:
        raise KeyError("mistake")

    net.register_command(b"FAI!", "failing", fail, None)
    listener = net.open_listener("control_dispatch", "127.0.0.1")
    listener.start()
    with socket.create_connection(listener.local) as client:
        client.sendall(b"FAI!")
        assert client.recv(10) == b""
    wait_for(heard, r"begins with b'FAI!'")
    wait_for(errors, r"^command failing of 127\.0\.0\.1 failed: KeyError")


def secure(house: Authority, lenient: bool, **keys: object) -> net.Listener:
    issued = house.issue("localhost")
    keys = {
        "certificate_file": issued.certificate,
        "key_file": issued.key,
        "ca_chain": house.issued.certificate,
        "optional_no_ca": str(lenient).lower(),
        **keys,
    }
    elements = "".join(f"<{key}>{value}</{key}>" for key, value in keys.items())
    text = f"""<app><listeners><sslconfig>{elements}</sslconfig>
        <listener type="echo" address="127.0.0.1" port="0" ssl="on"/></listeners></app>"""
    (listener,) = net.listen(conf.loads(text.encode()))
    listener.start()
    return listener


def anything() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def shake(listener: net.Listener, context: ssl.SSLContext) -> None:
    with suppress(OSError):
        plain = socket.create_connection(listener.local, timeout=20)
        with plain, context.wrap_socket(plain) as secured:
            secured.sendall(b"x")
            assert secured.recv(1) == b""


@pytest.mark.parametrize("lenient", [False, True])
def test_every_refused_handshake_leaves_a_line(tmp_path: Path, lenient: bool) -> None:
    errors, heard = hear("error/listener"), hear("error")
    house = Authority(tmp_path, "house")
    listener = secure(house, lenient)
    with socket.create_connection(listener.local, timeout=20) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        wait_for(errors, r"^SSL accept failed from 127\.0\.0\.1: http request$")
        with closing(HTTPResponse(plain)) as answer:
            answer.begin()
            assert (answer.status, answer.read()) == (400, b"This port speaks TLS: ask with https://")
    old = anything()
    with pytest.warns(DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    shake(listener, old)
    wait_for(errors, r"^SSL accept failed from 127\.0\.0\.1: (unsupported protocol|version too low|no shared cipher)")
    expired = house.issue("late", days=-1)
    stranger = anything()
    stranger.load_cert_chain(expired.certificate, expired.key)
    shake(listener, stranger)
    wait_for(errors, r"^SSL accept failed from 127\.0\.0\.1: certificate verify failed: certificate has expired$")
    wait_for(heard, r"certificate has expired")
    assert heard() == errors()


@pytest.mark.parametrize("lenient", [False, True])
def test_a_client_that_just_goes_is_a_matter_for_debugging(tmp_path: Path, lenient: bool) -> None:
    errors, heard = hear("error/listener"), hear("debug/listener")
    listener = secure(Authority(tmp_path, "house"), lenient)
    socket.create_connection(listener.local, timeout=20).close()
    wait_for(heard, r"^SSL accept failed from 127\.0\.0\.1: connection closed$")
    assert errors() == []


def test_a_handshake_that_takes_too_long_is_refused_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.net._tls.HANDSHAKE_TIMEOUT", 0.05)
    errors = hear("error/listener")
    with socket.create_connection(secure(Authority(tmp_path, "house"), False).local, timeout=20) as client:
        wait_for(errors, r"^SSL accept failed from 127\.0\.0\.1: not done within 0\.05 s$")
        assert client.recv(1) == b""


def test_off_they_say_nothing(tmp_path: Path) -> None:
    assert not log.facility("debug/listener").enabled
    assert log.facility("error/listener").enabled
